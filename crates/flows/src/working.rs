//! Working through what is open, and what came of it.

use crate::{World, customer, siagh_id};
use chrono::{TimeDelta, Utc};
use tandem_core::{DestId, LedgerRow, RecordKey, State};
use tandem_engine::{Clock, Engine, NotNow, Outcome};
use tandem_simulators::siagh::Contact;
use tandem_store::{LogFilter, LogRow, RowFilter};
use uuid::Uuid;

impl World {
    pub fn now(&self) -> chrono::DateTime<Utc> {
        self.clock.now()
    }

    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// Looks at one record now.
    pub async fn work(&self, key: &RecordKey) -> Outcome {
        self.engine.work(key).await.expect("the ledger answers").outcome
    }

    pub async fn row(&self, key: &RecordKey) -> LedgerRow {
        self.store.row(key).await.expect("the ledger answers").unwrap_or_else(|| panic!("the ledger has no {key}"))
    }

    /// State and reason, as `why` shows them.
    pub async fn why(&self, key: &RecordKey) -> (State, String) {
        let row = self.row(key).await;
        (row.state, row.reason)
    }

    /// Asserts the state and that the reason says all of `words`.
    pub async fn expect(&self, key: &RecordKey, state: State, words: &[&str]) {
        let (found, reason) = self.why(key).await;
        assert_eq!(found, state, "{key}: {reason}");
        for word in words {
            assert!(reason.contains(word), "{key}: {word:?} is not said in {reason:?}");
        }
    }

    /// The contact that a customer is paired with.
    pub async fn contact_of(&self, id: Uuid) -> Contact {
        let row = self.row(&customer(id)).await;
        let code = row.dest_id.as_ref().map(DestId::as_str).and_then(|code| code.parse().ok());
        let code = code.unwrap_or_else(|| panic!("{id} is paired with nobody: {} {}", row.state, row.reason));
        self.finance.contact(code).unwrap_or_else(|| panic!("there is no contact {code}"))
    }

    pub async fn rows(&self) -> Vec<LedgerRow> {
        let filter = RowFilter { limit: 100_000, ..RowFilter::default() };
        self.store.rows(&filter).await.expect("the ledger answers")
    }

    /// The log of one record, oldest first.
    pub async fn log(&self, key: &RecordKey) -> Vec<LogRow> {
        let filter = LogFilter {
            kind: Some(key.kind.clone()),
            source_id: Some(key.source_id.clone()),
            ascending: true,
            limit: 1_000,
            ..LogFilter::default()
        };
        self.store.log(&filter).await.expect("the ledger answers")
    }

    /// Works on everything that is due now, and on what that opens; the clock stands still. Answers how many looks it took.
    pub async fn work_due(&self) -> usize {
        work_due(&self.engine).await
    }

    /// Works until nothing is open, moving the clock to the next due time whenever nothing is due.
    ///
    /// # Panics
    /// When that does not come to an end.
    pub async fn settle(&self) {
        for _ in 0..400 {
            self.work_due().await;
            let open: Vec<LedgerRow> = self.rows().await.into_iter().filter(LedgerRow::is_open).collect();
            if open.is_empty() {
                return;
            }
            let now = self.now();
            let circuit = self.engine.circuits().get(&siagh_id()).map(|circuit| circuit.probe_at);
            let free = |row: &LedgerRow| row.lease_until.filter(|until| *until > now).unwrap_or(now).max(row.due_at);
            let next = circuit.into_iter().chain(open.iter().map(free)).filter(|at| *at > now).min();
            self.advance(next.map_or(TimeDelta::seconds(1), |at| at - now + TimeDelta::milliseconds(1)));
        }
        let left = self.store.leftovers(self.now()).await.expect("the ledger answers");
        panic!("it does not come to an end: {left:#?}");
    }

    /// Settles, then checks.
    pub async fn settle_and_check(&self) {
        self.settle().await;
        self.check().await;
    }
}

impl World {
    /// Waits until nothing of what we sent is on its way any more: it arrived, or it never will.
    pub async fn calm(&self) {
        self.finance.close().await;
        self.crm.close().await;
        self.finance.open().await.expect("the port is still ours");
        self.crm.open().await.expect("the port is still ours");
    }
}

/// Works on everything that is due for one engine, as its worker would: not while the circuit is open.
pub async fn work_due(engine: &Engine) -> usize {
    let mut looks = 0;
    loop {
        engine.circuits().refresh().await.expect("the ledger answers");
        if !engine.probe_if_due(&siagh_id()).await.expect("the ledger answers") {
            return looks;
        }
        let now = engine.now();
        let filter =
            RowFilter { due_before: Some(now + TimeDelta::milliseconds(1)), limit: 100_000, ..RowFilter::default() };
        let due = engine.store().rows(&filter).await.expect("the ledger answers");
        let mut worked = 0;
        for row in due {
            if engine.circuits().is_open(&siagh_id()) {
                break;
            }
            match engine.work(&row.key).await.expect("the ledger answers").outcome {
                Outcome::NotNow(NotNow::Busy | NotNow::NotDue(_)) => {}
                _ => worked += 1,
            }
        }
        looks += worked;
        assert!(looks < 20_000, "the same records are due again and again");
        if worked == 0 {
            return looks;
        }
    }
}
