//! People at work in the CRM, in an order that a number decides: new customers, changes, quotes.

use crate::check;
use crate::house::{Doubt, House, PATIENCE, person, quote};
use serde_json::json;
use tandem_bridges::siagh::PRE_INVOICE;
use tandem_core::{LedgerRow, State};
use tandem_simulators::payamgostar::{Admin, Kind};
use tandem_store::RowFilter;
use tandem_testbed::signal::poll;
use uuid::Uuid;

/// A small generator, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

pub struct People {
    crm: Admin,
    pub dice: Dice,
    known: Vec<Uuid>,
    made: u32,
}

impl People {
    pub fn new(crm: Admin, seed: u64) -> Self {
        Self { crm, dice: Dice(seed), known: Vec::new(), made: 0 }
    }

    /// So many things happen, one right after the other.
    pub fn go(&mut self, steps: u32) {
        for _ in 0..steps {
            self.step();
        }
    }

    fn step(&mut self) {
        self.made += 1;
        let (made, crm) = (self.made, &self.crm);
        let someone = match self.known.len() {
            0 => None,
            several => Some(self.known[self.dice.roll(several)]),
        };
        match (self.dice.roll(10), someone) {
            (0..4, _) | (_, None) => {
                let fields = person(&format!("علی نمونه {made}"), &format!("0900{made:07}"));
                self.known.push(crm.create(Kind::Person, &fields).unwrap());
            }
            (4..6, Some(id)) => crm.edit(id, &json!({ "description": format!("نوشته {made}") })).unwrap(),
            (6, Some(id)) => crm.edit(id, &json!({ "nickName": format!("زهرا نمونه {made}") })).unwrap(),
            (_, Some(id)) => {
                let quote = crm.create(Kind::Quote, &quote(id, made)).unwrap();
                crm.number(quote).unwrap();
            }
        }
    }
}

impl House {
    /// The bad time is over: what no webhook told is found by a poll, documents in doubt are decided as a person who looks
    /// would decide them, and then everything has to agree. Answers how many had to be decided.
    pub fn clean_up(&self) -> usize {
        self.block_on(self.crm.deliveries_drained());
        self.run(&["run", "siagh", "poll"]).ok();
        let mut decided = 0;
        // As long as it gets on, it may take its time.
        let mut open = usize::MAX;
        while !self.block_on(check::findings(self, Doubt::Documents)).is_empty() {
            let fewer = poll(PATIENCE, || async {
                let now = check::findings(self, Doubt::Documents).await.len();
                (now < open).then_some(now)
            });
            match self.block_on(fewer) {
                Some(now) => open = now,
                None => self.agrees(Doubt::Documents),
            }
        }
        for row in self.in_doubt() {
            self.decide(&row);
            decided += 1;
        }
        self.settles(Doubt::None);
        decided
    }

    fn in_doubt(&self) -> Vec<LedgerRow> {
        let filter = RowFilter { states: vec![State::NeedsReview], limit: 10_000, ..RowFilter::default() };
        self.block_on(self.store.rows(&filter)).unwrap()
    }

    /// Looks into Siagh for the document, and says what there is.
    fn decide(&self, row: &LedgerRow) {
        let id = row.key.source_id.as_str();
        let documents = self.finance.documents();
        let found = documents.iter().find(|document| check::is_of(document, id));
        let number = found.map(|document| document.number.to_string());
        let decision = match &number {
            Some(number) => vec!["--exists", number],
            None => vec!["--again"],
        };
        self.run(&[&["review", "resolve", "siagh", PRE_INVOICE, id][..], &decision].concat()).ok();
    }
}
