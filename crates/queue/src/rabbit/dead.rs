//! Keeping the dead-letter queue honest: letters of records that are not dead any more are taken out.

use super::Shared;
use crate::envelope;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{KeepFuture, LaneError};

/// The most letters of one pass. Those behind them wait until letters in front have gone.
const LETTERS: u32 = 20_000;
/// How many keys are asked about at once.
const QUESTION: usize = 500;
const DONE: u16 = 200;

/// One pass over what lies in the queue now. Everything is taken in hand first and given back only at the end, so
/// that a letter given back is not met a second time.
pub(crate) async fn tidy(
    shared: &Shared,
    bridge: &BridgeId,
    keep: &(dyn for<'a> Fn(&'a [RecordKey]) -> KeepFuture<'a> + Send + Sync),
) -> Result<u64, LaneError> {
    let link = shared.work.link(shared.deadline()).await?;
    let channel = link.channel().await?;
    let queue = shared.topology.dead_queue(bridge);
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let found = link.bounded(channel.queue_declare(queue.clone().into(), passive, FieldTable::default())).await?;
    let mut letters: Vec<(RecordKey, Acker)> = Vec::new();
    for _ in 0..found.message_count().min(LETTERS) {
        let got = channel.basic_get(queue.clone().into(), BasicGetOptions::default());
        let Some(letter) = link.bounded(got).await? else { break };
        // One that can't be read stays for people to look at.
        if let Ok(nudge) = envelope::read(&letter.delivery.data, bridge) {
            letters.push((nudge.key, letter.delivery.acker));
        }
    }
    let mut gone = 0;
    for some in letters.chunks(QUESTION) {
        let keys: Vec<RecordKey> = some.iter().map(|(key, _)| key.clone()).collect();
        let kept = keep(&keys).await;
        for ((_, acker), _) in some.iter().zip(kept).filter(|(_, kept)| !kept) {
            if link.bounded(acker.ack(BasicAckOptions::default())).await? {
                gone += 1;
            }
        }
    }
    // Closing the channel gives back all that was not acknowledged, and its answer says that the acknowledgements
    // have arrived.
    link.bounded(channel.close(DONE, "tidied".into())).await?;
    Ok(gone)
}
