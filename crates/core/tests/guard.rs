//! The loop guard over orderings of events: whatever order saves, nudges, echoes and looks come in, the last save
//! arrives, nothing echoes, and the time gate holds without losing anything.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use std::sync::Arc;
use tandem_core::guard::{Verdict, judge};
use tandem_core::{Fields, LedgerRow, RecordKey, SourceRecord, Stamp, Trigger};

const GATE: TimeDelta = TimeDelta::seconds(10);

#[derive(Debug, Clone)]
enum Event {
    /// A person saves this content; a nudge follows or is lost.
    Save {
        content: u8,
        nudge: bool,
    },
    /// A nudge without a save: a duplicate, a replayed webhook, our own echo.
    Nudge,
    /// The worker looks, if there is something due.
    Look,
    Pass {
        seconds: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0u8..4, any::<bool>()).prop_map(|(content, nudge)| Event::Save { content, nudge }),
        2 => Just(Event::Nudge),
        3 => Just(Event::Look),
        2 => (0i64..15).prop_map(|seconds| Event::Pass { seconds }),
    ]
}

/// A source, a destination and a ledger row in a few lines: what the engine does with the guard's verdicts.
struct World {
    row: LedgerRow,
    source: u8,
    stamped: Option<Stamp>,
    destination: Option<u8>,
    writes: Vec<DateTime<Utc>>,
    now: DateTime<Utc>,
}

impl World {
    fn new() -> Self {
        let now = DateTime::<Utc>::from_timestamp(1_800_000_000, 0).unwrap();
        let mut row = LedgerRow::unknown(RecordKey::new("b", "k", "1"), now);
        row.trigger = Trigger::Webhook;
        Self { row, source: 0, stamped: None, destination: None, writes: vec![], now }
    }

    fn record(&self) -> SourceRecord {
        let fields = Fields::new().text("content", Some(&self.source.to_string()));
        SourceRecord { fields, stamp: self.stamped.clone(), version: None, hint: None, body: Arc::new(()) }
    }

    fn nudge(&mut self) {
        self.row.noticed += 1;
        self.row.due_at = self.row.due_at.min(self.now);
    }

    fn look(&mut self) {
        if !self.row.is_open() || self.row.due_at > self.now {
            return;
        }
        match judge(&self.row, &self.record(), false, self.now, GATE) {
            Verdict::NotBefore(gate) => {
                self.row.due_at = gate;
                return;
            }
            Verdict::Echo | Verdict::InStep => {}
            Verdict::Proceed => self.write(),
        }
        self.row.settled = self.row.noticed;
    }

    fn write(&mut self) {
        self.destination = Some(self.source);
        self.writes.push(self.now);
        let stamp = Stamp::new(format!("s{}", self.writes.len()));
        self.row.source_checksum = Some(self.record().fields.checksum());
        self.row.written_at = Some(self.now);
        self.row.stamp = Some(stamp.clone());
        self.stamped = Some(stamp);
    }

    fn run(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Save { content, nudge } => {
                    self.source = *content;
                    if *nudge {
                        self.nudge();
                    }
                }
                Event::Nudge => self.nudge(),
                Event::Look => self.look(),
                Event::Pass { seconds } => self.now += TimeDelta::seconds(*seconds),
            }
        }
    }

    /// The poll finds what nudges lost; then time passes until nothing is open.
    fn settle(&mut self) {
        self.nudge();
        for _ in 0..3 {
            self.look();
            self.now = self.now.max(self.row.due_at);
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_order_the_last_save_arrives(events in prop::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        world.run(&events);
        world.settle();
        prop_assert_eq!(world.destination, Some(world.source));
        prop_assert!(!world.row.is_open());
    }

    #[test]
    fn the_gate_keeps_writes_apart(events in prop::collection::vec(event(), 0..60)) {
        let mut world = World::new();
        world.run(&events);
        world.settle();
        for pair in world.writes.windows(2) {
            prop_assert!(pair[1] - pair[0] >= GATE, "{pair:?}");
        }
    }

    #[test]
    fn nudges_without_a_save_write_nothing(nudges in 1usize..50, seconds in 0i64..100) {
        let mut world = World::new();
        world.settle();
        let before = world.writes.len();
        for _ in 0..nudges {
            world.now += TimeDelta::seconds(seconds);
            world.nudge();
            world.look();
        }
        prop_assert_eq!(world.writes.len(), before);
    }
}

#[test]
fn our_own_write_is_told_from_content_that_merely_is_in_step() {
    let mut world = World::new();
    world.settle();
    assert_eq!(judge(&world.row, &world.record(), false, world.now, GATE), Verdict::Echo);
    world.stamped = None;
    assert_eq!(judge(&world.row, &world.record(), false, world.now, GATE), Verdict::InStep);
}

#[test]
fn a_stamp_of_ours_on_other_content_is_no_echo() {
    // Somebody edited the object and kept our mark: a checksum that differs always counts.
    let mut world = World::new();
    world.settle();
    world.source = 3;
    world.now += GATE;
    assert_eq!(judge(&world.row, &world.record(), false, world.now, GATE), Verdict::Proceed);
}

#[test]
fn an_open_write_makes_a_matching_checksum_prove_nothing() {
    let mut world = World::new();
    world.settle();
    assert_eq!(judge(&world.row, &world.record(), true, world.now, GATE), Verdict::Proceed);
}

#[test]
fn a_person_who_asks_is_let_through_every_layer() {
    let mut world = World::new();
    world.settle();
    world.row.trigger = Trigger::Manual;
    assert_eq!(judge(&world.row, &world.record(), false, world.now, GATE), Verdict::Proceed);
}

#[test]
fn a_clock_that_was_stepped_back_does_not_keep_the_gate_shut() {
    let mut world = World::new();
    world.settle();
    world.source = 3;
    world.now -= TimeDelta::hours(2);
    assert_eq!(judge(&world.row, &world.record(), false, world.now, GATE), Verdict::Proceed);
}

#[test]
fn a_gate_of_zero_is_always_open() {
    let mut world = World::new();
    world.settle();
    world.source = 3;
    assert_eq!(judge(&world.row, &world.record(), false, world.now, TimeDelta::zero()), Verdict::Proceed);
}
