//! `kill -9` at every step boundary of every flow. The list of boundaries is the engine's own.

use crate::check;
use crate::flow::{self, Driver, Flow};
use crate::house::{Doubt, Ground, House, PATIENCE};
use crate::service::{Service, aborted};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::Mutex;
use tandem_engine::boundary::Boundary;
use tandem_simulators::payamgostar::Outcome;
use tandem_testbed::signal::poll;

/// Processes that run at the same time: nearly all of their time is waiting for leases.
const AT_ONCE: usize = 12;

#[derive(Clone, Copy)]
struct Case {
    flow: &'static Flow,
    boundary: Boundary,
    /// The process dies when it comes there for the so-many-th time.
    nth: u32,
    ground: Ground,
}

#[test]
fn no_boundary_is_left_out_by_all_flows() {
    let left_out: Vec<&str> = Boundary::ALL
        .iter()
        .filter(|boundary| !flow::ALL.iter().any(|flow| flow.passes.contains(boundary)))
        .map(|boundary| boundary.as_str())
        .collect();
    assert!(left_out.is_empty(), "no flow is killed at {left_out:?}");
}

#[test]
fn a_create_killed_at_any_boundary_is_done_once() {
    everywhere(&flow::CREATE, Ground::One);
}

#[test]
fn a_webhook_of_a_crowd_killed_at_any_boundary_is_entered_once() {
    everywhere(&flow::CROWD, Ground::One);
}

#[test]
fn an_update_killed_at_any_boundary_is_done() {
    everywhere(&flow::UPDATE, Ground::One);
}

#[test]
fn a_link_killed_at_any_boundary_is_made_once() {
    everywhere(&flow::LINK, Ground::One);
}

#[test]
fn a_quote_killed_at_any_boundary_becomes_one_document_or_a_question() {
    everywhere(&flow::QUOTE, Ground::One);
}

#[test]
fn a_lost_answer_killed_at_any_boundary_is_looked_up() {
    everywhere(&flow::LOST_ANSWER, Ground::One);
}

#[test]
fn an_import_killed_at_any_boundary_goes_on() {
    everywhere(&flow::IMPORT, Ground::One);
}

#[test]
fn an_import_that_links_killed_at_any_boundary_goes_on() {
    everywhere(&flow::IMPORT_LINK, Ground::One);
}

#[test]
fn a_replay_killed_at_any_boundary_is_taken_up_again() {
    everywhere(&flow::REPLAY, Ground::One);
}

#[test]
fn a_poll_killed_at_any_boundary_is_taken_up_again() {
    everywhere(&flow::POLL, Ground::One);
}

#[test]
fn two_services_killed_in_an_update_do_it() {
    everywhere(&flow::UPDATE, Ground::Two);
}

#[test]
fn two_services_killed_in_a_quote_make_one_document_or_ask() {
    everywhere(&flow::QUOTE, Ground::Two);
}

#[test]
fn an_import_beside_two_services_killed_at_any_boundary_goes_on() {
    everywhere(&flow::IMPORT, Ground::Two);
}

/// Each boundary once, as two services on real servers.
#[test]
fn two_services_killed_at_every_boundary_lose_nothing() {
    let preferred = [&flow::CREATE, &flow::CROWD, &flow::POLL, &flow::LINK, &flow::LOST_ANSWER];
    let case = |boundary: &Boundary| {
        let flow = preferred.into_iter().find(|flow| flow.passes.contains(boundary)).expect("some flow passes it");
        Case { flow, boundary: *boundary, nth: 1, ground: Ground::Two }
    };
    let cases: Vec<Case> = Boundary::ALL.iter().map(case).collect();
    let died = run_all(&cases);
    assert!(died.iter().all(|died| *died), "not all of them died: {died:?}");
}

/// Kills each process at each boundary when it comes there for the first time and for the second time, and sees that the
/// flow passes the boundaries it is said to pass.
fn everywhere(flow: &'static Flow, ground: Ground) {
    let case = |boundary: &Boundary, nth| Case { flow, boundary: *boundary, nth, ground };
    let first: Vec<Case> = Boundary::ALL.iter().map(|boundary| case(boundary, 1)).collect();
    let died = run_all(&first);
    let passed: Vec<Boundary> =
        first.iter().zip(died).filter(|(_, died)| *died).map(|(case, _)| case.boundary).collect();
    let surely: Vec<Boundary> = passed.iter().copied().filter(|boundary| !flow.may_pass.contains(boundary)).collect();
    assert_eq!(surely, flow.passes, "the flow {}", flow.name);
    let again: Vec<Case> = passed.iter().map(|boundary| case(boundary, 2)).collect();
    run_all(&again);
}

/// Runs all cases, some at a time; answers which of them died where they were told to.
fn run_all(cases: &[Case]) -> Vec<bool> {
    if cfg!(not(debug_assertions)) {
        panic!("only debug builds have the points at which a test lets them die");
    }
    let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..cases.len()).collect());
    let (died, failed) = (Mutex::new(vec![false; cases.len()]), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once(cases) {
            scope.spawn(|| {
                loop {
                    let Some(at) = waiting.lock().unwrap().pop_front() else { return };
                    let case = cases[at];
                    match catch_unwind(AssertUnwindSafe(|| run(case))) {
                        Ok(yes) => died.lock().unwrap()[at] = yes,
                        Err(panic) => failed.lock().unwrap().push(told(case, panic.as_ref())),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
    died.into_inner().unwrap()
}

fn at_once(cases: &[Case]) -> usize {
    let processes = if cases.iter().any(|case| case.ground == Ground::Two) { 2 } else { 1 };
    (AT_ONCE / processes).min(cases.len())
}

fn told(case: Case, panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("- {}, killed at {}:{}: {}", case.flow.name, case.boundary.as_str(), case.nth, text.unwrap_or("?"))
}

/// One flow, killed once. Answers whether it died; if it never came to the boundary, it has to end well.
fn run(case: Case) -> bool {
    let flow = case.flow;
    let house = flow.settings.iter().fold(House::new(case.ground), |house, (name, value)| house.with(name, value));
    (flow.prepare)(&house);
    let order = format!("{}:{}", case.boundary.as_str(), case.nth);
    let mut services = flow.start(&house, &[("TANDEM_CRASH_AT", &order)]);
    (flow.act)(&house);
    let doubt = doubt(case);
    let died = house.block_on(first_end(&house, flow, &mut services, doubt));
    if !died {
        house.agrees(doubt);
        return false;
    }
    drop(services);
    house.block_on(house.crm.deliveries_drained());
    go_on(&house, case, doubt);
    died
}

fn doubt(case: Case) -> Doubt {
    let window = [Boundary::IntentOpened, Boundary::StepAnswered, Boundary::Applied];
    if case.flow.document == Some(case.nth) && window.contains(&case.boundary) { Doubt::Documents } else { Doubt::None }
}

/// Waits until one of them dies or everything is done; then all of them are stopped. Answers whether one was aborted.
async fn first_end(house: &House, flow: &Flow, services: &mut [Service], doubt: Doubt) -> bool {
    let ended = poll(PATIENCE, || {
        let ended = services.iter_mut().any(|service| service.ended().is_some());
        async move {
            // The import ends by itself, and a stop would be an interruption.
            let done = flow.driver != Driver::Import && check::findings(house, doubt).await.is_empty();
            (ended || done).then_some(())
        }
    });
    if ended.await.is_none() {
        let said: Vec<String> = services.iter().map(Service::log).collect();
        panic!("it neither ends nor comes right: {:?}\n{}", check::findings(house, doubt).await, said.join("\n"));
    }
    let mut ends: Vec<ExitStatus> = Vec::new();
    for service in services.iter_mut() {
        // A boundary behind the last settling is passed on the way out.
        ends.push(service.stop().await);
    }
    for (end, service) in ends.iter().zip(services.iter()) {
        assert!(end.success() || aborted(*end), "it ended with {end}:\n{}", service.log());
    }
    ends.into_iter().any(aborted)
}

/// The processes are started again, and everything comes right by itself.
fn go_on(house: &House, case: Case, doubt: Doubt) {
    let mut services = case.flow.start(house, &[]);
    if case.boundary == Boundary::WebhookRead {
        found_by_the_poll(house, case);
    }
    house.settles(doubt);
    if doubt == Doubt::Documents {
        let asked = house.run(&["review", "list", "--json"]).ok().json();
        assert_eq!(asked.as_array().map(Vec::len), Some(1), "a document in doubt is a question: {asked}");
    }
    if case.flow.driver == Driver::Import {
        house.block_on(services[0].end());
    }
    house.ends_well(services, doubt);
}

/// The CRM called, was cut off and does not call again: only the poll can know.
fn found_by_the_poll(house: &House, case: Case) {
    let calls = house.crm.deliveries();
    assert!(calls.iter().any(|call| matches!(call.outcome, Outcome::Failed(_))), "{calls:?}");
    if case.nth == 1 {
        assert!(!house.block_on(check::findings(house, Doubt::None)).is_empty(), "nobody can know of it yet");
    }
    house.run(&["run", "siagh", "poll"]).ok();
}
