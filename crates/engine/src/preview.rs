//! The plan of a record without any of its consequences: what `tandem plan` and the console show.

use crate::work::{self, Engine};
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
                let plan = bridge.plan_absent(&row, &self.store).await;
                return Ok(Preview { row: known, verdict: None, plan });
            }
            Err(fault) => return Ok(Preview { row: known, verdict: None, plan: Err(fault) }),
        };
        let journal = self.store.intents(row.id).await?;
        let verdict = work::judge(self, &row, &record, &journal);
        let plan = work::plan(self, bridge.as_ref(), &row, &record, &journal, &Stamp::new("preview")).await;
        Ok(Preview { row: known, verdict: Some(verdict), plan })
    }
}
