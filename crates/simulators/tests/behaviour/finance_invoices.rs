//! Siagh: the pre-invoice form (siagh sheet §7.11 to §7.14, §7.17, §7.18).

use crate::support::{Finance, Invoice, finance_1404};
use serde_json::{Value, json};
use tandem_simulators::siagh::{CustomerCode, Settings, Table};

async fn finance() -> Finance {
    Finance::with(finance_1404()).await
}

fn error(answer: &Value) -> &str {
    assert_eq!((&answer["ReturnValue"], &answer["ReturnCode"]), (&json!(false), &json!("")), "{answer}");
    assert_eq!(answer["Errors"][0]["ErrorType"], "ErrError", "{answer}");
    answer["Errors"][0]["Description"].as_str().unwrap()
}

// 11
#[tokio::test]
async fn a_blank_or_unknown_reference_crashes_the_servers_script() {
    let finance = finance().await;
    for control in ["codemarkazforush", "codevaseteh", "codemoshtari", "codesalemodel"] {
        for value in ["", "999999"] {
            let answer = finance.save_invoice(|invoice| invoice.set(control, value)).await;
            let text = error(&answer);
            assert!(text.starts_with(" پیامهای سرویس : RUNTIME ERROR"), "{control}={value}: {text}");
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 4, "{text}");
            assert!(lines[1].starts_with("Field 'Code' not found when evaluating instruction CallProc ("));
            assert_eq!(lines[3], "Source position: 218,84");
        }
    }
    assert_eq!(finance.admin.document_count(), 0);
}

#[tokio::test]
async fn an_unknown_good_is_refused_without_a_crash() {
    let finance = finance().await;
    let answer = finance.save_invoice(|invoice| invoice.cell("codekala", json!("Product-1"))).await;
    assert!(!error(&answer).contains("RUNTIME ERROR"));
}

#[tokio::test]
async fn a_price_that_is_not_positive_whole_rials_is_refused_with_its_row_number() {
    let finance = finance().await;
    for price in [json!(0), json!(-5), json!(1.5), json!("100000"), Value::Null] {
        let answer = finance.save_invoice(|invoice| invoice.cell("price", price.clone())).await;
        assert_eq!(error(&answer), "قیمت ردیف 1 درست وارد نشده است", "{price}");
        assert_eq!((&answer["Errors"][0]["ColName"], &answer["Errors"][0]["ErrorCode"]), (&json!("Price"), &json!(-1)));
    }
}

#[tokio::test]
async fn texts_must_be_texts_and_numbers_numbers() {
    let finance = finance().await;
    for (cell, value) in
        [("radif", json!(1)), ("vazn", json!(0)), ("qty", json!("2")), ("mabtakhfif", json!("0")), ("qty", json!(0))]
    {
        error(&finance.save_invoice(|invoice| invoice.cell(cell, value)).await);
    }
}

#[tokio::test]
async fn another_fiscal_year_than_the_open_one_is_refused() {
    let finance = finance().await;
    for year in ["1405", "2026", ""] {
        error(&finance.save_invoice(|invoice| invoice.set("salmali", year)).await);
    }
    finance.admin.set_fiscal_year(Some(1405));
    assert_eq!(finance.save_invoice(|invoice| invoice.set("salmali", "1405")).await["ReturnValue"], true);
}

#[tokio::test]
async fn the_id_forms_of_the_failing_call_fail_unless_switched_off() {
    let finance = finance().await;
    let dashed = |invoice: &mut Invoice| invoice.suid = "01234567-89AB-CDEF-0123-456789ABCDEF".to_owned();
    let item = |invoice: &mut Invoice| invoice.cell("__uid", json!("item-0"));
    error(&finance.save_invoice(dashed).await);
    error(&finance.save_invoice(item).await);
    finance.admin.set_settings(Settings { strict_row_ids: false, ..finance_1404() });
    assert_eq!(finance.save_invoice(dashed).await["ReturnValue"], true);
    assert_eq!(finance.save_invoice(item).await["ReturnValue"], true);
}

#[tokio::test]
async fn a_document_without_rows_is_refused() {
    let finance = finance().await;
    let mut form = Invoice::default().form();
    form["dataRows"] = "[]".into();
    error(&finance.save(&form).await);
}

// 12
#[tokio::test]
async fn a_registered_document_has_three_identifiers_and_the_sentence_with_the_net() {
    let finance = finance().await;
    let answer = finance.save_invoice(|invoice| invoice.cell("price", json!(2_600_000))).await;
    assert_eq!(
        answer,
        json!({
            "Errors": [{ "ColName": "", "Group": "", "ErrorType": "ErrSuccs",
                "Description": "پیش فاکتور فروش با موفقیت به شماره 2501 ثبت گردید خالص سند: 5,720,000",
                "ErrorCode": 0, "MessageText": "", "Solution": "", "HelpIndex": "" }],
            "FinalMessages": ["پیش فاکتور فروش با موفقیت به شماره 2501 ثبت گردید"],
            "ReturnValue": true, "ReturnCode": "15001", "ReturnParams": "458001",
        })
    );
}

#[tokio::test]
async fn numbers_run_per_year_and_type_while_the_codes_run_on() {
    let finance = finance().await;
    finance.save_invoice(|_| {}).await;
    finance.save_invoice(|_| {}).await;
    finance.admin.set_fiscal_year(Some(1405));
    finance.save_invoice(|invoice| invoice.set("salmali", "1405")).await;
    let documents = finance.admin.documents();
    let numbers: Vec<_> = documents.iter().map(|document| (document.year, document.number)).collect();
    assert_eq!(numbers, [(1404, 2501), (1404, 2502), (1405, 2501)]);
    let codes: Vec<_> = documents.iter().map(|document| document.return_code.as_str()).collect();
    assert_eq!(codes, ["15001", "15002", "15003"]);
}

fn net(answer: &Value) -> String {
    answer["Errors"][0]["Description"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_net_comes_with_or_without_vat_and_the_server_can_reprice() {
    let finance = finance().await;
    let discounted = |invoice: &mut Invoice| invoice.cell("mabtakhfif", json!(50_000));
    assert_eq!(net(&finance.save_invoice(discounted).await), "165,000");
    finance.admin.set_settings(Settings { net_with_vat: false, ..finance_1404() });
    assert_eq!(net(&finance.save_invoice(discounted).await), "150,000");
    finance.admin.set_settings(Settings { reprice: true, ..finance_1404() });
    assert_eq!(net(&finance.save_invoice(|invoice| invoice.cell("qty", json!(1))).await), "5,720,000");
}

// 13
#[tokio::test]
async fn the_same_request_twice_makes_two_documents_unless_the_experiment_is_on() {
    let finance = finance().await;
    let first = finance.save_invoice(|_| {}).await;
    assert_ne!(finance.save_invoice(|_| {}).await["ReturnCode"], first["ReturnCode"]);
    assert_eq!(finance.admin.document_count(), 2);
    finance.admin.set_settings(Settings { dedup_suid: true, ..finance_1404() });
    assert_eq!(finance.save_invoice(|_| {}).await, first);
    assert_eq!(finance.admin.document_count(), 2);
}

// 14
#[tokio::test]
async fn the_customer_is_matched_by_contact_code_or_by_account_party() {
    let finance = finance().await;
    let by_party = |invoice: &mut Invoice| invoice.set("codemoshtari", "5500042");
    error(&finance.save_invoice(by_party).await);
    finance.admin.set_settings(Settings { customer_code: CustomerCode::AccountPartyCode, ..finance_1404() });
    assert_eq!(finance.save_invoice(by_party).await["ReturnValue"], true);
    error(&finance.save_invoice(|_| {}).await);
    assert_eq!(finance.admin.documents()[0].contact, 42);
}

// 18
#[tokio::test]
async fn documents_can_be_listed_with_header_controls_and_rows() {
    let finance = finance().await;
    finance.admin.set_table(Table::SalesCentres, ["9"]);
    finance.save_invoice(|invoice| invoice.set("codemarkazforush", "9")).await;
    let documents = finance.admin.documents();
    let [document] = documents.as_slice() else { panic!("{documents:?}") };
    assert_eq!((document.control("codemarkazforush"), document.control("tozihat")), ("9", "سفارش نمونه"));
    assert_eq!(document.suid, "0123456789ABCDEF0123456789ABCDEF");
    let row = &document.rows[0];
    assert_eq!((row.good.as_str(), row.unit.as_str(), row.line.as_str()), ("500100001", "عدد", "1"));
    assert_eq!(
        (row.quantity, row.price, document.sum, document.vat),
        (2.into(), 100_000.into(), 200_000.into(), 20_000.into())
    );
}
