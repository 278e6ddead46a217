//! From the recording of one record to a script that does the same for any other.
//!
//! What differs from record to record is found by its value: the CRM id, the serial number in names and telephones, the row
//! id, the code of the new contact, GUIDs and moments. Everything else is sent as it was recorded.

use crate::people::{self, Person};
use crate::rig;
use crate::tape::{Sent, System, Tape};
use anyhow::{Context as _, Result, ensure};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};
use tandem_engine::Outcome;
use tandem_store::Store;
use uuid::Uuid;

/// Numbers that occur nowhere else in what is recorded.
const FIRST_ROW: i64 = 7_300_001;
const FIRST_CODE: i64 = 4_700_001;

const INT8: u32 = 20;
const TIMESTAMPTZ: u32 = 1_184;
const UUID: u32 = 2_950;

/// A piece of a text.
#[derive(Debug, Clone)]
pub enum Part {
    Same(Vec<u8>),
    Id,
    Digits,
    Code,
}

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub enum Slot {
    Null,
    Text(Vec<Part>),
    RowId,
    /// The same number is the same GUID.
    Guid(usize),
    /// So many microseconds after the record was begun.
    Moment(i64),
}

/// One thing to do for a record.
#[derive(Debug, Clone)]
pub enum Action {
    Statement { sql: &'static str, slots: Vec<(u32, Slot)> },
    Text(&'static str),
    Call { url: String, headers: HeaderMap, body: Vec<Part>, write: bool },
}

pub struct Script {
    pub actions: Vec<Action>,
    pub calls: usize,
    pub statements: usize,
}

/// The systems to record against, and a serial number from which on some people are free.
pub struct Place<'p> {
    pub database: &'p str,
    pub crm: &'p str,
    pub crm_control: &'p str,
    pub finance: &'p str,
}

/// Works on a few new customers through recording proxies, and makes a script of the last one.
///
/// The simulated Siagh must have a contact with [`first_contact`] already.
pub async fn record(place: &Place<'_>, serial: u32) -> Result<Script> {
    let store = rig::store(place.database).await?;
    let restart = format!("ALTER TABLE entity_mapping ALTER COLUMN id RESTART WITH {FIRST_ROW}");
    PgConnection::connect(place.database).await?.execute(sqlx::AssertSqlSafe(restart)).await?;
    store.close().await;

    let tape = Tape::default();
    let store: Store = rig::store(&tape.listen_in(place.database, None).await?).await?;
    let crm = tape.listen_in(place.crm, Some(System::Crm)).await?;
    let finance = tape.listen_in(place.finance, Some(System::Finance)).await?;
    let engine = rig::engine(&store, rig::bridge(&crm, &finance, |_| {})?);
    // The first ones log in, read the list of contacts and prepare statements; the last one is as all others will be.
    let people = people::seed(place.crm_control, serial..serial + 4, 10, 0).await?;
    people::notice(&store, &people).await?;
    for person in &people {
        tape.take();
        let worked = engine.work(&person.key()).await?;
        ensure!(matches!(worked.outcome, Outcome::Settled { .. }), "the recorded record: {:?}", worked.outcome);
    }
    let sent = tape.take();
    let person = people.last().context("somebody")?;
    let row = store.row(&person.key()).await?.context("the recorded row")?;
    let code = row.dest_id.context("the recorded contact")?.as_str().to_owned();
    store.close().await;
    let known = Known { id: person.id.to_string(), digits: Person::digits(person.serial), code, row: row.id };
    script(sent, &known, place)
}

/// A contact that makes the codes of those after it long enough to be told from other numbers.
pub fn first_contact() -> serde_json::Value {
    json!({ "Code": FIRST_CODE, "Name": "نخستین", "IsActive": true })
}

struct Known {
    id: String,
    digits: String,
    code: String,
    row: i64,
}

fn script(sent: Vec<Sent>, known: &Known, place: &Place<'_>) -> Result<Script> {
    let mut builder = Builder { known, began: began(&sent), guids: Vec::new() };
    let mut actions = Vec::new();
    for sent in sent {
        actions.push(match sent {
            Sent::Text(sql) => Action::Text(sql.leak()),
            Sent::Statement { sql, types, values } => {
                let slots = types.into_iter().zip(values).map(|(of, value)| (of, builder.slot(of, value))).collect();
                Action::Statement { sql: sql.leak(), slots }
            }
            Sent::Call { system, method, path, headers, body } => {
                ensure!(method == "POST", "a {method} {path} was recorded, which the script can't play");
                let base = if system == System::Crm { place.crm } else { place.finance };
                let write = ["SaveFormData", "/create", "/update"].iter().any(|word| path.contains(word));
                Action::Call {
                    url: format!("{base}{path}"),
                    headers: kept(headers)?,
                    body: builder.parts(&body),
                    write,
                }
            }
        });
    }
    let calls = actions.iter().filter(|action| matches!(action, Action::Call { .. })).count();
    let statements = actions.len() - calls;
    ensure!(calls >= 2 && statements >= 3, "the recording has {calls} calls and {statements} statements");
    Ok(Script { actions, calls, statements })
}

/// The earliest moment that is mentioned: when the record was begun.
fn began(sent: &[Sent]) -> i64 {
    let parameters = sent.iter().flat_map(|sent| match sent {
        Sent::Statement { types, values, .. } => types.iter().zip(values).collect(),
        _ => Vec::new(),
    });
    let moments = parameters.filter(|(of, _)| **of == TIMESTAMPTZ).filter_map(|(_, value)| number(value.as_deref()?));
    moments.min().unwrap_or_default()
}

fn number(value: &[u8]) -> Option<i64> {
    value.try_into().ok().map(i64::from_be_bytes)
}

/// Headers but those that the client makes itself.
fn kept(headers: Vec<(String, String)>) -> Result<HeaderMap> {
    let own = ["host", "content-length", "connection", "transfer-encoding"];
    let mut kept = HeaderMap::new();
    for (name, value) in headers.into_iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        kept.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(&value)?);
    }
    Ok(kept)
}

struct Builder<'k> {
    known: &'k Known,
    began: i64,
    guids: Vec<Vec<u8>>,
}

impl Builder<'_> {
    fn slot(&mut self, of: u32, value: Option<Vec<u8>>) -> Slot {
        let Some(value) = value else { return Slot::Null };
        match of {
            INT8 if number(&value) == Some(self.known.row) => Slot::RowId,
            TIMESTAMPTZ => Slot::Moment(number(&value).unwrap_or_default() - self.began),
            UUID => {
                let known = self.guids.iter().position(|guid| *guid == value);
                Slot::Guid(known.unwrap_or_else(|| {
                    self.guids.push(value);
                    self.guids.len() - 1
                }))
            }
            _ => Slot::Text(self.parts(&value)),
        }
    }

    fn parts(&self, text: &[u8]) -> Vec<Part> {
        let known = [(&self.known.id, Part::Id), (&self.known.digits, Part::Digits), (&self.known.code, Part::Code)];
        let (mut parts, mut same, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some(byte) = rest.first() {
            match known.iter().find(|(token, _)| rest.starts_with(token.as_bytes())) {
                Some((token, part)) => {
                    parts.push(Part::Same(std::mem::take(&mut same)));
                    parts.push(part.clone());
                    rest = &rest[token.len()..];
                }
                None => {
                    same.push(*byte);
                    rest = &rest[1..];
                }
            }
        }
        parts.push(Part::Same(same));
        parts
    }
}

/// What a script needs to know of the record that it is played for.
pub struct Values {
    id: String,
    digits: String,
    pub code: String,
    pub row: i64,
    guids: Vec<Uuid>,
    now: i64,
}

/// Microseconds since 2000, as Postgres counts.
fn now() -> i64 {
    chrono::Utc::now().timestamp_micros() - 946_684_800_000_000
}

impl Values {
    pub fn of(person: &Person) -> Self {
        Self {
            id: person.id.to_string(),
            digits: Person::digits(person.serial),
            code: String::new(),
            row: 0,
            guids: Vec::new(),
            now: now(),
        }
    }

    pub fn text(&self, parts: &[Part]) -> Vec<u8> {
        let mut text = Vec::with_capacity(1_024);
        for part in parts {
            text.extend_from_slice(match part {
                Part::Same(bytes) => bytes,
                Part::Id => self.id.as_bytes(),
                Part::Digits => self.digits.as_bytes(),
                Part::Code => self.code.as_bytes(),
            });
        }
        text
    }

    /// A parameter in Postgres's binary form.
    pub fn value(&mut self, slot: &Slot) -> Option<Vec<u8>> {
        Some(match slot {
            Slot::Null => return None,
            Slot::Text(parts) => self.text(parts),
            Slot::RowId => self.row.to_be_bytes().to_vec(),
            Slot::Guid(number) => {
                while self.guids.len() <= *number {
                    self.guids.push(Uuid::now_v7());
                }
                self.guids[*number].into_bytes().to_vec()
            }
            Slot::Moment(after) => (self.now + after).to_be_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_record_to_record_is_found_by_its_value_and_the_rest_stays() {
        let id = Uuid::from_u128(7);
        let known =
            Known { id: id.to_string(), digits: "0000004".to_owned(), code: "4700005".to_owned(), row: 7_300_004 };
        let mut builder = Builder { known: &known, began: 1_000, guids: Vec::new() };
        let text = format!("{{\"id\":\"{id}\",\"mobile\":\"09120000004\",\"code\":4700005}}").into_bytes();
        let other = Person { id: Uuid::from_u128(9), serial: 12 };
        let mut values = Values { code: "88".to_owned(), row: 3, now: 50, ..Values::of(&other) };
        let mut play = |of, value: Vec<u8>| {
            let slot = builder.slot(of, Some(value));
            values.value(&slot).unwrap()
        };
        let expected = format!("{{\"id\":\"{}\",\"mobile\":\"09120000012\",\"code\":88}}", other.id);
        assert_eq!(String::from_utf8(play(25, text)).unwrap(), expected);
        assert_eq!(play(INT8, 7_300_004i64.to_be_bytes().to_vec()), 3i64.to_be_bytes());
        assert_eq!(play(INT8, 1i64.to_be_bytes().to_vec()), 1i64.to_be_bytes());
        assert_eq!(play(TIMESTAMPTZ, 1_045i64.to_be_bytes().to_vec()), 95i64.to_be_bytes());
        let guid = play(UUID, vec![5; 16]);
        assert_ne!(guid, vec![5; 16]);
        assert_eq!(play(UUID, vec![5; 16]), guid);
    }
}
