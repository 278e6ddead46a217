//! A person's decision about a record, usually one under review.

use crate::db::{Tx, retried};
use crate::dialect::Found;
use crate::log;
use crate::pair::named;
use crate::rows::{COLUMNS, KEY, ledger_row, with_key};
use crate::waiting;
use crate::{LogEntry, Resolution, Resolved, Result, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tandem_core::ledger::waits_for_record;
use tandem_core::{Actor, DestId, Fields, LedgerRow, Nudge, RecordKey, State, Trigger};

impl Store {
    /// Carries out what a person decided, logged under their name. `DestTaken` if the destination record belongs to another one.
    pub async fn resolve(
        &self,
        key: &RecordKey,
        resolution: &Resolution,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Resolved> {
        let dest_id = match resolution {
            Resolution::Link(dest_id) => Some(dest_id),
            Resolution::Exists { dest_id, .. } => dest_id.as_ref(),
            _ => None,
        };
        match (retried!(self.resolve_once(key, resolution, actor, now)), dest_id) {
            (Err(StoreError::UniqueIndex), Some(dest_id)) => {
                let by = self.row_of_dest(&key.bridge, &key.kind, dest_id).await?;
                Err(by.map_or_else(
                    || StoreError::Contended("a destination id changed hands".to_owned()),
                    |row| StoreError::DestTaken { by: row.key },
                ))
            }
            (outcome, _) => outcome,
        }
    }

    async fn resolve_once(
        &self,
        key: &RecordKey,
        resolution: &Resolution,
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<Resolved> {
        let tx = self.begin().await?;
        let sql = format!("SELECT awaited, {COLUMNS} FROM entity_mapping WHERE {KEY} {}", tx.dialect.hold());
        let Some(found) = tx.one(with_key(tx.params(), key).sql(&sql)).await? else { return Ok(Resolved::Unknown) };
        let row = ledger_row(&found)?;
        if row.lease_until.is_some_and(|until| until > now) {
            return Ok(Resolved::Busy);
        }
        if row.state != State::NeedsReview {
            return Ok(Resolved::NotUnderReview(row.state));
        }
        let case = Case { tx: &tx, row: &row, awaited: found.flag("awaited")?, actor, now };
        let resolved = match resolution {
            Resolution::Link(dest_id) => case.link(dest_id).await?,
            Resolution::Exists { dest_id, refs } => case.exists(dest_id.as_ref(), refs).await?,
            Resolution::New => case.new_one().await?,
            Resolution::Again => case.again().await?,
            Resolution::Accept => case.accept().await?,
            Resolution::Duplicate(winner) => case.duplicate(winner).await?,
        };
        if matches!(resolved, Resolved::Done { .. }) {
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(resolved)
    }
}

/// One record under decision, its row held.
struct Case<'a> {
    tx: &'a Tx,
    row: &'a LedgerRow,
    awaited: bool,
    actor: &'a Actor,
    now: DateTime<Utc>,
}

impl Case<'_> {
    async fn link(&self, dest_id: &DestId) -> Result<Resolved> {
        // Whatever became of a write in doubt: this is its counterpart now.
        self.archive("SUPERSEDED").await?;
        let params = self.params().text("dest_id", dest_id.as_str());
        // What was in step was so with another counterpart, if with any.
        let sql = "UPDATE entity_mapping SET dest_id = :dest_id, source_checksum = NULL, dest_checksum = NULL, fields = NULL WHERE id = :row_id";
        self.tx.execute(params.sql(sql)).await?;
        self.look_again(&format!("linked to {dest_id} by {}", self.actor), Trigger::Manual).await
    }

    async fn exists(&self, dest_id: Option<&DestId>, refs: &Map<String, Value>) -> Result<Resolved> {
        let Some(intent) = self.in_doubt().await? else { return self.made_by_hand(dest_id, refs).await };
        let written: Fields = intent.json("written")?;
        let effect =
            json!({"dest_id": dest_id, "refs": refs, "notes": [format!("confirmed by {}", self.actor)], "pairs": []});
        let done = self.params().uuid("intent", Some(intent.uuid("id")?)).json("effect", effect);
        self.tx.execute(done.sql("UPDATE effect_journal SET status = 'DONE', live = false, effect = :effect, closed_at = :now WHERE id = :intent")).await?;
        self.archive("SUPERSEDED").await?;
        let params = self
            .params()
            .maybe_text("dest_id", dest_id.map(DestId::as_str))
            .json("refs", named(refs))
            .text("checksum", written.checksum().as_str())
            .json("fields", json!(written))
            .text("stamp", intent.text("stamp")?);
        let sql = format!(
            "UPDATE entity_mapping SET dest_id = coalesce(:dest_id, dest_id), refs = {}, source_checksum = :checksum, seen_checksum = :checksum,
                    fields = :fields, stamp = :stamp, written_at = :now WHERE id = :row_id",
            self.tx.dialect.merged("refs", ":refs")
        );
        self.tx.execute(params.sql(&sql)).await?;
        let reason = format!("{} confirmed that the write happened", self.actor);
        let mut nudges = self.settle(State::Synced, &reason).await?;
        // Not as MANUAL: the loop guard shall compare, so that only a later change is written.
        nudges.extend(self.notice(Trigger::Poll).await?);
        Ok(Resolved::Done { state: State::Synced, nudges })
    }

    /// The newest write whose outcome is not known.
    async fn in_doubt(&self) -> Result<Option<Found>> {
        let sql = "SELECT id, written, stamp FROM effect_journal WHERE row_id = :row_id AND live AND status = 'OPEN' ORDER BY seq DESC LIMIT 1";
        self.tx.one(self.params().sql(sql)).await
    }

    /// A person made over there what we could not.
    async fn made_by_hand(&self, dest_id: Option<&DestId>, refs: &Map<String, Value>) -> Result<Resolved> {
        if self.row.seen_checksum.is_none() {
            return Ok(Resolved::NeverSeen);
        }
        let params = self.params().maybe_text("dest_id", dest_id.map(DestId::as_str)).json("refs", named(refs));
        let sql = format!(
            "UPDATE entity_mapping SET dest_id = coalesce(:dest_id, dest_id), refs = {}, source_checksum = seen_checksum, written_at = :now
             WHERE id = :row_id",
            self.tx.dialect.merged("refs", ":refs")
        );
        self.tx.execute(params.sql(&sql)).await?;
        self.archive("SUPERSEDED").await?;
        let nudges = self.settle(State::Synced, &format!("made by hand, says {}", self.actor)).await?;
        Ok(Resolved::Done { state: State::Synced, nudges })
    }

    async fn new_one(&self) -> Result<Resolved> {
        if self.in_doubt().await?.is_some() {
            return Ok(Resolved::InDoubt);
        }
        self.keep("decided", "new").await?;
        if self.row.dest_id.is_some() {
            self.archive("SUPERSEDED").await?;
            let sql = "UPDATE entity_mapping SET dest_id = NULL, source_checksum = NULL, dest_checksum = NULL, fields = NULL WHERE id = :row_id";
            self.tx.execute(self.params().sql(sql)).await?;
        }
        self.look_again(&format!("none of the candidates, says {}: make a new one", self.actor), Trigger::Manual).await
    }

    async fn keep(&self, name: &str, value: &str) -> Result<()> {
        let params = self.params().json("refs", json!({ name: value }));
        let sql =
            format!("UPDATE entity_mapping SET refs = {} WHERE id = :row_id", self.tx.dialect.merged("refs", ":refs"));
        self.tx.execute(params.sql(&sql)).await.map(drop)
    }

    async fn again(&self) -> Result<Resolved> {
        let sql = "UPDATE effect_journal SET status = 'UNDONE', live = false, closed_at = :now WHERE row_id = :row_id AND live AND status = 'OPEN'";
        if self.tx.execute(self.params().sql(sql)).await? == 0 {
            return Ok(Resolved::NothingInDoubt);
        }
        self.look_again(&format!("{} says that the write did not happen", self.actor), Trigger::Manual).await
    }

    async fn accept(&self) -> Result<Resolved> {
        if self.in_doubt().await?.is_some() {
            return Ok(Resolved::InDoubt);
        }
        if self.row.seen_checksum.is_none() {
            return Ok(Resolved::NeverSeen);
        }
        // What was only said to be its counterpart is none to be in step with.
        let ever_in_step = self.row.dest_id.is_some() && self.row.source_checksum.is_some();
        if !ever_in_step && self.row.refs.is_empty() {
            return Ok(Resolved::NeverSent);
        }
        self.archive("SUPERSEDED").await?;
        self.tx
            .execute(self.params().sql("UPDATE entity_mapping SET source_checksum = seen_checksum WHERE id = :row_id"))
            .await?;
        let nudges = self.settle(State::Synced, &format!("accepted as it is by {}", self.actor)).await?;
        Ok(Resolved::Done { state: State::Synced, nudges })
    }

    async fn duplicate(&self, winner: &RecordKey) -> Result<Resolved> {
        if self.in_doubt().await?.is_some() {
            return Ok(Resolved::InDoubt);
        }
        // Two that point at each other, or one at itself, would leave nobody to send.
        let of_itself = *winner == self.row.key;
        let params = self.params().text("bridge", winner.bridge.as_str()).text("kind", winner.kind.as_str());
        let sql = "SELECT state FROM entity_mapping WHERE bridge = :bridge AND kind = :kind AND source_id = :winner";
        let known = self.tx.one(params.text("winner", winner.source_id.as_str()).sql(sql)).await?;
        let state = known.map(|row| row.word::<State>("state")).transpose()?;
        if of_itself || state.is_none_or(|state| state == State::Duplicate) {
            return Ok(Resolved::NoWinner);
        }
        self.keep("duplicate_of", winner.source_id.as_str()).await?;
        self.archive("SUPERSEDED").await?;
        let nudges = self.settle(State::Duplicate, &format!("duplicate of {winner}, says {}", self.actor)).await?;
        Ok(Resolved::Done { state: State::Duplicate, nudges })
    }

    /// Everything noticed so far is settled in this state; answers who waited for it.
    async fn settle(&self, state: State, reason: &str) -> Result<Vec<Nudge>> {
        let params = self.params().text("state", state.as_str()).text("reason", reason);
        let sql = "UPDATE entity_mapping SET state = :state, reason = :reason, settled = noticed, settled_at = :now, attempts = 0, takes = 0,
                          waits_for = NULL, published_at = NULL WHERE id = :row_id";
        self.tx.execute(params.sql(sql)).await?;
        self.log(state, reason).await?;
        if !(self.awaited && state.ends_waits()) {
            return Ok(Vec::new());
        }
        waiting::nobody_waits_for(self.tx, self.row.id).await?;
        waiting::release(self.tx, &waits_for_record(&self.row.key), self.now).await
    }

    async fn look_again(&self, reason: &str, trigger: Trigger) -> Result<Resolved> {
        self.log(State::Pending, reason).await?;
        let params = self.params().text("reason", reason);
        self.tx
            .execute(params.sql("UPDATE entity_mapping SET state = 'PENDING', reason = :reason WHERE id = :row_id"))
            .await?;
        Ok(Resolved::Done { state: State::Pending, nudges: self.notice(trigger).await? })
    }

    async fn notice(&self, trigger: Trigger) -> Result<Vec<Nudge>> {
        let params = self.params().text("trigger", trigger.as_str()).text("actor", self.actor.as_str());
        let sql = "UPDATE entity_mapping SET noticed = noticed + 1, due_at = :now, attempts = 0, takes = 0, lane = 'live', trigger_type = :trigger,
                          actor = :actor, waits_for = NULL, noticed_at = :now, published_at = :now
                   WHERE id = :row_id RETURNING bridge, kind, source_id, lane";
        crate::rows::nudges(&self.tx.all(params.sql(sql)).await?)
    }

    /// Nothing in the journal counts for later any more; what is still open ends as `status`.
    async fn archive(&self, status: &str) -> Result<()> {
        let sql = "UPDATE effect_journal SET status = CASE WHEN status = 'OPEN' THEN :status ELSE status END, live = false, closed_at = coalesce(closed_at, :now)
                   WHERE row_id = :row_id AND live";
        self.tx.execute(self.params().text("status", status).sql(sql)).await.map(drop)
    }

    async fn log(&self, state: State, reason: &str) -> Result<()> {
        let entry = LogEntry {
            action: Some("resolve".to_owned()),
            ..LogEntry::new(self.now, Trigger::Manual, self.actor.clone())
        };
        log::append(self.tx, self.row.id, state, reason, &entry).await
    }

    fn params(&self) -> crate::dialect::Params {
        self.tx.params().int("row_id", self.row.id).time("now", self.now)
    }
}
