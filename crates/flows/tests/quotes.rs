//! Quotes of the CRM -> pre-invoices of Siagh: exactly once, with the right rows, or a reason.

use serde_json::json;
use tandem_bridges::siagh::{CustomerCodeSource, mapping};
use tandem_core::State;
use tandem_flows::{Line, Setup, World, customer, mobile, person, pre_invoice, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{self as finance, Contact};
use tandem_store::Resolution;
use uuid::Uuid;

const SENDS: &str = "SaveFormData#43D81";

async fn with_customer() -> (World, Uuid) {
    customer_in(World::new().await).await
}

async fn customer_in(world: World) -> (World, Uuid) {
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    (world, id)
}

fn line() -> Line {
    Line::of("Product-1", "2", "100000")
}

#[tokio::test]
async fn a_numbered_quote_becomes_one_pre_invoice_with_its_rows() {
    let (world, id) = with_customer().await;
    let lines = [Line::of("Product-1", "2.500", "100000.00").discount("50000"), Line::of("Product-1", "1", "7")];
    let quote = world.quoted(id, &lines).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &["2 lines", "200007 before VAT"]).await;
    let document = world.finance.documents().remove(0);
    assert_eq!(document.sum, 200_007.into());
    for (control, value) in [
        ("hssanadstate", "8"),
        ("codenoeesanad", "2"),
        ("codesalemodel", "5"),
        ("codemarkazforush", "5"),
        ("codevaseteh", "31"),
        ("codecontact", ""),
        ("codenoeeforush", "1"),
        ("codenoeepardakht", "2"),
    ] {
        assert_eq!(document.control(control), value, "{control}");
    }
    let row = world.row(&pre_invoice(quote)).await;
    assert_eq!(row.refs["number"], document.number.to_string());
    assert_eq!(row.refs["return_params"], document.return_params);
    assert_eq!(row.refs["fiscal_year"], document.year);
}

#[tokio::test]
async fn a_quote_is_sent_once_however_many_webhooks_come() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line()]).await;
    for _ in 0..10 {
        world.crm.touch(quote).unwrap();
        world.tell_quote("Update", quote).await;
        world.work_due().await;
    }
    world.advance(chrono::TimeDelta::minutes(1));
    world.sync(&pre_invoice(quote)).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SENDS), 1);
    world.expect(&pre_invoice(quote), State::Unchanged, &["sent as pre-invoice"]).await;
}

#[tokio::test]
async fn a_quote_without_a_number_waits_for_it() {
    let (world, id) = with_customer().await;
    let quote = world.draft(id, &[line()], json!({}));
    world.tell_quote("Insert", quote).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &["not sent: it has no number yet"]).await;
    world.crm.number(quote).unwrap();
    world.tell_quote("Update", quote).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.document_count(), 1);
}

#[tokio::test]
async fn a_quote_notices_its_customer_waits_for_it_and_goes_on_by_itself() {
    let world = World::new().await;
    let id = world.create(Kind::Person, &person("علی نمونه"));
    let quote = world.quoted(id, &[line()]).await;
    world.work(&pre_invoice(quote)).await;
    world.expect(&pre_invoice(quote), State::Waiting, &["waits for customer", "not synced before"]).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["create a contact"]).await;
    world.expect(&pre_invoice(quote), State::Synced, &["send"]).await;
}

#[tokio::test]
async fn a_quote_waits_while_its_customer_is_under_review_and_goes_on_when_that_is_decided() {
    let world = World::new().await;
    world
        .contact(Contact { code: 42, mobile_no: Some("09120000001".into()), ..Contact::person("زهرا خیالی") });
    let id = world.create(Kind::Person, &with(person("علی نمونه"), mobile("09120000001")));
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &[]).await;
    world.expect(&pre_invoice(quote), State::Waiting, &["waits for customer"]).await;
    world.resolve(&customer(id), Resolution::Link("42".into())).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    assert_eq!(world.finance.documents()[0].contact, 42);
}

#[tokio::test]
async fn a_quote_whose_customer_is_gone_says_so_and_does_not_spin() {
    let world = World::new().await;
    let id = world.create(Kind::Person, &person("علی نمونه"));
    let quote = world.quoted(id, &[line()]).await;
    world.crm.delete(id).unwrap();
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["customer", "the CRM has no such record"]).await;
    assert_eq!(world.finance.document_count(), 0);
}

#[tokio::test]
async fn the_quote_of_a_duplicate_goes_to_the_winners_contact() {
    let (world, winner) = with_customer().await;
    let loser = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    world.resolve(&customer(loser), Resolution::Duplicate(customer(winner))).await;
    let quote = world.quoted(loser, &[line()]).await;
    world.settle().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    assert_eq!(world.finance.documents()[0].contact, world.contact_of(winner).await.code);
}

#[tokio::test]
async fn unmapped_goods_are_named_and_the_quote_goes_on_when_they_are_set() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line(), Line::of("Product-9", "1", "5000")]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsMapping, &["\"Product-9\"", "goods"]).await;
    world.finance.add_good(finance::Good::new("500100009", "لامپ", 5000));
    world.map(mapping::GOODS, " Product-۹ ", "500100009").await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &["2 lines"]).await;
}

#[tokio::test]
async fn an_unmapped_unit_and_an_unmapped_sale_model_are_named_one_after_the_other() {
    let (world, id) = with_customer().await;
    let typ = json!({ "crmObjectTypeCode": "Productinvoice" });
    let quote = world.quoted_with(id, &[line().unit("بسته")], typ).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsMapping, &["\"بسته\"", "unit"]).await;
    world.map(mapping::UNIT, "بسته", "کارتن").await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsMapping, &["Productinvoice", "sale_model"]).await;
    world.map(mapping::SALE_MODEL, "Productinvoice", "3").await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsMapping, &["Productinvoice", "sales_centre"]).await;
    world.map(mapping::SALES_CENTRE, "Productinvoice", "4").await;
    world.settle_and_check().await;
    let document = world.finance.documents().remove(0);
    assert_eq!((document.control("codesalemodel"), document.control("codemarkazforush")), ("3", "4"));
    assert_eq!(document.rows[0].unit, "کارتن");
}

#[tokio::test]
async fn a_change_after_the_send_is_told_and_never_sent_and_can_be_accepted() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle().await;
    world.advance(chrono::TimeDelta::minutes(1));
    world.requoted(quote, &json!({ "details": [Line::of("Product-1", "3", "100000").0] })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["changed after it was sent as pre-invoice", "lines"]).await;
    world.sync(&pre_invoice(quote)).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["changed after"]).await;
    world.resolve(&pre_invoice(quote), Resolution::Accept).await;
    world.excuse(&pre_invoice(quote));
    world.tell_quote("Update", quote).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &[]).await;
    world.sync(&pre_invoice(quote)).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &["sent as pre-invoice"]).await;
    assert_eq!(world.finance.calls_to(SENDS), 1);
}

#[tokio::test]
async fn a_change_that_is_undone_leaves_the_review_by_itself() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle().await;
    world.advance(chrono::TimeDelta::minutes(1));
    world.requoted(quote, &json!({ "description": "نوشته" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::NeedsReview, &["text"]).await;
    world.requoted(quote, &json!({ "description": "" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &[]).await;
}

#[tokio::test]
async fn an_approval_after_the_send_is_no_change() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle().await;
    world.crm.set_state(quote, 2).unwrap();
    world.tell_quote("Update", quote).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &[]).await;
}

#[tokio::test]
async fn only_the_states_that_the_site_names_are_sent() {
    let mut setup = Setup::default();
    setup.bridge.quote_states = vec![2];
    let (world, id) = customer_in(World::start(setup).await).await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &["not sent: its state is 1"]).await;
    world.crm.set_state(quote, 2).unwrap();
    world.tell_quote("Update", quote).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
}

#[tokio::test]
async fn what_siagh_has_no_place_for_is_for_a_person() {
    let (world, id) = with_customer().await;
    for (more, word) in [
        (json!({ "discount": 5000 }), "discount of 5000 on the whole document"),
        (json!({ "additionalCosts": 700 }), "additional costs of 700"),
        (json!({ "details": [] }), "no lines"),
        (json!({ "details": [Line::of("Product-1", "1", "100000.5").0] }), "fraction of a Rial"),
        (json!({ "details": [Line::of("Product-1", "1.0005", "100000").0] }), "more than three digits"),
        (json!({ "details": [Line::of("Product-1", "0", "100000").0] }), "quantity is 0"),
        (json!({ "details": [Line::of("Product-1", "1", "0").0] }), "price is 0"),
        (json!({ "details": [Line::of("Product-1", "1", "100").discount("101").0] }), "discount of 101"),
    ] {
        let quote = world.quoted_with(id, &[line()], more).await;
        world.settle_and_check().await;
        world.expect(&pre_invoice(quote), State::NeedsReview, &[word]).await;
    }
    assert_eq!(world.finance.calls_to(SENDS), 0);
}

#[tokio::test]
async fn a_quote_under_review_is_sent_when_it_is_corrected_in_the_crm() {
    let (world, id) = with_customer().await;
    let quote = world.quoted_with(id, &[line()], json!({ "additionalCosts": 700 })).await;
    world.settle_and_check().await;
    world.requoted(quote, &json!({ "additionalCosts": 0 })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
}

#[tokio::test]
async fn a_document_discount_that_the_lines_carry_is_sent_with_the_lines() {
    let (world, id) = with_customer().await;
    let quote = world.quoted_with(id, &[line().discount("5000")], json!({ "discount": 5000 })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &["195000 before VAT"]).await;
}

#[tokio::test]
async fn amounts_in_toman_arrive_in_rial() {
    let mut setup = Setup::default();
    setup.bridge.rial_per_unit = 10;
    let (world, id) = customer_in(World::start(setup).await).await;
    let quote = world.quoted(id, &[Line::of("Product-1", "2", "100.5")]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &["2010 before VAT"]).await;
}

#[tokio::test]
async fn a_quote_of_another_fiscal_year_is_for_a_person_by_siaghs_own_year() {
    let (world, id) = with_customer().await;
    let open = world.finance.now();
    // Siagh's clock passes the new year; ours and the CRM's are where they were.
    world.finance.set_clock(open + chrono::TimeDelta::days(366));
    world.finance.expire_sessions();
    let quote = world.quoted(id, &[line()]).await;
    world.settle().await;
    let (state, reason) = world.why(&pre_invoice(quote)).await;
    assert_eq!(state, State::NeedsReview);
    assert!(reason.contains("it is dated") && reason.contains("the fiscal year open in Siagh is"), "{reason}");
    world.check().await;
    assert_eq!(world.finance.document_count(), 0);
}

#[tokio::test]
async fn the_jalali_new_year_is_taken_from_siagh_and_not_from_our_calendar() {
    let before: chrono::DateTime<chrono::Utc> = "2026-03-20T20:00:00Z".parse().unwrap();
    let setup = Setup {
        finance: finance::Settings { frozen_at: Some(before), ..finance::Settings::quick() },
        ..Setup::default()
    };
    let (world, id) = customer_in(World::start(setup).await).await;
    // 23:30 on 1404/12/29 in Tehran.
    let last_day = json!({ "quoteDate": "2026-03-20T12:00:00" });
    let old = world.quoted_with(id, &[line()], last_day.clone()).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(old), State::Synced, &["in 1404"]).await;
    world.finance.set_clock("2026-03-20T21:00:00Z".parse().unwrap());
    world.finance.expire_sessions();
    let new = world.quoted_with(id, &[line()], json!({ "quoteDate": "2026-03-21T00:10:00" })).await;
    world.settle_and_check().await;
    let (state, reason) = world.why(&pre_invoice(new)).await;
    println!("{state} {reason}");
    assert!(matches!(state, State::Synced | State::NeedsReview | State::Dead), "{state} {reason}");
    let late = world.quoted_with(id, &[line()], last_day).await;
    world.settle_and_check().await;
    println!("{:?}", world.why(&pre_invoice(late)).await);
    assert!(
        world.finance.documents().iter().all(|document| document.year == 1404 || document.control("salmali") == "1405")
    );
}

#[tokio::test]
async fn the_account_party_names_the_customer_where_the_site_wants_it() {
    let mut setup = Setup::default();
    setup.bridge.customer_code_source = CustomerCodeSource::AccountPartyCode;
    setup.finance.customer_code = finance::CustomerCode::AccountPartyCode;
    let (world, id) = customer_in(World::start(setup).await).await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    let document = world.finance.documents().remove(0);
    let contact = world.contact_of(id).await;
    assert_eq!(document.control("codecontact"), contact.code.to_string());
    assert_eq!(document.control("codemoshtari"), contact.account_party_code.unwrap().to_string());
    world.finance.edit_contact(contact.code, |contact| contact.account_party_code = None).unwrap();
    let without = world.quoted(id, &[line()]).await;
    world.settle().await;
    world.expect(&pre_invoice(without), State::NeedsReview, &["no account party"]).await;
}

#[tokio::test]
async fn a_script_crash_is_dead_in_siaghs_words_and_an_edit_revives_it() {
    let (world, id) = with_customer().await;
    world.finance.set_table(finance::Table::SaleModels, ["1", "2"]);
    let quote = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Dead, &["RUNTIME ERROR"]).await;
    assert_eq!(world.finance.calls_to(SENDS), 1, "a retry is useless");
    world.finance.set_table(finance::Table::SaleModels, ["5"]);
    world.requoted(quote, &json!({ "description": "دوباره" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
}

#[tokio::test]
async fn siagh_pricing_anew_is_told_and_does_not_fail_the_push() {
    let (world, id) = with_customer().await;
    world.finance.set_settings(finance::Settings { reprice: true, ..world.finance.settings() });
    let quote = world.quoted(id, &[Line::of("Product-1", "2", "70000")]).await;
    world.settle().await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    let log = world.log(&pre_invoice(quote)).await;
    assert!(log.iter().flat_map(|entry| &entry.notes).any(|note| note.contains("priced it anew")), "{log:?}");
}

#[tokio::test]
async fn the_answers_net_with_or_without_vat_raises_no_false_alarm() {
    let (world, id) = with_customer().await;
    for with_vat in [true, false] {
        world.finance.set_settings(finance::Settings { net_with_vat: with_vat, ..world.finance.settings() });
        let quote = world.quoted(id, &[line()]).await;
        world.settle_and_check().await;
        let log = world.log(&pre_invoice(quote)).await;
        assert!(!log.iter().flat_map(|entry| &entry.notes).any(|note| note.contains("sum")), "{log:?}");
    }
}

#[tokio::test]
async fn a_sales_invoice_is_sent_like_a_quote() {
    let (world, id) = with_customer().await;
    let fields = json!({ "identityId": id, "subject": "فاکتور", "details": [line().0] });
    let invoice = world.crm.create(Kind::Invoice, &fields).unwrap();
    world.crm.number(invoice).unwrap();
    world.map(mapping::SALE_MODEL, "SalesInvoice", "1").await;
    world.map(mapping::SALES_CENTRE, "SalesInvoice", "1").await;
    world.webhook("invoice", "Insert", invoice, "Invoice", "فاکتور فروش").await;
    world.settle().await;
    world.expect(&pre_invoice(invoice), State::Synced, &[]).await;
    assert_eq!(world.finance.document_count(), 1);
}
