//! At first contact: link, create, or ask a person.

use serde_json::json;
use tandem_core::State;
use tandem_flows::{World, customer, mobile, organization, person, phones, with};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;
use tandem_store::{Resolution, Resolved};

const SAVES: &str = "SaveFormData#2BFDA";
const MOBILE: &str = "09120000001";

fn known(code: i64, name: &str) -> Contact {
    Contact { code, mobile_no: Some(MOBILE.into()), ..Contact::person(name) }
}

#[tokio::test]
async fn a_shared_mobile_links_when_the_names_agree() {
    let world = World::new().await;
    world.contact(known(42, "علي  نمونه"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("+98 912 000 0001"))).await;
    world.settle_and_check().await;
    assert_eq!((world.contact_of(id).await.code, world.finance.contact_count()), (42, 1));
    world.expect(&customer(id), State::Synced, &["link"]).await;
}

#[tokio::test]
async fn a_shared_mobile_with_another_name_is_for_a_person_and_nothing_is_overwritten() {
    let world = World::new().await;
    world.contact(known(42, "زهرا خیالی"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["contact 42", "neither name nor national code agree"]).await;
    assert_eq!((world.finance.calls_to(SAVES), world.finance.contact(42).unwrap().name), (0, "زهرا خیالی".to_owned()));
}

#[tokio::test]
async fn a_person_decides_a_review_and_the_link_is_made() {
    let world = World::new().await;
    world.contact(known(42, "زهرا خیالی"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    let done = world.resolve(&customer(id), Resolution::Link("42".into())).await;
    assert!(matches!(done, Resolved::Done { state: State::Pending, .. }), "{done:?}");
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.name, "علی نمونه");
}

#[tokio::test]
async fn a_link_to_a_contact_that_siagh_does_not_have_says_so_and_can_be_corrected() {
    let world = World::new().await;
    world.contact(known(42, "زهرا خیالی"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    world.resolve(&customer(id), Resolution::Link("24".into())).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["contact 24", "was linked to", "is not in Siagh"]).await;
    let (_, reason) = world.why(&customer(id)).await;
    assert!(!reason.contains("no longer"), "nobody has ever seen it there: {reason}");
    world.resolve(&customer(id), Resolution::Link("42".into())).await;
    world.settle_and_check().await;
    assert_eq!((world.contact_of(id).await.code, world.finance.contact_count()), (42, 1));
}

#[tokio::test]
async fn of_a_contact_that_is_not_in_siagh_a_person_may_have_a_new_one_made() {
    let world = World::new().await;
    world.contact(known(42, "زهرا خیالی"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09000000002"))).await;
    world.settle_and_check().await;
    let first = world.contact_of(id).await.code;
    world.finance.delete_contact(first).unwrap();
    world.edited(id, &json!({ "description": "نوشته تازه" })).await;
    world.settle().await;
    world.expect(&customer(id), State::NeedsReview, &["no longer in Siagh"]).await;
    world.resolve(&customer(id), Resolution::New).await;
    world.settle_and_check().await;
    assert_eq!((world.contact_of(id).await.name, world.finance.contact_count()), ("علی نمونه".to_owned(), 2));
    world.edited(id, &json!({ "description": "تازه‌تر" })).await;
    world.settle_and_check().await;
    assert_eq!(world.finance.contact_count(), 2, "one new one, not one for each edit");
}

#[tokio::test]
async fn a_shared_national_code_links_and_differing_ones_ask() {
    let world = World::new().await;
    world.contact(Contact { code: 42, national_code: Some("0012345678".into()), ..Contact::person("ع. نمونه") });
    let same = json!({ "nationalCode": "0012345678" });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), same)).await;
    world.contact(Contact {
        code: 43,
        national_code: Some("0099999999".into()),
        mobile_no: Some(MOBILE.into()),
        ..Contact::person("زهرا نمونه")
    });
    let other = with(with(person("زهرا نمونه"), mobile(MOBILE)), json!({ "nationalCode": "0088888888" }));
    let asked = world.created(Kind::Person, &other).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.code, 42);
    world.expect(&customer(asked), State::NeedsReview, &["national codes differ"]).await;
}

#[tokio::test]
async fn the_number_links_only_with_the_same_kind_and_an_agreeing_name() {
    let world = World::new().await;
    world.contact(Contact { code: 42, ..Contact::organization("شرکت نمونه الف") });
    world.contact(Contact { code: 43, ..Contact::organization("شرکت نمونه ب") });
    world.contact(Contact { code: 44, ..Contact::person("شرکت نمونه پ") });
    let numbered = |name: &str, number: &str| with(organization(name), json!({ "customerNumber": number }));
    let agrees = world.created(Kind::Organization, &numbered("شركت نمونه الف", "100-1042")).await;
    let differs = world.created(Kind::Organization, &numbered("بازرگانی دریا", "100-1043")).await;
    let kind = world.created(Kind::Organization, &numbered("شرکت نمونه پ", "100-1044")).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(agrees).await.code, 42);
    world.expect(&customer(differs), State::NeedsReview, &["contact 43"]).await;
    world.expect(&customer(kind), State::NeedsReview, &["one is a person and the other an organization"]).await;
    assert_eq!(world.finance.contact_count(), 3);
}

#[tokio::test]
async fn a_contact_of_which_siagh_does_not_say_the_kind_is_for_a_person() {
    let world = World::new().await;
    world.contact(Contact { toward_type: None, ..known(42, "علی نمونه") });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["contact 42", "does not say whether it is a person"]).await;
    assert_eq!((world.finance.calls_to(SAVES), world.finance.contact(42).unwrap().toward_type), (0, None));
    world.resolve(&customer(id), Resolution::Link("42".into())).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.code, 42);
}

#[tokio::test]
async fn a_number_below_the_offset_points_at_nobody() {
    let world = World::new().await;
    world.contact(Contact { code: 1, ..Contact::person("علی نمونه") });
    for number in ["100-999", "100-1000", "100-1"] {
        let fields = with(person("زهرا خیالی"), json!({ "customerNumber": number }));
        let id = world.created(Kind::Person, &fields).await;
        world.settle_and_check().await;
        assert_ne!(world.contact_of(id).await.code, 1, "{number}");
    }
    assert_eq!(world.finance.contact(1).unwrap().name, "علی نمونه");
}

#[tokio::test]
async fn a_number_that_points_at_somebody_elses_contact_proves_nothing() {
    let world = World::new().await;
    let first = world.created(Kind::Person, &person("علی نمونه")).await;
    world.settle().await;
    let code = world.contact_of(first).await.code;
    let fields = with(person("زهرا خیالی"), json!({ "customerNumber": format!("100-{}", code + 1000) }));
    let second = world.created(Kind::Person, &fields).await;
    world.settle_and_check().await;
    assert_ne!(world.contact_of(second).await.code, code);
}

#[tokio::test]
async fn of_two_customers_that_want_one_contact_the_second_is_for_a_person() {
    let world = World::new().await;
    world.contact(known(42, "علی نمونه"));
    let fields = with(person("علی نمونه"), mobile(MOBILE));
    let first = world.created(Kind::Person, &with(fields.clone(), json!({ "email": "first@example.test" }))).await;
    world.settle().await;
    let second = world.created(Kind::Person, &with(fields, json!({ "email": "second@example.test" }))).await;
    world.settle_and_check().await;
    world.expect(&customer(second), State::NeedsReview, &["already paired with", &first.to_string()]).await;
    assert_eq!(world.contact_of(first).await.email.as_deref(), Some("first@example.test"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_customers_that_want_one_contact_at_the_same_moment_do_not_overwrite_each_other() {
    let world = World::new().await;
    for round in 0..10 {
        let (number, name) = (format!("0912000{round:04}"), format!("علی نمونه {round}"));
        let code = world.contact(Contact { mobile_no: Some(number.clone()), ..Contact::person(&name) });
        world.advance(chrono::TimeDelta::minutes(2));
        let fields = |email: &str| with(with(person(&name), mobile(&number)), json!({ "email": email }));
        let one = world.created(Kind::Person, &fields("one@example.test")).await;
        let two = world.created(Kind::Person, &fields("two@example.test")).await;
        let other = world.another("two");
        let (key_one, key_two) = (customer(one), customer(two));
        let (a, b) = tokio::join!(world.engine.work(&key_one), other.work(&key_two));
        a.unwrap();
        b.unwrap();
        world.settle_and_check().await;
        let states = [world.row(&key_one).await.state, world.row(&key_two).await.state];
        assert!(states.contains(&State::Synced) && states.contains(&State::NeedsReview), "{states:?}");
        let winner = if states[0] == State::Synced { "one@example.test" } else { "two@example.test" };
        assert_eq!(world.finance.contact(code).unwrap().email.as_deref(), Some(winner));
    }
}

#[tokio::test]
async fn a_contact_that_the_list_did_not_show_yet_is_found_after_siaghs_refusal() {
    let world = World::new().await;
    world.created(Kind::Person, &with(person("زهرا خیالی"), mobile("09120000009"))).await;
    world.settle().await;
    // The list was read a moment ago; now somebody types this contact into Siagh.
    world.contact(known(42, "علی نمونه"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.work_due().await;
    world.expect(&customer(id), State::Retrying, &["شماره موبایل نمی تواند تکراری باشد"]).await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.code, 42);
}

#[tokio::test]
async fn a_number_that_moves_to_somebody_elses_contact_is_for_a_person() {
    let world = World::new().await;
    world.contact(known(42, "زهرا خیالی"));
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile("09120000002"))).await;
    world.settle().await;
    world.edited(id, &mobile(MOBILE)).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["mobile already belongs to contact 42"]).await;
    // Corrected in the CRM, it goes on by itself.
    world.edited(id, &mobile("09120000003")).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::Synced, &["mobile"]).await;
}

#[tokio::test]
async fn two_contacts_that_both_fit_are_for_a_person() {
    let world = World::new().await;
    world.contact(known(42, "علی نمونه"));
    world.contact(Contact { code: 43, tel_no: Some("02100000001".into()), ..Contact::person("علی نمونه") });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), phones(&[MOBILE, "02100000001"]))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["42, 43", "more than one fits"]).await;
}

#[tokio::test]
async fn a_user_of_siagh_itself_is_never_linked() {
    let world = World::new().await;
    world.contact(Contact { is_admin_user: true, ..known(1, "علی نمونه") });
    let id = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle_and_check().await;
    world.expect(&customer(id), State::NeedsReview, &["a user of Siagh itself"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_new_customers_with_one_mobile_at_the_same_moment_make_one_contact_and_one_question() {
    let world = World::new().await;
    for round in 0..10 {
        let (number, name) = (format!("0912000{round:04}"), format!("علی نمونه {round}"));
        let fields = with(person(&name), mobile(&number));
        let (one, two) = (world.created(Kind::Person, &fields).await, world.created(Kind::Person, &fields).await);
        let other = world.another("two");
        let (key_one, key_two) = (customer(one), customer(two));
        let (a, b) = tokio::join!(world.engine.work(&key_one), other.work(&key_two));
        a.unwrap();
        b.unwrap();
        world.settle_and_check().await;
        let states = [world.row(&key_one).await.state, world.row(&key_two).await.state];
        assert!(states.contains(&State::Synced) && states.contains(&State::NeedsReview), "{states:?}");
        assert_eq!(world.finance.contact_count(), round + 1);
    }
}

#[tokio::test]
async fn a_number_that_one_customer_gave_up_may_go_to_another_within_the_same_minute() {
    let world = World::new().await;
    let one = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    let two = world.created(Kind::Person, &with(person("زهرا خیالی"), mobile("09120000002"))).await;
    world.settle().await;
    world.advance(chrono::TimeDelta::seconds(15));
    world.edited(one, &mobile("09120000003")).await;
    world.work_due().await;
    world.edited(two, &mobile(MOBILE)).await;
    world.settle_and_check().await;
    world.expect(&customer(two), State::Synced, &["mobile"]).await;
    // And to a customer that did not exist before.
    world.advance(chrono::TimeDelta::seconds(15));
    world.edited(two, &mobile("09120000004")).await;
    world.work_due().await;
    let three = world.created(Kind::Person, &with(person("رضا فرضی"), mobile(MOBILE))).await;
    world.settle_and_check().await;
    world.expect(&customer(three), State::Synced, &["create a contact"]).await;
}

#[tokio::test]
async fn two_customers_that_swap_their_numbers_are_told_what_stands_in_the_way() {
    let world = World::new().await;
    let one = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    let two = world.created(Kind::Person, &with(person("زهرا خیالی"), mobile("09120000002"))).await;
    world.settle().await;
    world.advance(chrono::TimeDelta::minutes(1));
    world.edited(one, &mobile("09120000002")).await;
    world.edited(two, &mobile(MOBILE)).await;
    world.settle_and_check().await;
    for id in [one, two] {
        world.expect(&customer(id), State::NeedsReview, &["mobile already belongs to contact"]).await;
    }
}

#[tokio::test]
async fn the_decision_that_a_customer_is_a_duplicate_outlives_its_next_edit() {
    let world = World::new().await;
    let winner = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    let loser = world.created(Kind::Person, &with(person("علی نمونه"), mobile(MOBILE))).await;
    world.settle().await;
    world.resolve(&customer(loser), Resolution::Duplicate(customer(winner))).await;
    world.edited(loser, &json!({ "email": "again@example.test" })).await;
    world.settle_and_check().await;
    world.expect(&customer(loser), State::Duplicate, &[&winner.to_string()]).await;
    assert_eq!(world.finance.contact_count(), 1);
}
