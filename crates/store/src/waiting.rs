//! Records that wait for another record or for a value mapping, and what sets them going again.
//!
//! The danger is the missed wake-up: the thing arrives between the look and the parking. For records, the waiter marks the other
//! row as `awaited` first and thereby holds it; for mappings, both sides take the same named lock.

use crate::db::Tx;
use crate::notice;
use crate::rows::{KEY, nudges, with_key};
use crate::{Result, Settlement};
use chrono::{DateTime, Utc};
use tandem_core::ledger::{waits_for_mapping, waits_for_record};
use tandem_core::{BridgeId, Lane, Notice, Nudge, RecordKey, State, text};

/// What a record waits for.
enum Need {
    Record(RecordKey),
    Mapping {
        bridge: BridgeId,
        typ: String,
        lookup: String,
    },
    /// Nothing that we would notice the arrival of.
    Unknown,
}

impl Need {
    fn of(word: &str) -> Self {
        let mut parts = word.split_once(':').map(|(what, rest)| (what, rest.splitn(3, '/')));
        let Some((what, parts)) = &mut parts else { return Self::Unknown };
        match (*what, parts.next(), parts.next(), parts.next()) {
            ("record", Some(bridge), Some(kind), Some(id)) => Self::Record(RecordKey::new(bridge, kind, id)),
            ("mapping", Some(bridge), Some(typ), Some(value)) => {
                Self::Mapping { bridge: bridge.into(), typ: typ.to_owned(), lookup: text::normalize(value) }
            }
            _ => Self::Unknown,
        }
    }
}

/// The outcome of an attempt to wait.
pub(crate) struct Wait {
    /// What to wait for is there already: don't.
    pub(crate) is_there: bool,
    /// The other record, if it was noticed.
    pub(crate) noticed: Vec<Nudge>,
    /// The word to wait under.
    pub(crate) word: String,
}

/// Looks for what a settlement wants to wait for, and makes sure that its arrival will be seen.
pub(crate) async fn enter(tx: &Tx, word: &str, s: &Settlement, now: DateTime<Utc>) -> Result<Wait> {
    match Need::of(word) {
        Need::Record(key) => {
            let own;
            let notice = match &s.also_notice {
                Some(notice) if notice.key == key => notice,
                _ => {
                    own = Notice {
                        key: key.clone(),
                        hint: None,
                        trigger: s.log.trigger,
                        actor: s.log.actor.clone(),
                        lane: Lane::Live,
                    };
                    &own
                }
            };
            notice_dependency(tx, notice, now).await
        }
        Need::Mapping { bridge, typ, lookup } => {
            let word = waits_for_mapping(&bridge, &typ, &lookup);
            tx.exclusive(&word).await?;
            let params = tx.params().text("bridge", bridge.as_str()).text("typ", typ).text("lookup", lookup);
            let found =
                tx.all(params.sql(
                    "SELECT target FROM value_mapping WHERE bridge = :bridge AND typ = :typ AND lookup = :lookup",
                ))
                .await?;
            Ok(Wait { is_there: !found.is_empty(), noticed: Vec::new(), word })
        }
        Need::Unknown => Ok(Wait { is_there: false, noticed: Vec::new(), word: word.to_owned() }),
    }
}

/// Marks a record as awaited, making it if the ledger does not know it, and notices it unless it moves by itself (open, waiting),
/// has nothing to do (in step, a duplicate), or is in a person's hands (review, ignored).
pub(crate) async fn notice_dependency(tx: &Tx, notice: &Notice, now: DateTime<Utc>) -> Result<Wait> {
    let word = waits_for_record(&notice.key);
    let mark = with_key(tx.params(), &notice.key).sql(&format!(
        "UPDATE entity_mapping SET awaited = true WHERE {KEY} RETURNING state, (noticed > settled) AS open"
    ));
    let known = tx
        .one(mark.clone())
        .await?
        .map(|row| Ok::<_, crate::StoreError>((row.word::<State>("state")?, row.flag("open")?)))
        .transpose()?;
    let (is_there, wants_notice) = match known {
        None => (false, true),
        Some((_, true)) => (false, false),
        Some((state, false)) if state.ends_waits() => (true, false),
        Some((State::Waiting | State::NeedsMapping | State::NeedsReview | State::Ignored, false)) => (false, false),
        Some(_) => (false, true),
    };
    let noticed = if wants_notice { notice::count(tx, std::slice::from_ref(notice), now).await? } else { Vec::new() };
    if known.is_none() {
        tx.all(mark).await?;
    }
    Ok(Wait { is_there, noticed, word })
}

/// Sets everything going that waits under a word; answers all of it, marked as published.
pub(crate) async fn release(tx: &Tx, word: &str, now: DateTime<Utc>) -> Result<Vec<Nudge>> {
    let sql = "UPDATE entity_mapping SET noticed = noticed + 1, state = 'PENDING', reason = 'what it waited for has arrived', due_at = :now,
                      waits_for = NULL, attempts = 0, takes = 0, noticed_at = :now, published_at = :now
               WHERE waits_for = :word RETURNING bridge, kind, source_id, lane";
    nudges(&tx.all(tx.params().text("word", word).time("now", now).sql(sql)).await?)
}

pub(crate) async fn nobody_waits_for(tx: &Tx, row_id: i64) -> Result<()> {
    tx.execute(tx.params().int("row_id", row_id).sql("UPDATE entity_mapping SET awaited = false WHERE id = :row_id"))
        .await
        .map(drop)
}
