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
const LOGIN: &str = "LoginUser";

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
async fn a_change_that_is_undone_after_it_was_accepted_asks_again() {
    let (world, id) = with_customer().await;
    let quote = world.quoted(id, &[line()]).await;
    world.settle().await;
    world.advance(chrono::TimeDelta::minutes(1));
    world.requoted(quote, &json!({ "details": [Line::of("Product-1", "3", "100000").0] })).await;
    world.settle_and_check().await;
    world.resolve(&pre_invoice(quote), Resolution::Accept).await;
    world.requoted(quote, &json!({ "details": [line().0] })).await;
    world.settle().await;
    let words = ["first sent as pre-invoice", "after a later version was accepted"];
    world.expect(&pre_invoice(quote), State::NeedsReview, &words).await;
    world.resolve(&pre_invoice(quote), Resolution::Accept).await;
    world.tell_quote("Update", quote).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(quote), State::Unchanged, &[]).await;
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

/// A world at 23:50 of 1404/12/29 in Tehran, with a customer and a session of that year.
async fn before_the_new_year() -> (World, Uuid) {
    let before = "2026-03-20T20:20:00Z".parse().unwrap();
    let setup = Setup {
        finance: finance::Settings { frozen_at: Some(before), ..finance::Settings::quick() },
        ..Setup::default()
    };
    customer_in(World::start(setup).await).await
}

/// 00:05 of 1405/01/01: the session of before is still good.
fn the_new_year_comes(world: &World) {
    world.finance.set_clock("2026-03-20T20:35:00Z".parse().unwrap());
}

/// A quote of 1404/12/29, and one of 1405/01/01.
async fn of_the_old_year(world: &World, id: Uuid) -> Uuid {
    world.quoted_with(id, &[line()], json!({ "quoteDate": "2026-03-20T12:00:00" })).await
}

async fn of_the_new_year(world: &World, id: Uuid) -> Uuid {
    world.quoted_with(id, &[line()], json!({ "quoteDate": "2026-03-21T00:10:00" })).await
}

async fn expect_sent_in(world: &World, quote: Uuid, year: i32) {
    world.expect(&pre_invoice(quote), State::Synced, &[&format!("in {year}")]).await;
    assert_eq!(world.row(&pre_invoice(quote)).await.refs["fiscal_year"], year);
    let document = world.finance.documents().pop().unwrap();
    assert_eq!((document.year, document.control("salmali")), (year, year.to_string().as_str()));
}

const TOO_LATE: &[&str] = &["it is dated 1404/12/29", "the fiscal year open in Siagh is 1405"];

#[tokio::test]
async fn the_jalali_new_year_is_taken_from_siagh_and_not_from_our_calendar() {
    let (world, id) = before_the_new_year().await;
    let old = of_the_old_year(&world, id).await;
    world.settle_and_check().await;
    expect_sent_in(&world, old, 1404).await;
    the_new_year_comes(&world);
    world.finance.expire_sessions();
    let new = of_the_new_year(&world, id).await;
    world.settle_and_check().await;
    expect_sent_in(&world, new, 1405).await;
    let late = of_the_old_year(&world, id).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(late), State::NeedsReview, TOO_LATE).await;
    assert_eq!(world.finance.document_count(), 2);
}

#[tokio::test]
async fn a_session_that_still_knows_the_old_year_keeps_no_quote_of_the_new_year_back() {
    let (world, id) = before_the_new_year().await;
    the_new_year_comes(&world);
    let logins = world.finance.calls_to(LOGIN);
    let new = of_the_new_year(&world, id).await;
    world.settle_and_check().await;
    expect_sent_in(&world, new, 1405).await;
    let late = of_the_old_year(&world, id).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(late), State::NeedsReview, TOO_LATE).await;
    assert_eq!(world.finance.calls_to(LOGIN) - logins, 1);
}

#[tokio::test]
async fn a_late_quote_under_a_session_of_the_old_year_is_for_a_person_and_not_dead() {
    let (world, id) = before_the_new_year().await;
    the_new_year_comes(&world);
    let late = of_the_old_year(&world, id).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(late), State::NeedsReview, TOO_LATE).await;
    assert_eq!((world.finance.calls_to(SENDS), world.finance.document_count()), (1, 0));
}

#[tokio::test]
async fn quotes_of_a_year_that_siagh_has_not_opened_yet_cause_no_login_each() {
    let (world, id) = before_the_new_year().await;
    let logins = world.finance.calls_to(LOGIN);
    for _ in 0..5 {
        let early = of_the_new_year(&world, id).await;
        world.settle_and_check().await;
        world.expect(&pre_invoice(early), State::NeedsReview, &["1405/01/01", "open in Siagh is 1404"]).await;
    }
    assert_eq!(world.finance.calls_to(LOGIN) - logins, 1);
}

#[tokio::test]
async fn quotes_dated_before_the_day_that_the_site_names_are_not_sent() {
    let mut setup = Setup::default();
    setup.bridge.quotes_from = chrono::NaiveDate::from_ymd_opt(2026, 1, 10);
    setup.finance.frozen_at = Some("2026-01-15T08:00:00Z".parse().unwrap());
    let (world, id) = customer_in(World::start(setup).await).await;
    let before = world.quoted_with(id, &[line()], json!({ "quoteDate": "2026-01-09T23:59:00" })).await;
    let after = world.quoted_with(id, &[line()], json!({ "quoteDate": "2026-01-10T00:00:00" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(before), State::Unchanged, &["not sent: it is dated before 2026-01-10"]).await;
    world.expect(&pre_invoice(after), State::Synced, &[]).await;
    assert_eq!(world.finance.document_count(), 1);
    // Dated anew in the CRM, it goes out by itself.
    world.requoted(before, &json!({ "quoteDate": "2026-01-12T10:00:00" })).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(before), State::Synced, &[]).await;
}

#[tokio::test]
async fn the_document_is_named_by_the_operators_table_and_else_by_its_type() {
    let (world, id) = with_customer().await;
    let plain = world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    world.expect(&pre_invoice(plain), State::Synced, &[]).await;
    world.map(mapping::DOCUMENT_NAME, "PI_5", "پیش فاکتور ویژه").await;
    world.quoted(id, &[line()]).await;
    world.settle_and_check().await;
    let names: Vec<String> =
        world.finance.documents().iter().map(|document| document.control("namenoesanad").to_owned()).collect();
    assert_eq!(names, ["پیش فاکتور فروش PI_5", "پیش فاکتور ویژه"]);
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
async fn the_vat_that_siaghs_sum_may_include_is_the_sites() {
    for (ours, told) in [(9, false), (10, true)] {
        let mut setup = Setup::default();
        (setup.finance.vat_percent, setup.bridge.vat_percent) = (9, ours);
        let (world, id) = customer_in(World::start(setup).await).await;
        let quote = world.quoted(id, &[line()]).await;
        world.settle_and_check().await;
        world.expect(&pre_invoice(quote), State::Synced, &[]).await;
        let log = world.log(&pre_invoice(quote)).await;
        let mut notes = log.iter().flat_map(|entry| &entry.notes);
        assert_eq!(notes.any(|note| note.contains("220000 with 10 % VAT")), told, "{log:?}");
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
