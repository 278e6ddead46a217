//! What happens without being asked for.

use crate::house::{FakeBridge, FakeLanes, House, SOON, customer, sqlite};
use chrono::{TimeDelta, Utc};
use std::sync::Arc;
use tandem_core::{Actor, Lane, Notice, State, Trigger};
use tandem_store::{Lease, Leased, LogEntry, Settlement, Store};
use tandem_testbed::signal::eventually;

async fn settled(store: &Store, id: &str, state: State) {
    let (key, actor, now) = (customer(id), Actor::new("test"), Utc::now());
    let notice =
        Notice { key: key.clone(), hint: None, trigger: Trigger::Webhook, actor: actor.clone(), lane: Lane::Live };
    store.notice(&[notice], now).await.unwrap();
    let Leased::Taken(row) = store.lease(&key, "test", TimeDelta::seconds(60), now).await.unwrap() else {
        panic!("free")
    };
    let log = LogEntry::new(now, Trigger::Webhook, actor);
    store.settle(&Lease::of(&row), &Settlement::new(row.noticed, state, "as the test says", log), now).await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_goes_when_its_record_is_not_dead_any_more() {
    let (store, _folder) = sqlite().await;
    settled(&store, "dead", State::Dead).await;
    settled(&store, "ignored", State::Ignored).await;
    let lanes = Arc::new(FakeLanes::default());
    *lanes.dead.lock().unwrap() = vec![customer("dead"), customer("ignored"), customer("never heard of")];
    let _house = House::over(store, FakeBridge::new("siagh", None), lanes.clone(), |_| {});
    eventually(SOON, || async { (*lanes.dead.lock().unwrap() == [customer("dead")]).then_some(()) }).await;
}
