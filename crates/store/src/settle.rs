//! Settling: the one transaction with which work on a record ends. Row, log, journal, pairs and those who wait, or nothing.
//!
//! On Postgres the usual settlement is a single statement. It applies only if no other record waits for this one
//! (`awaited`): releasing those needs a look at the ledger *after* our row is locked, hence a statement of its own in an
//! open transaction. A waiter sets `awaited` while it holds our row, so none can slip through between the two.

use crate::db::retried;
use crate::dialect::{Found, Params};
use crate::lease::HOLDER;
use crate::log;
use crate::pair::{self, taken};
use crate::rows::nudge;
use crate::waiting;
use crate::{Lease, Result, Settled, Settlement, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::json;
use tandem_core::ledger::waits_for_record;
use tandem_core::{Checksum, DestId, Stamp, State};

impl Store {
    /// Ends the work on a record. Whatever the settlement says is stored; if the record was noticed again meanwhile, it stays
    /// open all the same and shows as PENDING. A record that was ignored meanwhile stays IGNORED.
    ///
    /// `LostLease` if somebody else holds the record by now, `DestTaken` if the destination record belongs to another one.
    pub async fn settle(&self, lease: &Lease, s: &Settlement, now: DateTime<Utc>) -> Result<Settled> {
        let outcome = match retried!(self.settle_at_once(lease, s, now)) {
            Ok(Some(settled)) => return Ok(settled),
            Ok(None) => retried!(self.settle_in_steps(lease, s, now)),
            Err(error) => Err(error),
        };
        match outcome {
            Err(StoreError::UniqueIndex) => {
                let effect = s.closes.as_ref().map(|(_, effect)| effect);
                let dest_id = s.dest_id.as_ref().or_else(|| effect.and_then(|e| e.dest_id.as_ref()));
                Err(taken(self, lease, dest_id, effect.map_or(&[], |e| &e.pairs)).await?)
            }
            outcome => outcome,
        }
    }

    /// The single statement; `None` if it can't be used, or if it did nothing: the lease is lost or some record waits for this one.
    async fn settle_at_once(&self, lease: &Lease, s: &Settlement, now: DateTime<Utc>) -> Result<Option<Settled>> {
        let reaches_others = s.waits_for.is_some()
            || s.also_notice.is_some()
            || s.closes.as_ref().is_some_and(|(_, effect)| !effect.pairs.is_empty());
        if reaches_others || !self.dialect.writes_in_with() {
            return Ok(None);
        }
        let params = params(self.params(), lease, s, &Landing::as_asked(s), now);
        let row = update(&self.dialect.merged("refs", ":refs"), "AND NOT (:rests AND awaited)");
        let mut sql = format!("WITH settled_row AS ({row}), logged AS ({})", log::insert("settled_row"));
        if touches_journal(s) {
            sql.push_str(&format!(", journaled AS ({})", journal("settled_row")));
        }
        sql.push_str(" SELECT bridge, kind, source_id, lane, open, due_at FROM settled_row");
        let found = self.write(params.sql(&sql)).await?;
        found.first().map(|row| Ok(Settled { still_open: still_open(row)?, released: Vec::new() })).transpose()
    }

    async fn settle_in_steps(&self, lease: &Lease, s: &Settlement, now: DateTime<Utc>) -> Result<Settled> {
        let tx = self.begin().await?;
        let mut released = Vec::new();
        let mut landing = Landing::as_asked(s);
        // The other record first: it is held from here on, so it can't get in step unseen before this one is parked.
        if let Some(word) = landing.waits_for.take() {
            let wait = waiting::enter(&tx, &word, s, now).await?;
            released.extend(wait.noticed);
            if wait.is_there {
                landing.state = State::Pending;
                landing.until = Some(now);
            } else {
                landing.waits_for = Some(wait.word);
            }
        } else if let Some(notice) = &s.also_notice {
            released.extend(waiting::notice_dependency(&tx, notice, now).await?.noticed);
        }
        let params = params(tx.params(), lease, s, &landing, now);
        let row =
            tx.one(params.sql(&update(&tx.dialect.merged("refs", ":refs"), ""))).await?.ok_or(StoreError::LostLease)?;
        tx.execute(params.sql(&log::insert(log::THIS_ROW))).await?;
        if touches_journal(s) {
            tx.execute(params.sql(&journal(log::THIS_ROW))).await?;
        }
        if let Some((_, effect)) = &s.closes {
            released.extend(pair::save(&tx, &effect.pairs, s.log.trigger, &s.log.actor, now).await?);
        }
        if rests(s) && row.flag("awaited")? {
            let key = crate::rows::key(&row)?;
            waiting::nobody_waits_for(&tx, lease.row_id).await?;
            released.extend(waiting::release(&tx, &waits_for_record(&key), now).await?);
        }
        let settled = Settled { still_open: still_open(&row)?, released };
        tx.commit().await?;
        Ok(settled)
    }
}

/// Where the row ends up, which may differ from what was asked when the thing it should wait for is there already.
pub(crate) struct Landing {
    state: State,
    until: Option<DateTime<Utc>>,
    waits_for: Option<String>,
}

impl Landing {
    fn as_asked(s: &Settlement) -> Self {
        Self { state: s.state, until: s.stays_open_until, waits_for: s.waits_for.clone() }
    }
}

fn params(params: Params, lease: &Lease, s: &Settlement, landing: &Landing, now: DateTime<Utc>) -> Params {
    let in_step = s.in_step.as_ref();
    let closes = s.closes.as_ref();
    let effect = closes.map(|(_, effect)| effect);
    let dest_id = s.dest_id.as_ref().or_else(|| effect.and_then(|e| e.dest_id.as_ref()));
    let refs = effect.map(|e| pair::named(&e.refs)).unwrap_or_else(|| json!({}));
    let params = lease
        .bind(params)
        .time("now", now)
        .int("handled", s.handled)
        .text("state", landing.state.as_str())
        .text("reason", s.reason.as_str())
        .flag("stays", landing.until.is_some())
        .time("until", landing.until.unwrap_or(now))
        .maybe_text("waits_for", landing.waits_for.as_deref())
        .int("attempts", s.attempts)
        .maybe_text("dest_id", dest_id.map(DestId::as_str))
        .json("refs", refs)
        .maybe_text("seen_checksum", s.seen_checksum.as_ref().map(Checksum::as_str))
        .maybe_text("source_version", s.source_version.as_deref())
        .maybe_text("hint", s.hint.as_deref())
        .flag("wrote", closes.is_some())
        .flag("rests", rests(s))
        .flag("in_step", in_step.is_some())
        .maybe_text("source_checksum", in_step.map(|i| i.source_checksum.as_str()))
        .maybe_json("fields", in_step.map(|i| json!(i.fields)))
        .maybe_text("dest_checksum", in_step.and_then(|i| i.dest_checksum.as_ref()).map(Checksum::as_str))
        .maybe_text("stamp", in_step.and_then(|i| i.stamp.as_ref()).map(Stamp::as_str))
        .uuid("closes", closes.map(|(intent, _)| *intent))
        .maybe_json("effect", effect.map(|e| json!(e)));
    log::bind(params, s.state, &s.reason, &s.log)
}

/// The row itself. `merged` is the expression for its refs, `unless` a further condition.
fn update(merged: &str, unless: &str) -> String {
    format!(
        "UPDATE entity_mapping SET
            settled = CASE WHEN state = 'IGNORED' THEN noticed WHEN :stays THEN settled ELSE :handled END,
            state = CASE WHEN state = 'IGNORED' THEN state WHEN NOT :stays AND noticed > :handled THEN 'PENDING' ELSE :state END,
            reason = CASE WHEN state = 'IGNORED' THEN reason ELSE :reason END,
            due_at = CASE WHEN :stays THEN :until WHEN noticed > :handled THEN :now ELSE due_at END,
            published_at = CASE WHEN state = 'IGNORED' THEN NULL
                                WHEN :stays THEN CASE WHEN :until <= :now THEN :now END
                                WHEN noticed > :handled THEN :now END,
            waits_for = CASE WHEN state = 'IGNORED' OR noticed > :handled THEN NULL ELSE :waits_for END,
            attempts = :attempts, takes = 0, lease_owner = NULL, lease_until = NULL,
            dest_id = coalesce(:dest_id, dest_id), refs = {merged},
            seen_checksum = coalesce(:seen_checksum, seen_checksum),
            source_version = coalesce(:source_version, source_version),
            hint = coalesce(:hint, hint),
            written_at = CASE WHEN :wrote THEN :now ELSE written_at END,
            source_checksum = CASE WHEN :in_step THEN :source_checksum ELSE source_checksum END,
            fields = CASE WHEN :in_step THEN :fields ELSE fields END,
            dest_checksum = coalesce(:dest_checksum, dest_checksum),
            stamp = coalesce(:stamp, stamp),
            settled_at = CASE WHEN :stays THEN settled_at ELSE :now END
         WHERE {HOLDER} {unless}
         RETURNING id, bridge, kind, source_id, dest_id, lane, awaited, due_at, (noticed > settled) AS open"
    )
}

/// Its work is over and came to a good end, be it that its source is gone or that another record stands for it: nothing in
/// its journal counts for later, and whoever waits for it has nothing more to wait for.
fn rests(s: &Settlement) -> bool {
    s.state.ends_waits() && s.stays_open_until.is_none()
}

fn touches_journal(s: &Settlement) -> bool {
    rests(s) || s.closes.is_some()
}

/// Closes the intent that the settlement names; at rest, nothing in the journal counts for later any more.
fn journal(row: &str) -> String {
    format!(
        "UPDATE effect_journal SET
            status = CASE WHEN id = :closes THEN 'DONE' WHEN :rests AND status = 'OPEN' THEN 'SUPERSEDED' ELSE status END,
            effect = CASE WHEN id = :closes THEN :effect ELSE effect END,
            closed_at = coalesce(closed_at, :now),
            live = NOT :rests
         WHERE live AND row_id = (SELECT id FROM {row} e) AND (:rests OR id = :closes)"
    )
}

fn still_open(row: &Found) -> Result<Option<(tandem_core::Nudge, DateTime<Utc>)>> {
    if row.flag("open")? { Ok(Some((nudge(row)?, row.time("due_at")?))) } else { Ok(None) }
}
