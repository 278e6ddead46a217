//! Everything at once, in an order that a number decides: people edit in both systems, webhooks come twice or never, answers
//! are lost, our process dies. In the end everything is worked through and the checker looks.

use crate::{Line, Setup, World, contact, customer, mobile, organization, person, pre_invoice, run_until, with};
use chrono::TimeDelta;
use serde_json::json;
use tandem_core::{Lane, RecordKey, State, Trigger};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::Contact;
use tandem_simulators::{Arm, Fault};
use tandem_store::Resolution;
use uuid::Uuid;

/// A small generator, the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
    fn one_of<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let at = self.roll(things.len().max(1) as u64);
        things.get(usize::try_from(at).unwrap_or(0)).copied()
    }
}

struct Soup {
    world: World,
    dice: Dice,
    people: Vec<Uuid>,
    quotes: Vec<Uuid>,
    made: u32,
}

/// Runs `steps` random steps and checks. The same seed does the same.
pub async fn soup(setup: Setup, seed: u64, steps: u32) {
    let world = World::start(setup).await;
    let mut soup = Soup { world, dice: Dice(seed), people: Vec::new(), quotes: Vec::new(), made: 0 };
    for _ in 0..steps {
        soup.step().await;
    }
    soup.end().await;
}

impl Soup {
    async fn step(&mut self) {
        match self.dice.roll(16) {
            0 | 1 => self.create().await,
            2 | 3 => self.edit().await,
            4 => self.quote().await,
            5 => self.requote().await,
            6 => self.siagh_contact().await,
            7 => self.spoil(),
            8 | 9 => self.die().await,
            10 => self.world.advance(TimeDelta::seconds(i64::try_from(self.dice.roll(90)).unwrap_or(1) - 5)),
            11 => drop(self.world.scan("poll").await),
            12 => self.nag().await,
            13 => self.convert().await,
            _ => drop(self.world.work_due().await),
        }
    }

    fn name(&mut self) -> String {
        self.made += 1;
        format!("علی نمونه {}", self.made)
    }

    async fn create(&mut self) {
        let name = self.name();
        let number = mobile(&format!("0912{:07}", self.made));
        let (kind, fields) = match self.dice.roll(3) {
            0 => (Kind::Organization, organization(&name)),
            1 => (Kind::Person, person(&name)),
            _ => (Kind::Person, with(person(&name), number)),
        };
        let id = self.world.create(kind, &fields);
        self.people.push(id);
        // Sometimes the webhook is lost.
        if self.dice.roll(4) > 0 {
            self.world.tell_customer("Insert", id).await;
        }
    }

    async fn edit(&mut self) {
        let Some(id) = self.dice.one_of(&self.people) else { return };
        self.made += 1;
        let change = match self.dice.roll(3) {
            0 => mobile(&format!("0912{:07}", self.made)),
            1 => json!({ "email": format!("a{}@example.test", self.made) }),
            _ => json!({ "description": format!("نوشته {}", self.made) }),
        };
        self.world.crm.edit(id, &change).expect("the CRM takes it");
        if self.dice.roll(4) > 0 {
            self.world.tell_customer("Update", id).await;
        }
    }

    async fn convert(&mut self) {
        if let Some(id) = self.dice.one_of(&self.people) {
            self.world.crm.convert(id).expect("the CRM converts it");
            self.world.tell_customer("Update", id).await;
        }
    }

    async fn quote(&mut self) {
        let Some(id) = self.dice.one_of(&self.people) else { return };
        self.made += 1;
        let product = if self.dice.roll(5) == 0 { "Product-9" } else { "Product-1" };
        let quote = self.world.draft(id, &[Line::of(product, "2", &self.made.to_string())], json!({}));
        if self.dice.roll(5) > 0 {
            self.world.crm.number(quote).expect("the CRM numbers it");
        }
        self.quotes.push(quote);
        if self.dice.roll(4) > 0 {
            self.world.tell_quote("Insert", quote).await;
        }
    }

    async fn requote(&mut self) {
        let Some(quote) = self.dice.one_of(&self.quotes) else { return };
        if self.dice.roll(2) == 0 {
            self.world.crm.number(quote).expect("the CRM numbers it");
        } else {
            self.made += 1;
            let change = json!({ "description": format!("نوشته {}", self.made) });
            self.world.crm.edit(quote, &change).expect("the CRM takes it");
        }
        self.world.tell_quote("Update", quote).await;
    }

    /// A contact that was typed into Siagh and is imported.
    async fn siagh_contact(&mut self) {
        let name = self.name();
        let code = self.world.contact(Contact::person(&name));
        self.world.notice(&contact(code), None, Trigger::Import, Lane::Bulk).await;
    }

    fn spoil(&mut self) {
        let fault = match self.dice.roll(8) {
            0 => Fault::ResetBefore,
            1 => Fault::ResetAfterCommit,
            2 => Fault::Status { code: 500, committed: true },
            3 => Fault::Status { code: 503, committed: false },
            4 => Fault::TruncatedJson,
            5 => Fault::HtmlPage { committed: true },
            6 => Fault::DropSession,
            _ => Fault::EmptyCreated,
        };
        let on = ["SaveFormData", "GetAll", "create", "get", "find"];
        let on = self.dice.one_of(&on).unwrap_or_default();
        self.world.finance.arm(Arm::once(fault.clone()).on(on));
        self.world.crm.arm(Arm::once(fault).on(on));
    }

    /// Our process dies somewhere in the middle of a record, and a new one starts.
    async fn die(&mut self) {
        let open: Vec<RecordKey> =
            self.world.rows().await.into_iter().filter(|row| row.is_open()).map(|row| row.key).collect();
        let at = usize::try_from(self.dice.roll(open.len().max(1) as u64)).unwrap_or(0);
        if let Some(key) = open.get(at) {
            let n = u32::try_from(1 + self.dice.roll(25)).unwrap_or(1);
            drop(run_until(n, self.world.engine.work(key)).await);
        }
        self.world.calm().await;
        self.world.restart();
    }

    async fn nag(&mut self) {
        if let Some(id) = self.dice.one_of(&self.people) {
            for _ in 0..self.dice.roll(4) {
                self.world.tell_customer("Update", id).await;
            }
        }
        if let Some(quote) = self.dice.one_of(&self.quotes) {
            self.world.sync(&pre_invoice(quote)).await;
        }
    }

    /// The bad days are over: everything is worked through, doubts are decided as a person who looks would decide them.
    async fn end(&mut self) {
        let world = &mut self.world;
        world.calm().await;
        world.crm.disarm();
        world.finance.disarm();
        world.restart();
        world.map("goods", "Product-9", crate::GOOD).await;
        world.advance(TimeDelta::hours(1));
        world.poll().await;
        for id in &self.people {
            world.notice(&customer(*id), None, Trigger::Reconcile, Lane::Bulk).await;
        }
        world.settle().await;
        for row in world.rows().await {
            // What the bad days killed, an operator tries again.
            if row.state == State::Dead || row.reason.contains("may or may not have happened") {
                world.sync(&row.key).await;
            }
        }
        world.settle().await;
        for quote in &self.quotes {
            decide(world, *quote).await;
        }
        world.settle_and_check().await;
        for row in world.rows().await {
            let undecided = row.state == State::NeedsReview && row.reason.contains("the answer was lost");
            assert!(!undecided && row.state != State::Dead, "{}: {} {}", row.key, row.state, row.reason);
        }
    }
}

async fn decide(world: &World, quote: Uuid) {
    let key = pre_invoice(quote);
    let Ok(Some(row)) = world.store.row(&key).await else { return };
    if row.state != State::NeedsReview || !row.reason.contains("the answer was lost") {
        return;
    }
    let reference = format!("CRM:{}", &quote.simple().to_string()[..8]);
    let documents = world.finance.documents();
    let resolution = match documents.iter().find(|document| document.control("tozihat").ends_with(&reference)) {
        Some(document) => {
            let refs = json!({ "number": document.number.to_string() });
            Resolution::Exists { dest_id: None, refs: refs.as_object().cloned().unwrap_or_default() }
        }
        None => Resolution::Again,
    };
    world.resolve(&key, resolution).await;
}
