//! Customers of the CRM -> contacts of Siagh: create, update, and what is kept.

use serde_json::json;
use tandem_bridges::siagh::mapping;
use tandem_core::{Plan, State};
use tandem_flows::{Setup, World, address, customer, mobile, organization, person, phones, with};
use tandem_simulators::payamgostar::{self as crm, Kind};
use tandem_simulators::siagh::Contact;
use tandem_store::Resolution;

const SAVES: &str = "SaveFormData#2BFDA";

#[tokio::test]
async fn a_new_person_becomes_a_contact_with_all_its_values() {
    let world = World::new().await;
    let fields = with(person("علی نمونه"), phones(&["۰۹۱۲ ۰۰۰ ۰۰۰۱", "021-0000 0001"]));
    let fields = with(fields, address("خیابان نمونه\nپلاک ۱|واحد ۲", "1234567890"));
    let more = json!({ "nationalCode": "۰۰۱۲۳۴۵۶۷۸", "email": "a@example.test", "description": "مشتری = خوب" });
    let id = world.created(Kind::Person, &with(fields, more)).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["create a contact"]).await;
    let contact = world.contact_of(id).await;
    assert_eq!((contact.toward_type, contact.is_active), (Some(false), true));
    assert_eq!(contact.mobile_no.as_deref(), Some("09120000001"));
    assert_eq!(contact.tel_no.as_deref(), Some("02100000001"));
    assert_eq!(contact.national_code.as_deref(), Some("0012345678"));
    assert_eq!(contact.address.as_deref(), Some("خیابان نمونه پلاک ۱/واحد ۲"));
    assert_eq!(
        contact.tmpid.as_deref(),
        Some(id.to_string().as_str()),
        "without a derived code the CRM id is the outside id"
    );
}

#[tokio::test]
async fn a_new_organization_becomes_an_organization() {
    let world = World::new().await;
    let id = world.created(Kind::Organization, &organization("شركت نمونه الف")).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.toward_type, Some(true));
}

#[tokio::test]
async fn an_edit_updates_the_same_contact() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    let before = world.contact_of(id).await.code;
    world.advance(chrono::TimeDelta::minutes(1));
    world.edited(id, &mobile("09120000002")).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["update contact", "mobile"]).await;
    assert_eq!(world.contact_of(id).await.code, before);
    assert_eq!(world.finance.contact_count(), 1);
}

#[tokio::test]
async fn what_the_crm_leaves_blank_keeps_siaghs_value() {
    let world = World::new().await;
    let code = world.contact(Contact {
        code: 42,
        mobile_no: Some("09120000001".into()),
        tel_no: Some("02100000001".into()),
        email: Some("old@example.test".into()),
        address: Some("نشانی قدیم".into()),
        gender: Some("0".into()),
        city_code: Some("7".into()),
        geographic_code: Some("8".into()),
        country_code: Some("9".into()),
        ..Contact::person("علی نمونه")
    });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle_and_check().await;
    world.edited(id, &json!({ "email": "new@example.test" })).await;
    world.settle_and_check().await;
    let contact = world.contact_of(id).await;
    assert_eq!(contact.code, code);
    assert_eq!(contact.email.as_deref(), Some("new@example.test"));
    assert_eq!(contact.tel_no.as_deref(), Some("02100000001"));
    assert_eq!(contact.address.as_deref(), Some("نشانی قدیم"));
    let controls = [&contact.gender, &contact.city_code, &contact.geographic_code, &contact.country_code];
    assert_eq!(controls.map(|control| control.as_deref()), [Some("0"), Some("7"), Some("8"), Some("9")]);
}

#[tokio::test]
async fn blanks_overwrite_where_the_site_wants_it() {
    let mut setup = Setup::default();
    setup.bridge.blank_overwrites = true;
    let world = World::start(setup).await;
    let fields = with(with(person("علی نمونه"), mobile("09120000001")), json!({ "email": "a@example.test" }));
    let id = world.created(Kind::Person, &fields).await;
    world.settle().await;
    world.edited(id, &json!({ "email": null })).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.email.as_deref(), Some(""));
}

#[tokio::test]
async fn an_inactive_contact_stays_inactive_and_the_reason_says_so() {
    let world = World::new().await;
    let inactive =
        Contact {
            code: 42, is_active: false, mobile_no: Some("09120000001".into()), ..Contact::person("علی نمونه")
        };
    world.contact(inactive);
    let fields = with(person("علی نمونه"), mobile("09120000001"));
    let id = world.created(Kind::Person, &with(fields, json!({ "email": "a@example.test" }))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["contact 42 is inactive in Siagh and stays so"]).await;
    world.edited(id, &json!({ "email": "b@example.test" })).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["inactive"]).await;
    assert!(!world.contact_of(id).await.is_active);
}

#[tokio::test]
async fn a_second_edit_within_the_time_gate_is_written_once_when_it_opens() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
    world.edited(id, &json!({ "email": "b@example.test" })).await;
    for _ in 0..20 {
        world.tell_customer("Update", id).await;
        world.work_due().await;
    }
    world.expect(&customer(id), State::Pending, &["time gate"]).await;
    assert_eq!(world.finance.calls_to(SAVES), 1, "the gate is shut");
    world.crm.edit(id, &json!({ "email": "c@example.test" })).unwrap();
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SAVES), 2, "written once, however many nudges came");
    assert_eq!(world.contact_of(id).await.email.as_deref(), Some("c@example.test"));
}

#[tokio::test]
async fn a_webhook_without_a_change_writes_nothing() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    world.crm.edit(id, &json!({ "colorId": 3 })).unwrap();
    world.tell_customer("Update", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Unchanged, &["nothing that is synced has changed"]).await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
}

#[tokio::test]
async fn letters_and_digits_of_another_keyboard_are_no_change() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("يك كاربر"), mobile("۰۹۱۲۰۰۰۰۰۰۱"))).await;
    world.settle().await;
    world.edited(id, &with(person("یک کاربر"), mobile("09120000001"))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Unchanged, &[]).await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
}

#[tokio::test]
async fn pipes_and_line_breaks_in_a_name_corrupt_nothing_and_are_no_endless_change() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی|gn_web_users.isactive=0\r\nنمونه")).await;
    world.settle_and_check().await;
    assert!(world.contact_of(id).await.is_active);
    world.sync(&customer(id)).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Unchanged, &["already holds these values"]).await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
}

#[tokio::test]
async fn a_name_longer_than_the_control_is_cut_with_a_note_and_is_no_endless_change() {
    let world = World::new().await;
    let id = world.created(Kind::Organization, &organization(&"شرکت بسیار دراز ".repeat(20))).await;
    world.settle_and_check().await;
    let log = world.log(&customer(id)).await;
    assert!(log.iter().any(|entry| entry.notes.iter().any(|note| note.contains("cut"))), "{log:?}");
    world.sync(&customer(id)).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SAVES), 1);
}

#[tokio::test]
async fn a_person_turned_organization_changes_the_kind_of_its_contact() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("نمونه بازرگانی"), mobile("09120000001"))).await;
    world.settle().await;
    world.crm.convert(id).unwrap();
    world.tell_customer("Update", id).await;
    world.settle_and_check().await;
    let code = world.contact_of(id).await.code;
    let warning = format!("contact {code} is a person in Siagh and becomes an organization");
    world.expect(&customer(id), State::Synced, &["update contact", &warning]).await;
    let log = world.log(&customer(id)).await;
    assert!(log.iter().flat_map(|entry| &entry.notes).any(|note| *note == warning), "{log:?}");
    assert_eq!(world.contact_of(id).await.toward_type, Some(true));
    world.crm.convert(id).unwrap();
    world.tell_customer("Update", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["is an organization in Siagh and becomes a person"]).await;
    assert_eq!(world.contact_of(id).await.toward_type, Some(false));
    assert_eq!(world.finance.contact_count(), 1);
}

#[tokio::test]
async fn places_arrive_as_the_codes_of_the_operators_tables_and_unknown_ones_leave_siaghs() {
    let world = World::new().await;
    for place in ["ایران", "تهران", "ری", "قم"] {
        world.crm.add_place(place);
    }
    world.map(mapping::COUNTRY, "ایران", "9").await;
    world.map(mapping::STATE, "تهران", "8").await;
    world.map(mapping::CITY, "ري", "7").await;
    let at = |city: &str| {
        json!({ "addressContacts": [
            { "default": true, "address": "خیابان نمونه", "country": "ایران", "state": "تهران", "city": city }
        ] })
    };
    let id = world.created(Kind::Person, &with(person("علی نمونه"), at("ری"))).await;
    world.settle_and_check().await;
    let codes = |contact: Contact| [contact.country_code, contact.geographic_code, contact.city_code];
    let expected = ["9", "8", "7"].map(|code| Some(code.to_owned()));
    assert_eq!(codes(world.contact_of(id).await), expected);
    world.advance(chrono::TimeDelta::minutes(1));
    world.edited(id, &with(at("قم"), json!({ "email": "a@example.test" }))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["the city \"قم\" has no mapping and was not sent"]).await;
    assert_eq!(codes(world.contact_of(id).await), expected, "an unknown place blanks nothing");
}

#[tokio::test]
async fn a_change_only_in_finance_is_told_and_left_alone() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    let code = world.contact_of(id).await.code;
    world.finance.edit_contact(code, |contact| contact.mobile_no = Some("09120000009".into())).unwrap();
    world.sync(&customer(id)).await;
    world.settle().await;
    world.expect(&customer(id), State::Unchanged, &["changed only in finance", "mobile"]).await;
    assert_eq!(world.contact_of(id).await.mobile_no.as_deref(), Some("09120000009"));
    world.excuse(&customer(id));
    world.check().await;
}

#[tokio::test]
async fn a_change_on_both_sides_is_overwritten_and_the_old_value_stays_in_the_log() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000001"))).await;
    world.settle().await;
    let code = world.contact_of(id).await.code;
    world.finance.edit_contact(code, |contact| contact.mobile_no = Some("09120000009".into())).unwrap();
    world.edited(id, &json!({ "email": "a@example.test" })).await;
    world.settle_and_check().await;
    let log = world.log(&customer(id)).await;
    let overwritten = log
        .iter()
        .flat_map(|entry| &entry.changes)
        .find(|change| change.field == "mobile" && change.old == "09120000009");
    assert!(overwritten.is_some(), "{log:?}");
}

#[tokio::test]
async fn a_customer_without_a_name_is_dead_and_synced_when_it_gets_one() {
    let crm = crm::Settings { require_names: false, ..crm::Settings::quick() };
    let world = World::start(Setup { crm, ..Setup::default() }).await;
    let id = world.created(Kind::Organization, &with(organization(" "), mobile("09120000001"))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &["it has no name in the CRM"]).await;
    assert_eq!(world.finance.calls_to(SAVES), 0);
    world.edited(id, &organization("شرکت نمونه")).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["create a contact"]).await;
}

#[tokio::test]
async fn a_customer_that_siagh_refuses_is_dead_in_siaghs_words_and_an_edit_revives_it() {
    let world = World::new().await;
    let id = world.create(Kind::Organization, &organization("شرکت نمونه"));
    world.finance.arm(
        tandem_simulators::Arm::once(tandem_simulators::Fault::ErrorsInside {
            text: "نام کامل وارد نشده است".into()
        })
        .on(SAVES),
    );
    world.tell_customer("Insert", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Dead, &["نام کامل وارد نشده است"]).await;
    world.edited(id, &organization("شرکت نمونه ب")).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &[]).await;
}

#[tokio::test]
async fn a_customer_that_vanishes_leaves_its_contact_as_it_is() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let contact = world.contact_of(id).await;
    world.crm.delete(id).unwrap();
    world.tell_customer("Delete", id).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Unchanged, &["no longer has it"]).await;
    assert_eq!(world.finance.contact(contact.code), Some(contact));
}

#[tokio::test]
async fn a_paired_contact_that_vanishes_is_for_a_person() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let code = world.contact_of(id).await.code;
    world.finance.delete_contact(code).unwrap();
    world.edited(id, &json!({ "email": "a@example.test" })).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["no longer in Siagh"]).await;
    assert_eq!(world.finance.contact_count(), 0);
}

#[tokio::test]
async fn the_preview_shows_the_plan_and_writes_nothing() {
    let world = World::new().await;
    let id = world.create(Kind::Person, &person("علی نمونه"));
    let preview = world.engine.preview(&customer(id)).await.unwrap();
    assert!(matches!(preview.plan, Ok(Plan::Write { .. })), "{preview:?}");
    assert_eq!((world.finance.calls_to(SAVES), world.rows().await.len()), (0, 0));
}

#[tokio::test]
async fn an_approved_plan_runs_as_shown_or_not_at_all() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    let approved = world.engine.preview(&customer(id)).await.unwrap().plan.unwrap().fingerprint();
    world.crm.edit(id, &json!({ "email": "moved@example.test" })).unwrap();
    let outcome = world.engine.work_approved(&customer(id), &approved).await.unwrap().outcome;
    assert!(matches!(outcome, tandem_engine::Outcome::Moved { .. }), "{outcome:?}");
    assert_eq!(world.finance.calls_to(SAVES), 0);
    let approved = world.engine.preview(&customer(id)).await.unwrap().plan.unwrap().fingerprint();
    world.engine.work_approved(&customer(id), &approved).await.unwrap();
    world.settle_and_check().await;
    assert_eq!(world.finance.contact_count(), 1);
}

#[tokio::test]
async fn a_customer_that_is_given_another_contact_gets_its_values_written_there() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &with(person("علی نمونه"), json!({ "email": "a@example.test" }))).await;
    world.settle().await;
    let first = world.contact_of(id).await.code;
    world.finance.delete_contact(first).unwrap();
    world.edited(id, &json!({ "website": "https://example.test" })).await;
    world.settle().await;
    let other = world.contact(Contact { code: 0, ..Contact::person("کسی دیگر") });
    world.resolve(&customer(id), Resolution::Link(other.to_string().into())).await;
    world.settle_and_check().await;
    let contact = world.contact_of(id).await;
    assert_eq!((contact.code, contact.email.as_deref()), (other, Some("a@example.test")));
}
