//! The flows: what happens in the two systems, by which way we hear of it, and which boundaries our processes pass.

use crate::house::{House, person, quote};
use crate::service::Service;
use serde_json::json;
use tandem_engine::boundary::Boundary::{self, *};
use tandem_simulators::payamgostar::Kind;
use tandem_simulators::siagh::{CONTACT_FORM, Contact};
use tandem_simulators::{Arm, Fault};

const MOBILE: &str = "09000000001";
const NAME: &str = "علی نمونه";

/// What makes us work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The CRM calls once; nobody polls.
    Webhook,
    /// The poller; the CRM calls nobody.
    Poll,
    /// An operator's `tandem import siagh`.
    Import,
}

pub struct Flow {
    pub name: &'static str,
    pub driver: Driver,
    pub settings: &'static [(&'static str, &'static str)],
    /// What is so before.
    pub prepare: fn(&House),
    /// What happens then.
    pub act: fn(&House),
    /// Every boundary that the flow passes at least once.
    pub passes: &'static [Boundary],
    /// Boundaries that it passes or not, by who is quicker.
    pub may_pass: &'static [Boundary],
    /// Which document is written at [`IntentOpened`], [`StepAnswered`] and [`Applied`]: the so-many-th write of the flow.
    pub document: Option<u32>,
}

pub const ALL: &[&Flow] =
    &[&CREATE, &CROWD, &UPDATE, &LINK, &QUOTE, &LOST_ANSWER, &IMPORT, &IMPORT_LINK, &POLL, &REPLAY];

/// A new customer; our number for it is written back into the CRM, whose webhook about that comes to us as an echo.
pub const CREATE: Flow = Flow {
    name: "create",
    driver: Driver::Webhook,
    settings: &[("TANDEM_SIAGH_WRITE_REF_ID", "true")],
    prepare: |_| {},
    act: |house| {
        house.create_person(NAME, MOBILE);
    },
    passes: &[
        WebhookRead,
        WebhookCommitted,
        NudgesClaimed,
        NudgesPublished,
        NudgeTaken,
        Leased,
        Fetched,
        Planned,
        IntentOpened,
        StepAnswered,
        StepClosed,
        Applied,
        Settled,
        Acknowledged,
    ],
    may_pass: &[],
    document: None,
};

const ONE_WRITE: &[Boundary] = &[
    WebhookRead,
    WebhookCommitted,
    NudgesClaimed,
    NudgesPublished,
    NudgeTaken,
    Leased,
    Fetched,
    Planned,
    IntentOpened,
    StepAnswered,
    Applied,
    Settled,
    Acknowledged,
];

/// A new customer whose webhook comes in a crowd, and so by way of the spool.
pub const CROWD: Flow = Flow {
    name: "crowd",
    driver: Driver::Webhook,
    settings: &[("TANDEM_WEBHOOK_CROWD", "0")],
    prepare: |_| {},
    act: |house| {
        house.create_person(NAME, MOBILE);
    },
    passes: &[
        WebhookRead,
        WebhookCommitted,
        PageEntered,
        NudgesClaimed,
        NudgesPublished,
        NudgeTaken,
        Leased,
        Fetched,
        Planned,
        IntentOpened,
        StepAnswered,
        Applied,
        Settled,
        Acknowledged,
    ],
    may_pass: &[],
    document: None,
};

pub const UPDATE: Flow = Flow {
    name: "update",
    driver: Driver::Webhook,
    settings: &[],
    prepare: |house| {
        house.seed_person(NAME, MOBILE);
        house.run(&["run", "siagh", "--wait"]).ok();
    },
    act: |house| {
        let id = house.crm.identities()[0]["crmId"].as_str().unwrap().parse().unwrap();
        house.crm.edit(id, &json!({ "description": "نوشته تازه" })).unwrap();
    },
    passes: ONE_WRITE,
    may_pass: &[],
    document: None,
};

/// Siagh has this customer already, with other values.
pub const LINK: Flow = Flow {
    name: "link",
    driver: Driver::Webhook,
    settings: &[],
    prepare: |house| {
        house.finance.seed_contact(Contact { mobile_no: Some(MOBILE.to_owned()), ..Contact::person(NAME) });
    },
    act: |house| {
        let mut fields = person(NAME, MOBILE);
        fields["description"] = "نوشته تازه".into();
        house.crm.create(Kind::Person, &fields).unwrap();
    },
    passes: &[
        WebhookRead,
        WebhookCommitted,
        NudgesClaimed,
        NudgesPublished,
        NudgeTaken,
        Leased,
        Fetched,
        Planned,
        Bound,
        IntentOpened,
        StepAnswered,
        Applied,
        Settled,
        Acknowledged,
    ],
    may_pass: &[],
    document: None,
};

/// A quote gets its number. Its customer is not in Siagh yet: the quote waits for it, and is sent after it.
pub const QUOTE: Flow = Flow {
    name: "quote",
    driver: Driver::Webhook,
    settings: &[],
    prepare: |house| {
        house.stock();
        let customer = house.seed_person(NAME, MOBILE);
        house.crm.seed(Kind::Quote, &quote(customer, 3)).unwrap();
    },
    act: |house| {
        let id = house.crm.quotes()[0]["crmId"].as_str().unwrap().parse().unwrap();
        house.crm.number(id).unwrap();
    },
    passes: ONE_WRITE,
    may_pass: &[],
    document: Some(2),
};

/// The contact is created and the answer lost, so that the next try has to find out what became of it.
pub const LOST_ANSWER: Flow = Flow {
    name: "lost answer",
    driver: Driver::Webhook,
    settings: &[],
    prepare: |house| house.finance.arm(Arm::once(Fault::ResetAfterCommit).on(format!("#{CONTACT_FORM}"))),
    act: |house| {
        house.create_person(NAME, MOBILE);
    },
    passes: &[
        WebhookRead,
        WebhookCommitted,
        NudgesClaimed,
        NudgesPublished,
        NudgeTaken,
        Leased,
        Recovered,
        Fetched,
        Planned,
        IntentOpened,
        StepAnswered,
        Settled,
        Acknowledged,
    ],
    may_pass: &[],
    document: None,
};

/// The initial import, worked through by the command itself: no lane has a part in it.
pub const IMPORT: Flow = Flow {
    name: "import",
    driver: Driver::Import,
    settings: &[],
    prepare: |house| {
        for n in 0..3 {
            let mobile_no = Some(format!("0900000010{n}"));
            house.finance.seed_contact(Contact { mobile_no, ..Contact::person(&format!("نفر{n} نمونه")) });
        }
    },
    act: |_| {},
    passes: &[ScanPageRead, ScanPageNoticed, Leased, Fetched, Planned, IntentOpened, StepAnswered, Applied, Settled],
    may_pass: &[],
    document: None,
};

/// What the import finds in the CRM already.
pub const IMPORT_LINK: Flow = Flow {
    name: "import of a contact that the CRM has",
    driver: Driver::Import,
    settings: &[],
    prepare: |house| {
        for n in 0..2 {
            let (name, mobile) = (format!("نفر{n} نمونه"), format!("0900000030{n}"));
            let contact = Contact { mobile_no: Some(mobile.clone()), ..Contact::person(&name) };
            let code = house.finance.seed_contact(contact);
            let mut known = person(&name, &mobile);
            known["customerNumber"] = format!("100-{}", code + 1000).into();
            house.crm.seed(Kind::Person, &known).unwrap();
        }
    },
    act: |_| {},
    passes: &[
        ScanPageRead,
        ScanPageNoticed,
        Leased,
        Fetched,
        Planned,
        Bound,
        IntentOpened,
        StepAnswered,
        Applied,
        Settled,
    ],
    may_pass: &[],
    document: None,
};

/// Siagh has refused a customer, and would not any more.
pub const REPLAY: Flow = Flow {
    name: "replay",
    driver: Driver::Poll,
    settings: &[],
    prepare: |house| {
        let refused = Fault::ErrorsInside { text: "مشتری مجاز نیست".to_owned() };
        house.finance.arm(Arm::always(refused).on(format!("#{CONTACT_FORM}")));
        house.seed_person(NAME, MOBILE);
        house.run(&["run", "siagh", "--wait"]).fails_with(1);
        house.finance.disarm();
    },
    act: |house| {
        house.run(&["dead", "replay", "--all", "--yes"]).ok();
    },
    passes: &[NudgeTaken, Leased, Fetched, Planned, IntentOpened, StepAnswered, Applied, Settled, Acknowledged],
    // As with a poll: who looks into the ledger first.
    may_pass: &[NudgesClaimed, NudgesPublished],
    document: None,
};

pub const POLL: Flow = Flow {
    name: "poll",
    driver: Driver::Poll,
    settings: &[("POLL_INTERVAL_SECONDS", "5")],
    prepare: |house| {
        for n in 0..3 {
            house.seed_person(&format!("نفر{n} نمونه"), &format!("0900000020{n}"));
        }
    },
    act: |_| {},
    passes: &[
        ScanPageRead,
        ScanPageNoticed,
        NudgeTaken,
        Leased,
        Fetched,
        Planned,
        IntentOpened,
        StepAnswered,
        Applied,
        Settled,
        Acknowledged,
    ],
    // A poll's records are bulk work: the sweep claims and publishes them, unless a consumer of the embedded lanes has
    // looked into the ledger before it.
    may_pass: &[NudgesClaimed, NudgesPublished],
    document: None,
};

impl Flow {
    /// Starts what works in this flow, to die where `more` says.
    pub fn start(&self, house: &House, more: &[(&str, &str)]) -> Vec<Service> {
        if self.driver == Driver::Import {
            return vec![Service::spawn(&house.world.site, &["import", "siagh"], more)];
        }
        let roles: &[&str] = match house.ground {
            crate::house::Ground::One => &["up"],
            crate::house::Ground::Two => &["ingest", "worker"],
        };
        let mut services: Vec<Service> = roles.iter().map(|role| house.spawn(role, more)).collect();
        let address = house.block_on(services[0].address());
        if self.driver == Driver::Webhook {
            house.send_webhooks_to(&address.expect("it starts"));
        }
        services
    }
}
