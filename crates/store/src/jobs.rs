//! Jobs (the scans of a bridge) and their runs: when each is due, who runs it, how far it got.

use crate::db::retried;
use crate::dialect::{Found, Params};
use crate::lease::held;
use crate::{JobChange, JobLease, JobRow, Result, RunRow, Store};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use tandem_core::{BridgeId, JobId};
use uuid::Uuid;

const JOB: &str = "bridge = :bridge AND job = :job";
const HOLDER: &str = "bridge = :bridge AND job = :job AND fence = :fence AND lease_owner IS NOT NULL";
/// The period that counts.
const EVERY: &str = "coalesce(own_every_ms, every_ms)";

impl Store {
    /// Makes a job known. A new one is due at once if it has a period; an operator's own period and switch are kept.
    pub async fn ensure_job(
        &self,
        bridge: &BridgeId,
        job: &JobId,
        every: Option<Duration>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let params = named(self.params(), bridge, job).maybe_int("every", every.map(millis)).time("now", now);
        let sql = "INSERT INTO schedule AS s (bridge, job, every_ms, next_at) VALUES (:bridge, :job, :every, CASE WHEN :every IS NOT NULL THEN :now END)
                   ON CONFLICT (bridge, job) DO UPDATE SET every_ms = excluded.every_ms,
                       next_at = CASE WHEN coalesce(s.own_every_ms, excluded.every_ms) IS NOT NULL THEN coalesce(s.next_at, :now) END";
        let statement = params.sql(sql);
        retried!(self.execute(statement.clone())).map(drop)
    }

    /// Takes a job that is enabled and due, or any with `force`, unless somebody runs it. A page that a crashed or failed run left is
    /// handed on, and the crashed run is closed as ABANDONED.
    pub async fn take_job(
        &self,
        bridge: &BridgeId,
        job: &JobId,
        owner: &str,
        ttl: TimeDelta,
        force: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<JobLease>> {
        retried!(self.take_job_once(bridge, job, owner, ttl, force, now))
    }

    async fn take_job_once(
        &self,
        bridge: &BridgeId,
        job: &JobId,
        owner: &str,
        ttl: TimeDelta,
        force: bool,
        now: DateTime<Utc>,
    ) -> Result<Option<JobLease>> {
        let run_id = Uuid::now_v7();
        let params = named(self.params(), bridge, job)
            .text("owner", owner)
            .uuid("run_id", Some(run_id))
            .flag("force", force)
            .time("until", now + ttl)
            .time("now", now);
        let tx = self.begin().await?;
        let sql = format!(
            "UPDATE schedule SET fence = fence + 1, lease_owner = :owner, lease_until = :until, run_id = :run_id
             WHERE {JOB} AND (:force OR (enabled AND next_at <= :now)) AND (lease_until IS NULL OR lease_until <= :now)
             RETURNING fence, watermark, page"
        );
        let Some(row) = tx.one(params.sql(&sql)).await? else { return Ok(None) };
        tx.execute(params.sql(&format!(
            "UPDATE run SET status = 'ABANDONED', finished_at = :now WHERE {JOB} AND status = 'RUNNING'"
        )))
        .await?;
        tx.execute(params.sql("INSERT INTO run (id, bridge, job, owner, status, started_at) VALUES (:run_id, :bridge, :job, :owner, 'RUNNING', :now)")).await?;
        let lease = JobLease {
            bridge: bridge.clone(),
            job: job.clone(),
            fence: row.int("fence")?,
            watermark: row.maybe_text("watermark")?,
            page: row.maybe_text("page")?,
            run_id,
        };
        tx.commit().await?;
        Ok(Some(lease))
    }

    /// Keeps how far a run got and holds on to the job for `ttl` more. `page` is where the next page begins; a `watermark` of `None` keeps the
    /// one there is. `noticed` and `seen` count from the run's start.
    #[expect(clippy::too_many_arguments, reason = "a page's progress is these values and no more")]
    pub async fn save_job(
        &self,
        lease: &JobLease,
        page: Option<&str>,
        watermark: Option<&str>,
        noticed: u64,
        seen: u64,
        now: DateTime<Utc>,
        ttl: TimeDelta,
    ) -> Result<()> {
        let params = held_by(self.params(), lease)
            .maybe_text("page", page)
            .maybe_text("watermark", watermark)
            .int("noticed", count(noticed))
            .int("seen", count(seen))
            .time("until", now + ttl);
        retried!(async {
            let tx = self.begin().await?;
            let sql = format!(
                "UPDATE schedule SET page = :page, watermark = coalesce(:watermark, watermark), lease_until = :until WHERE {HOLDER}"
            );
            held(tx.execute(params.sql(&sql)).await?)?;
            tx.execute(params.sql("UPDATE run SET noticed = :noticed, seen = :seen WHERE id = :run_id")).await?;
            tx.commit().await
        })
    }

    /// Holds on to a job for longer while a page takes its time.
    pub async fn renew_job(&self, lease: &JobLease, until: DateTime<Utc>) -> Result<()> {
        let statement = held_by(self.params(), lease)
            .time("until", until)
            .sql(&format!("UPDATE schedule SET lease_until = :until WHERE {HOLDER}"));
        held(retried!(self.execute(statement.clone()))?)
    }

    /// Ends a run. Done: the page is forgotten. Failed: it is kept, and the next run goes on from there. Either way the next run is due
    /// one period from now.
    pub async fn finish_job(&self, lease: &JobLease, outcome: Result<(), String>, now: DateTime<Utc>) -> Result<()> {
        let next_at = self.next_at(lease, now).await?;
        let params = held_by(self.params(), lease)
            .flag("done", outcome.is_ok())
            .text("status", if outcome.is_ok() { "DONE" } else { "FAILED" })
            .maybe_text("error", outcome.err())
            .maybe_time("next_at", next_at)
            .time("now", now);
        retried!(async {
            let tx = self.begin().await?;
            let sql = format!(
                "UPDATE schedule SET lease_owner = NULL, lease_until = NULL, run_id = NULL, next_at = :next_at, page = CASE WHEN :done THEN NULL ELSE page END
                 WHERE {HOLDER}"
            );
            held(tx.execute(params.sql(&sql)).await?)?;
            tx.execute(
                params.sql("UPDATE run SET status = :status, error = :error, finished_at = :now WHERE id = :run_id"),
            )
            .await?;
            tx.commit().await
        })
    }

    async fn next_at(&self, lease: &JobLease, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let params = named(self.params(), &lease.bridge, &lease.job);
        let found = self.read(params.sql(&format!("SELECT {EVERY} AS every FROM schedule WHERE {JOB}"))).await?;
        let every = found.first().map(|row| row.maybe_int("every")).transpose()?.flatten();
        Ok(every.map(|ms| now + TimeDelta::milliseconds(ms)))
    }

    /// All jobs.
    pub async fn jobs(&self) -> Result<Vec<JobRow>> {
        let sql = format!(
            "SELECT bridge, job, enabled, {EVERY} AS every, next_at, watermark, page, lease_owner, lease_until FROM schedule ORDER BY bridge, job"
        );
        self.read(self.params().sql(&sql)).await?.iter().map(job_row).collect()
    }

    /// Switches a job on or off, or gives it a period of its own; false if there is no such job.
    pub async fn set_job(
        &self,
        bridge: &BridgeId,
        job: &JobId,
        change: &JobChange,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let every = change.every.map(millis);
        let params = named(self.params(), bridge, job)
            .flag("switches", change.enabled.is_some())
            .flag("enabled", change.enabled.unwrap_or_default())
            .maybe_int("every", every)
            .maybe_time("latest", every.map(|ms| now + TimeDelta::milliseconds(ms)));
        let sql = format!(
            "UPDATE schedule SET enabled = CASE WHEN :switches THEN :enabled ELSE enabled END, own_every_ms = coalesce(:every, own_every_ms),
                    next_at = CASE WHEN :latest IS NOT NULL AND (next_at IS NULL OR next_at > :latest) THEN :latest ELSE next_at END
             WHERE {JOB}"
        );
        let statement = params.sql(&sql);
        Ok(retried!(self.execute(statement.clone()))? > 0)
    }

    /// The newest runs of a bridge or of all, newest first.
    pub async fn runs(&self, bridge: Option<&BridgeId>, limit: u32) -> Result<Vec<RunRow>> {
        let params = self.params().maybe_text("bridge", bridge.map(BridgeId::as_str)).int("limit", limit);
        let of_bridge = if bridge.is_some() { "WHERE bridge = :bridge" } else { "" };
        let sql = format!(
            "SELECT id, bridge, job, owner, status, started_at, finished_at, noticed, seen, error FROM run {of_bridge} ORDER BY started_at DESC, id DESC LIMIT :limit"
        );
        self.read(params.sql(&sql)).await?.iter().map(run_row).collect()
    }
}

fn named(params: Params, bridge: &BridgeId, job: &JobId) -> Params {
    params.text("bridge", bridge.as_str()).text("job", job.as_str())
}

fn held_by(params: Params, lease: &JobLease) -> Params {
    named(params, &lease.bridge, &lease.job).int("fence", lease.fence).uuid("run_id", Some(lease.run_id))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn job_row(row: &Found) -> Result<JobRow> {
    Ok(JobRow {
        bridge: row.text("bridge")?.into(),
        job: row.text("job")?.into(),
        enabled: row.flag("enabled")?,
        every: row.maybe_int("every")?.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
        next_at: row.maybe_time("next_at")?,
        watermark: row.maybe_text("watermark")?,
        page: row.maybe_text("page")?,
        lease_owner: row.maybe_text("lease_owner")?,
        lease_until: row.maybe_time("lease_until")?,
    })
}

fn run_row(row: &Found) -> Result<RunRow> {
    Ok(RunRow {
        id: row.uuid("id")?,
        bridge: row.text("bridge")?.into(),
        job: row.text("job")?.into(),
        owner: row.text("owner")?,
        status: row.text("status")?,
        started_at: row.time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        noticed: row.count("noticed")?,
        seen: row.count("seen")?,
        error: row.maybe_text("error")?,
    })
}
