//! Polling the CRM: what changed is noticed, whatever its clock says and whoever edits meanwhile.

use chrono::TimeDelta;
use serde_json::json;
use std::sync::Arc;
use tandem_bridges::siagh::{POLL, SWEEP};
use tandem_core::{State, Trigger};
use tandem_flows::{
    Line, Setup, StandIn, World, customer, mobile, organization, person, pre_invoice, scan, siagh_id, with,
};
use tandem_simulators::payamgostar::{self as crm, Kind};
use tandem_simulators::{Arm, Fault};
use tokio::sync::Semaphore;

const SAVES: &str = "SaveFormData#2BFDA";

fn refusing(code: u16) -> Fault {
    Fault::Status { code, committed: false }
}

/// How the last scan ended.
async fn complaint(world: &World) -> String {
    let runs = world.store.runs(Some(&siagh_id()), 1).await.unwrap();
    runs[0].error.clone().unwrap_or_default()
}

#[tokio::test]
async fn a_poll_notices_persons_organizations_and_quotes_without_any_webhook() {
    let world = World::new().await;
    let one = world.create(Kind::Person, &person("علی نمونه"));
    let two = world.create(Kind::Organization, &organization("شرکت نمونه"));
    let quote = world.draft(two, &[Line::of("Product-1", "1", "1000")], json!({}));
    world.crm.number(quote).unwrap();
    assert_eq!(world.poll().await.noticed, 3);
    world.settle_and_check().await;
    world.expect(&customer(one), State::Synced, &[]).await;
    world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    assert_eq!(world.row(&customer(one)).await.trigger, Trigger::Poll);
}

#[tokio::test]
async fn a_second_poll_reads_the_overlap_and_notices_nothing_twice() {
    let world = World::new().await;
    for n in 0..7 {
        world.create(Kind::Person, &person(&format!("علی نمونه {n}")));
    }
    world.poll().await;
    world.settle().await;
    let again = world.poll().await;
    assert_eq!((again.seen, again.noticed), (7, 0));
    world.settle_and_check().await;
}

#[tokio::test]
async fn two_saves_within_one_second_are_two_changes() {
    let world = World::new().await;
    world.crm.freeze(true);
    let id = world.create(Kind::Person, &person("علی نمونه"));
    world.poll().await;
    world.settle().await;
    world.crm.edit(id, &mobile("09120000001")).unwrap();
    assert_eq!(world.poll().await.noticed, 1);
    world.settle().await;
    world.crm.edit(id, &mobile("09120000002")).unwrap();
    assert_eq!(world.poll().await.noticed, 1);
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.mobile_no.as_deref(), Some("09120000002"));
}

#[tokio::test]
async fn a_lost_webhook_is_made_good_by_the_next_poll() {
    let world = World::new().await;
    let id = world.created(Kind::Person, &person("علی نمونه")).await;
    world.poll().await;
    world.settle().await;
    world.crm.edit(id, &mobile("09120000001")).unwrap();
    world.poll().await;
    world.settle_and_check().await;
    assert_eq!(world.contact_of(id).await.mobile_no.as_deref(), Some("09120000001"));
}

#[tokio::test]
async fn a_crm_whose_clock_runs_behind_is_polled_by_its_own_time() {
    for skew in [-208, 3600] {
        let setup = Setup { crm: crm::Settings { skew_seconds: skew, ..crm::Settings::quick() }, ..Setup::default() };
        let world = World::start(setup).await;
        let id = world.create(Kind::Person, &person("علی نمونه"));
        world.poll().await;
        world.settle().await;
        for n in 0..3 {
            world.crm.advance(TimeDelta::minutes(30));
            world.advance(TimeDelta::minutes(30));
            world.crm.edit(id, &mobile(&format!("0912000000{n}"))).unwrap();
            let late = world.create(Kind::Person, &person(&format!("زهرا نمونه {n}")));
            assert_eq!(world.poll().await.noticed, 2, "skew {skew}, round {n}");
            world.settle_and_check().await;
            world.expect(&customer(late), State::Synced, &[]).await;
        }
    }
}

#[tokio::test]
async fn our_own_clock_stepping_back_or_ahead_loses_no_change() {
    let world = World::new().await;
    let id = world.create(Kind::Person, &person("علی نمونه"));
    world.poll().await;
    world.settle().await;
    for (n, step) in [TimeDelta::hours(-5), TimeDelta::hours(9), TimeDelta::hours(-1)].into_iter().enumerate() {
        world.advance(step);
        world.crm.edit(id, &mobile(&format!("0912000000{n}"))).unwrap();
        world.poll().await;
        world.settle_and_check().await;
        assert_eq!(world.contact_of(id).await.mobile_no, Some(format!("0912000000{n}")), "step {n}");
    }
}

#[tokio::test]
async fn pages_are_read_to_the_end_also_when_more_rows_of_one_moment_exist_than_fit_a_page() {
    let mut setup = Setup::default();
    setup.bridge.page_size = 3;
    let world = World::start(setup).await;
    for n in 0..4 {
        world.create(Kind::Person, &person(&format!("علی نمونه {n}")));
        world.crm.advance(TimeDelta::seconds(2));
    }
    world.crm.freeze(true);
    for n in 4..14 {
        world.create(Kind::Person, &person(&format!("علی نمونه {n}")));
    }
    world.crm.freeze(false);
    world.crm.advance(TimeDelta::seconds(5));
    for n in 14..18 {
        world.create(Kind::Person, &person(&format!("علی نمونه {n}")));
        world.crm.advance(TimeDelta::seconds(2));
    }
    world.poll().await;
    assert_eq!(world.rows().await.len(), 18);
    world.settle_and_check().await;
}

#[tokio::test]
async fn records_edited_while_a_scan_runs_make_it_skip_nobody() {
    let mut setup = Setup::default();
    setup.bridge.page_size = 4;
    let world = World::start(setup).await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(world.create(Kind::Person, &person(&format!("علی نمونه {n}"))));
        world.crm.advance(TimeDelta::seconds(3));
    }
    let permits = Arc::new(Semaphore::new(1));
    let bridge = StandIn::before(world.bridge.clone()).scanning_with(permits.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "polling");
    let polling = tokio::spawn(async move { scan(&engine, POLL).await.unwrap().unwrap() });
    // One page at a time, and before each next one the record that stands first in the list is edited and moves to its end.
    for id in &ids[..8] {
        world.crm.advance(TimeDelta::seconds(1));
        world.crm.edit(*id, &mobile(&format!("09120000{}", 100 + ids.iter().position(|i| i == id).unwrap()))).unwrap();
        let before = world.crm.calls_to("find");
        permits.add_permits(1);
        world.crm.until(|admin| admin.calls_to("find") > before || polling.is_finished()).await;
    }
    permits.add_permits(1_000);
    polling.await.unwrap();
    assert_eq!(world.rows().await.len(), 20, "everybody was noticed");
    world.settle().await;
    world.poll().await;
    world.settle_and_check().await;
}

#[tokio::test]
async fn rows_of_one_second_that_are_edited_while_a_scan_runs_make_it_skip_nobody() {
    let mut setup = Setup::default();
    setup.bridge.page_size = 4;
    let world = World::start(setup).await;
    world.crm.freeze(true);
    let ids: Vec<_> = (0..18).map(|n| world.create(Kind::Person, &person(&format!("علی نمونه {n}")))).collect();
    let permits = Arc::new(Semaphore::new(4));
    let bridge = StandIn::before(world.bridge.clone()).scanning_with(permits.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "polling");
    let polling = tokio::spawn(async move { scan(&engine, POLL).await.unwrap().unwrap() });
    world.crm.until(|_| permits.available_permits() == 0).await;
    let listed = || async { (world.rows().await.len() >= 6).then_some(()) };
    tandem_testbed::signal::eventually(std::time::Duration::from_secs(20), listed).await;
    // A mass edit had given all of them one second. Now the first ones are edited and leave it.
    world.crm.freeze(false);
    world.crm.advance(TimeDelta::hours(1));
    for id in &ids[..3] {
        world.crm.edit(*id, &mobile(&format!("091200001{:02}", ids.iter().position(|i| i == id).unwrap()))).unwrap();
    }
    permits.add_permits(1_000);
    polling.await.unwrap();
    world.advance(TimeDelta::hours(2));
    world.crm.advance(TimeDelta::hours(2));
    world.poll().await;
    assert_eq!(world.rows().await.len(), 18, "everybody was noticed");
    world.settle_and_check().await;
}

#[tokio::test]
async fn two_pollers_at_once_are_one() {
    let world = World::new().await;
    world.create(Kind::Person, &person("علی نمونه"));
    let other = world.another("two");
    let (one, two) = tokio::join!(world.scan(POLL), scan(&other, POLL));
    assert_eq!([one.unwrap(), two.unwrap()].into_iter().flatten().count(), 1);
    world.settle_and_check().await;
}

#[tokio::test]
async fn a_poll_that_fails_on_the_way_keeps_what_it_noticed_and_the_next_one_goes_on() {
    let mut setup = Setup::default();
    setup.bridge.page_size = 2;
    let world = World::start(setup).await;
    for n in 0..9 {
        world.create(Kind::Person, &person(&format!("علی نمونه {n}")));
        world.crm.advance(TimeDelta::seconds(2));
    }
    let permits = Arc::new(Semaphore::new(3));
    let bridge = StandIn::before(world.bridge.clone()).scanning_with(permits.clone());
    let engine = world.engine_with(Arc::new(bridge), world.clock.clone(), "polling");
    let polling = tokio::spawn(async move { scan(&engine, POLL).await });
    let listed = || async { (world.rows().await.len() >= 2 && permits.available_permits() == 0).then_some(()) };
    tandem_testbed::signal::eventually(std::time::Duration::from_secs(20), listed).await;
    world.crm.arm(Arm::always(refusing(500)));
    permits.add_permits(1_000);
    polling.await.unwrap().unwrap_err();
    let noticed = world.rows().await.len();
    assert!((1..9).contains(&noticed), "{noticed}");
    world.crm.disarm();
    world.advance(TimeDelta::minutes(30));
    world.work_due().await;
    world.poll().await;
    assert_eq!(world.rows().await.len(), 9);
    world.settle_and_check().await;
}

#[tokio::test]
async fn a_refused_login_of_a_poll_opens_the_circuit() {
    let world = World::new().await;
    world.crm.arm(Arm::always(refusing(403)).on("auth/login"));
    let error = world.scan(POLL).await.unwrap_err();
    assert!(error.to_string().contains("refuses logins"), "{error}");
    assert!(world.engine.circuits().is_open(&siagh_id()));
}

#[tokio::test]
async fn a_crm_that_filters_no_list_is_read_by_the_light_list_instead_and_says_what_is_missing() {
    for fault in [refusing(400), refusing(500), Fault::HtmlPage { committed: false }] {
        let world = World::new().await;
        let mut ids = Vec::new();
        // More than one page of the light list.
        for n in 0..52 {
            ids.push(world.create(Kind::Person, &person(&format!("علی نمونه {n}"))));
        }
        ids.push(world.create(Kind::Organization, &organization("شرکت نمونه")));
        let quote = world.draft(ids[0], &[Line::of("Product-1", "1", "1000")], json!({}));
        world.crm.number(quote).unwrap();
        world.crm.arm(Arm::always(fault.clone()).on("find"));
        assert_eq!(world.poll().await.noticed, 53, "{fault:?}");
        let said = complaint(&world).await;
        for typ in ["organization", "person", "PI_5"] {
            assert!(said.contains(&format!("does not list type {typ:?}")), "{fault:?}: {said}");
        }
        assert!(!world.engine.circuits().is_open(&siagh_id()));
        // Nothing is noticed twice for it, and what is edited is.
        world.settle_and_check().await;
        assert_eq!(world.poll().await.noticed, 0, "{fault:?}");
        world.crm.edit(ids[51], &mobile("09120000001")).unwrap();
        assert_eq!(world.poll().await.noticed, 1, "{fault:?}");
        // As soon as the lists are there again nothing is missing.
        world.crm.disarm();
        world.poll().await;
        assert_eq!(complaint(&world).await, "");
        world.settle_and_check().await;
        world.expect(&pre_invoice(quote), State::Synced, &[]).await;
    }
}

#[tokio::test]
async fn one_list_that_the_crm_fails_to_answer_keeps_none_of_the_others_from_being_read() {
    for code in [400, 500] {
        let world = World::new().await;
        let org = world.create(Kind::Organization, &organization("شرکت نمونه"));
        let one = world.create(Kind::Person, &person("علی نمونه"));
        let quote = world.draft(one, &[Line::of("Product-1", "1", "1000")], json!({}));
        world.crm.number(quote).unwrap();
        world.crm.arm(Arm::always(refusing(code)).on("organization/find"));
        world.poll().await;
        world.settle_and_check().await;
        for id in [org, one] {
            world.expect(&customer(id), State::Synced, &[]).await;
        }
        world.expect(&pre_invoice(quote), State::Synced, &[]).await;
        let said = complaint(&world).await;
        assert!(said.contains("\"organization\"") && !said.contains("\"person\""), "{said}");
        world.scan(SWEEP).await.unwrap();
        for key in [customer(org), customer(one), pre_invoice(quote)] {
            assert_eq!(world.row(&key).await.trigger, Trigger::Reconcile, "a sweep goes the same way");
        }
        world.settle_and_check().await;
    }
}

#[tokio::test]
async fn one_customer_that_the_crm_does_not_show_is_parked_by_name_and_keeps_nobody_else_from_being_read() {
    for (code, state) in [(400, State::Dead), (500, State::Retrying)] {
        let world = World::new().await;
        let ids: Vec<_> = (0..3).map(|n| world.create(Kind::Person, &person(&format!("علی نمونه {n}")))).collect();
        world.crm.arm(Arm::always(refusing(400)).on("find"));
        // Whoever stands first in the light list is refused, whatever its kind.
        let refuse_one = || world.crm.arm(Arm::once(refusing(code)).on("person/get"));
        refuse_one();
        assert_eq!(world.poll().await.noticed, 3, "{code}");
        let first = world.rows().await.into_iter().find(|row| row.hint.is_none()).unwrap().key;
        refuse_one();
        world.work(&first).await;
        world.expect(&first, state, &[&code.to_string()]).await;
        if state == State::Dead {
            world.work_due().await;
            refuse_one();
            assert_eq!(world.poll().await.noticed, 0, "it is parked where people see it");
        }
        // As soon as the CRM shows it, it goes on.
        world.poll().await;
        world.settle_and_check().await;
        for id in ids {
            world.expect(&customer(id), State::Synced, &[]).await;
        }
    }
}

#[tokio::test]
async fn a_list_that_stumbles_once_is_read_all_the_same() {
    let world = World::new().await;
    world.create(Kind::Person, &person("علی نمونه"));
    world.crm.arm(Arm::once(refusing(500)).on("person/find"));
    assert_eq!(world.poll().await.noticed, 1);
    assert_eq!((complaint(&world).await, world.crm.calls_to("person/get")), (String::new(), 0));
    world.settle_and_check().await;
}

#[tokio::test]
async fn a_sweep_notices_everything_and_writes_only_what_differs() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(
            world
                .created(Kind::Person, &with(person(&format!("علی نمونه {n}")), mobile(&format!("0912000000{n}"))))
                .await,
        );
    }
    world.settle().await;
    let code = world.contact_of(ids[2]).await.code;
    world.finance.edit_contact(code, |contact| contact.email = Some("by.hand@example.test".into())).unwrap();
    let saves = world.finance.calls_to(SAVES);
    let summary = world.scan(SWEEP).await.unwrap().unwrap();
    assert_eq!((summary.seen, summary.noticed), (6, 6));
    world.settle_and_check().await;
    assert_eq!(world.finance.calls_to(SAVES), saves, "what the CRM leaves blank is Siagh's");
}
