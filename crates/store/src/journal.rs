//! The journal: each write is an open intent before it goes out, and closed once its outcome is known.

use crate::db::retried;
use crate::dialect::Found;
use crate::lease::{HOLDER, held};
use crate::notice;
use crate::pair::{self, taken};
use crate::{IntentOutcome, Intents, Lease, Result, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::json;
use tandem_core::bridge::DoneStep;
use tandem_core::plan::OpenIntent;
use tandem_core::{DestId, Effect, Fields, Stamp, Step};
use uuid::Uuid;

impl Store {
    /// Writes down that a step is about to go out. Must be done, and only then may the step be sent.
    pub async fn open_intent(
        &self,
        lease: &Lease,
        step: &Step,
        written: &Fields,
        stamp: &Stamp,
        now: DateTime<Utc>,
    ) -> Result<Uuid> {
        let id = Uuid::now_v7();
        let params = lease
            .bind(self.params())
            .uuid("id", Some(id))
            .json("step", json!(step))
            .json("written", json!(written))
            .text("stamp", stamp.as_str())
            .time("now", now);
        // The row is held until the commit: a lease taken meanwhile waits, and then sees this intent.
        let sql = format!(
            "INSERT INTO effect_journal (id, row_id, fence, status, live, step, written, stamp, opened_at)
             SELECT :id, id, fence, 'OPEN', true, :step, :written, :stamp, :now FROM entity_mapping WHERE {HOLDER} {}",
            self.dialect.hold()
        );
        let statement = params.sql(&sql);
        held(retried!(self.execute(statement.clone()))?)?;
        Ok(id)
    }

    /// Keeps that the step did go out and its answer never came.
    pub async fn answer_lost(&self, intent: Uuid) -> Result<()> {
        let statement = self
            .params()
            .uuid("intent", Some(intent))
            .sql("UPDATE effect_journal SET answer_lost = true WHERE id = :intent AND status = 'OPEN'");
        retried!(self.execute(statement.clone())).map(drop)
    }

    /// Closes an intent while more is to come; the last one of a plan is closed by its settlement.
    ///
    /// An effect that happened is bound to the record at once: its destination id, its refs, the time of the write, and its pairs.
    /// Records that waited for one of the pairs are set going, and published by the next sweep.
    /// `DestTaken` if another record of the same bridge and kind has that destination id; nothing is changed then.
    pub async fn close_intent(
        &self,
        lease: &Lease,
        intent: Uuid,
        outcome: IntentOutcome,
        now: DateTime<Utc>,
    ) -> Result<()> {
        match outcome {
            IntentOutcome::Happened(effect) => match retried!(self.bind_effect(lease, intent, &effect, now)) {
                Err(StoreError::UniqueIndex) => Err(taken(self, lease, effect.dest_id.as_ref(), &effect.pairs).await?),
                outcome => outcome,
            },
            IntentOutcome::DidNotHappen => {
                let params = lease.bind(self.params()).uuid("intent", Some(intent)).time("now", now);
                let sql = format!(
                    "UPDATE effect_journal SET status = 'UNDONE', live = false, closed_at = :now
                     WHERE id = :intent AND status = 'OPEN' AND row_id = (SELECT id FROM entity_mapping WHERE {HOLDER} {})",
                    self.dialect.hold()
                );
                let statement = params.sql(&sql);
                held(retried!(self.execute(statement.clone()))?)
            }
        }
    }

    /// Binds a destination record that a plan links to, before anything is written into it: of two source records that want
    /// the same one, the second must lose before it overwrites. `DestTaken` if another record has it.
    pub async fn bind(&self, lease: &Lease, dest_id: &DestId) -> Result<()> {
        let params = lease.bind(self.params()).text("dest_id", dest_id.as_str());
        let statement = params.sql(&format!("UPDATE entity_mapping SET dest_id = :dest_id WHERE {HOLDER}"));
        match retried!(self.execute(statement.clone())) {
            Err(StoreError::UniqueIndex) => Err(taken(self, lease, Some(dest_id), &[]).await?),
            outcome => held(outcome?),
        }
    }

    async fn bind_effect(&self, lease: &Lease, intent: Uuid, effect: &Effect, now: DateTime<Utc>) -> Result<()> {
        let tx = self.begin().await?;
        let params = lease
            .bind(self.params())
            .uuid("intent", Some(intent))
            .maybe_text("dest_id", effect.dest_id.as_ref().map(DestId::as_str))
            .json("refs", pair::named(&effect.refs))
            .json("effect", json!(effect))
            .time("now", now);
        let bind = format!(
            "UPDATE entity_mapping SET dest_id = coalesce(:dest_id, dest_id), refs = {}, written_at = :now WHERE {HOLDER} RETURNING trigger_type, actor",
            self.dialect.merged("refs", ":refs")
        );
        let row = tx.one(params.sql(&bind)).await?.ok_or(StoreError::LostLease)?;
        let close = "UPDATE effect_journal SET status = 'DONE', effect = :effect, closed_at = :now WHERE id = :intent AND row_id = :row_id AND status = 'OPEN'";
        held(tx.execute(params.sql(close)).await?)?;
        let released =
            pair::save(&tx, &effect.pairs, row.word("trigger_type")?, &row.text("actor")?.into(), now).await?;
        // Whoever works on has steps to do before it could publish anything, and may not live to do so: the next sweep does.
        notice::unpublish(&tx, &released.into_iter().map(|nudge| nudge.key).collect::<Vec<_>>()).await?;
        tx.commit().await
    }

    /// The journal of one record since it was last in step.
    pub async fn intents(&self, row_id: i64) -> Result<Intents> {
        let sql = "SELECT id, status, step, written, effect, opened_at, answer_lost FROM effect_journal WHERE row_id = :row_id AND live ORDER BY seq";
        let mut intents = Intents::default();
        for row in self.read(self.params().int("row_id", row_id).sql(sql)).await? {
            if row.text("status")? == "DONE" {
                intents.done.push(DoneStep {
                    step: row.json("step")?,
                    effect: row.json("effect")?,
                    written: row.json("written")?,
                });
            } else {
                intents.open.push((row.uuid("id")?, open_intent(&row)?));
            }
        }
        Ok(intents)
    }
}

fn open_intent(row: &Found) -> Result<OpenIntent> {
    Ok(OpenIntent { step: row.json("step")?, opened_at: row.time("opened_at")?, answer_lost: row.flag("answer_lost")? })
}
