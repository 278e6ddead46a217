//! The payload of a message: one small JSON object that names a record. It never carries a record's content.

use serde::{Deserialize, Serialize};
use tandem_core::ids::{BridgeId, RecordKey};
use tandem_core::lane::{Lane, Nudge};

const VERSION: u32 = 1;

/// `{"v":1,"bridge":"siagh","kind":"customer","id":"..","lane":"live"}`. Unknown members are ignored, so that a later
/// version may add some without a new number.
#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u32,
    bridge: String,
    kind: String,
    id: String,
    lane: Lane,
}

/// The payload of one nudge.
pub(crate) fn write(nudge: &Nudge) -> Vec<u8> {
    let envelope = Envelope {
        v: VERSION,
        bridge: nudge.key.bridge.as_str().to_owned(),
        kind: nudge.key.kind.as_str().to_owned(),
        id: nudge.key.source_id.as_str().to_owned(),
        lane: nudge.lane,
    };
    serde_json::to_vec(&envelope).expect("strings and a number always serialize")
}

/// Reads a payload found in one of `bridge`'s queues, or says why it can't be read. The reason quotes nothing of it.
pub(crate) fn read(payload: &[u8], bridge: &BridgeId) -> Result<Nudge, &'static str> {
    let envelope: Envelope = serde_json::from_slice(payload).map_err(|_| "it is not a nudge in JSON")?;
    if envelope.v != VERSION {
        return Err("its version is not known here");
    }
    if envelope.bridge != bridge.as_str() {
        return Err("it belongs to another bridge");
    }
    Ok(Nudge { key: RecordKey::new(envelope.bridge, envelope.kind, envelope.id), lane: envelope.lane })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nudge() -> Nudge {
        Nudge { key: RecordKey::new("siagh", "customer", "a\"|\u{6cc}\n"), lane: Lane::Bulk }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(read(&write(&nudge()), &"siagh".into()), Ok(nudge()));
    }

    #[test]
    fn the_written_form_is_the_published_one() {
        let simple = Nudge { key: RecordKey::new("siagh", "customer", "7"), lane: Lane::Live };
        assert_eq!(write(&simple), br#"{"v":1,"bridge":"siagh","kind":"customer","id":"7","lane":"live"}"#);
    }

    #[test]
    fn a_member_of_a_later_version_is_ignored() {
        let payload = br#"{"v":1,"bridge":"siagh","kind":"customer","id":"7","lane":"live","trace":"x"}"#;
        assert!(read(payload, &"siagh".into()).is_ok());
    }

    #[test]
    fn garbage_and_strangers_are_refused() {
        let other = write(&nudge());
        assert!(read(&other, &"inventree".into()).is_err());
        for payload in [&b""[..], b"{}", b"\xff\xfe", br#"{"v":2,"bridge":"siagh","kind":"c","id":"7","lane":"live"}"#]
        {
            assert!(read(payload, &"siagh".into()).is_err());
        }
    }
}
