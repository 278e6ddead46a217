//! The customers of the benchmark: made up, all alike, told apart by a serial number of seven digits.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tandem_bridges::siagh::{CUSTOMER, SIAGH, hint};
use tandem_core::{Actor, Lane, Notice, Nudge, RecordKey, Trigger};
use tandem_store::Store;
use uuid::Uuid;

/// A customer of the CRM.
#[derive(Debug, Clone, Copy)]
pub struct Person {
    pub id: Uuid,
    pub serial: u32,
}

impl Person {
    /// The number that tells this one apart in names, addresses and telephones: always as long.
    pub fn digits(serial: u32) -> String {
        format!("{serial:07}")
    }

    pub fn key(&self) -> RecordKey {
        RecordKey::new(SIAGH, CUSTOMER, self.id.to_string())
    }

    fn object(serial: u32) -> Value {
        let digits = Self::digits(serial);
        json!({
            "crmObjectTypeCode": "person",
            "nickName": format!("نام نمونه {digits}"), "firstName": "نام", "lastName": format!("نمونه {digits}"),
            "email": format!("c{digits}@example.test"),
            "phoneContacts": [{ "default": true, "phoneType": "Mobile", "phoneNumber": format!("0912{digits}") }],
            "addressContacts": [{ "default": true, "address": format!("خیابان نمونه، پلاک {digits}"), "zipCode": "1234567890" }],
        })
    }
}

/// Puts people into a simulated CRM through its control port, `batch` at a time; after each batch its clock goes on by
/// `seconds`, so that they were not all saved at once.
pub async fn seed(control: &str, serials: std::ops::Range<u32>, batch: u32, seconds: u32) -> Result<Vec<Person>> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let (mut people, mut first) = (Vec::new(), serials.start);
    while first < serials.end {
        let last = (first + batch).min(serials.end);
        let persons: Vec<Value> = (first..last).map(Person::object).collect();
        let seeded: Value = post(&http, &format!("{control}/seed"), &json!({ "persons": persons })).await?;
        let ids = seeded["crmIds"].as_array().context("the ids of the seeded")?;
        for (serial, id) in (first..last).zip(ids) {
            people.push(Person { id: id.as_str().unwrap_or_default().parse()?, serial });
        }
        if seconds > 0 {
            post(&http, &format!("{control}/clock"), &json!({ "advanceSeconds": seconds })).await?;
        }
        first = last;
    }
    Ok(people)
}

/// Sends JSON to a control port.
pub async fn post(http: &reqwest::Client, url: &str, body: &Value) -> Result<Value> {
    Ok(http.post(url).json(body).send().await?.error_for_status()?.json().await?)
}

/// How often the paths of a simulator were called, in all.
pub async fn calls(control: &str) -> Result<u64> {
    let http = reqwest::Client::builder().no_proxy().build()?;
    let calls: Value = http.get(format!("{control}/calls")).send().await?.error_for_status()?.json().await?;
    Ok(calls.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum())
}

/// Notices people as a webhook does; answers what is to be published.
pub async fn notice(store: &Store, people: &[Person]) -> Result<Vec<Nudge>> {
    let mut nudges = Vec::new();
    for some in people.chunks(500) {
        let notices: Vec<Notice> = some
            .iter()
            .map(|person| Notice {
                key: person.key(),
                hint: Some(hint::PERSON.to_owned()),
                trigger: Trigger::Webhook,
                actor: Actor::new("crm"),
                lane: Lane::Live,
            })
            .collect();
        nudges.extend(store.notice(&notices, chrono::Utc::now()).await?);
    }
    Ok(nudges)
}
