//! The plan of a record without any of its consequences: what `tandem plan` and the console show.

use crate::Engine;
use crate::look;
use tandem_core::guard::Verdict;
use tandem_core::{Fault, Fetched, LedgerRow, Plan, RecordKey, Stamp};
use tandem_store::StoreError;

/// What would happen if the record were worked on now.
#[derive(Debug)]
pub struct Preview {
    /// What the ledger knows; `None` if the record was never noticed.
    pub row: Option<LedgerRow>,
    /// What the loop guard says of the source's present version; `None` if the source does not have the record.
    pub verdict: Option<Verdict>,
    pub plan: Result<Plan, Fault>,
}

impl Engine {
    /// Plans a record. Reads only: nothing is leased, journaled or written anywhere.
    ///
    /// # Errors
    /// When our own database is away. Faults of the other systems are part of the answer.
    pub async fn preview(&self, key: &RecordKey) -> Result<Preview, StoreError> {
        let known = self.store.row(key).await?;
        let row = known.clone().unwrap_or_else(|| LedgerRow::unknown(key.clone(), self.now()));
        let Some(bridge) = self.register.get(&key.bridge) else {
            let fault = Fault::permanent(
                "engine.unknown_bridge",
                format!("there is no bridge {:?} in this process", key.bridge.as_str()),
            );
            return Ok(Preview { row: known, verdict: None, plan: Err(fault) });
        };
        let record = match bridge.fetch(&row).await {
            Ok(Fetched::Present(record)) => record,
            Ok(Fetched::Absent) => {
                let plan = unless_ours(bridge.plan_absent(&row, &self.store).await)?;
                return Ok(Preview { row: known, verdict: None, plan });
            }
            Err(fault) => return Ok(Preview { row: known, verdict: None, plan: Err(fault) }),
        };
        let journal = self.store.intents(row.id).await?;
        let verdict = look::judge(self, &row, &record, &journal);
        let plan = look::plan(self, bridge.as_ref(), &row, &record, &journal, &Stamp::new("preview")).await;
        Ok(Preview { row: known, verdict: Some(verdict), plan: unless_ours(plan)? })
    }
}

/// A plan or a fault of the other systems; a look-up in our own ledger that failed is neither.
fn unless_ours(plan: Result<Plan, Fault>) -> Result<Result<Plan, Fault>, StoreError> {
    match plan.as_ref().err().and_then(StoreError::of_lookup) {
        Some(error) => Err(error),
        None => Ok(plan),
    }
}
