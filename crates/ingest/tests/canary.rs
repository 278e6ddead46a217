//! Nothing secret and nothing personal gets into the log. A process of its own: it listens to all that is logged.

#[allow(dead_code)]
#[path = "ingest/house.rs"]
mod house;

use house::{FakeBridge, FakeLanes, House, ID, SECRET, TOKEN};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tandem_telemetry::log::{Format, init_to};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_signature_secret_and_personal_data_stay_out_of_the_log_at_its_most_talkative() {
    let lines = Lines::default();
    let to = lines.clone();
    init_to(Format::Text, "trace", false, move || to.clone()).unwrap();
    let lanes = Arc::new(FakeLanes::default());
    let mut house = House::with(FakeBridge::new("siagh", None), lanes.clone(), |_| {}).await;
    let personal = "subtype=Canary+Person&name=Canary+Name&phone=09120000077";
    let call = |rest: &str| house.url(&format!("/webhook/crm/identity/{rest}"));
    for rest in [
        format!("{TOKEN}?event=Update&id={ID}&type=Identity&{personal}"),
        format!("{TOKEN}?event=Update&id=canary-id-0012345678&{personal}"),
        format!("{TOKEN}?event=Explode&id={ID}&{personal}"),
        format!("canary-wrong-token?id={ID}&{personal}"),
        format!("{TOKEN}?{}", "canary".repeat(2_000)),
    ] {
        House::read(house.client.get(call(&rest))).await;
    }
    House::read(house.client.post(call(TOKEN)).body(r#"{"name":"Canary Body 0012345678""#)).await;
    let signed =
        house.client.post(house.url("/webhook/signed/siagh")).header("x-webhook-signature", "canary-signature");
    House::read(signed.header("x-webhook-timestamp", "1").body("Canary Body")).await;
    lanes.away.store(true, Ordering::SeqCst);
    House::read(house.client.get(call(&format!("{TOKEN}?event=Update&id={ID}&type=Identity&{personal}")))).await;
    // Closed: the same call can't be stored, which is logged too.
    house.store.close().await;
    House::read(house.client.get(call(&format!("{TOKEN}?event=Update&id={ID}&type=Identity&{personal}")))).await;
    house.stopped().await;

    // The test's own client logs what it sends; the server's lines are the ones that count.
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let own = |line: &&str| !["reqwest", "hyper_util", "hyper"].iter().any(|c| line.contains(&format!("{c}::")));
    let log: String = log.lines().filter(own).collect::<Vec<_>>().join("\n");
    assert!(
        log.contains("a webhook call was turned away") && log.contains("can't be stored"),
        "the log was listened to: {log}"
    );
    for secret in
        [TOKEN, SECRET, "canary", "Canary", "0012345678", "09120000077", "a call that this bridge does not survive"]
    {
        let leak = log.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret} is in the log");
    }
}
