//! Typed ids. Passing a destination id where a source id is wanted does not compile.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as it is; nothing is checked or changed.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text, as it stands in the ledger and on the command line.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The text, owned.
            pub fn into_string(self) -> String {
                self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

text_id!(
    /// A bridge by its product name: `siagh`, `inventree`.
    BridgeId
);
text_id!(
    /// A kind of record within a bridge: `customer`, `pre_invoice`.
    KindId
);
text_id!(
    /// The id of a record in the system it comes from.
    SourceId
);
text_id!(
    /// The id of the same record in the system it goes to.
    DestId
);
text_id!(
    /// A scan of a bridge that can be started by name: `poll`, `import`.
    JobId
);
text_id!(
    /// Who asked for something: an operator's name, `crm` for a webhook, `tandem` for ourselves.
    Actor
);
text_id!(
    /// The mark that one of our writes leaves in a system that can carry it (loop guard, layer 1).
    Stamp
);

/// The name of one record, as `<bridge> <kind> <id>` on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordKey {
    pub bridge: BridgeId,
    pub kind: KindId,
    pub source_id: SourceId,
}

impl RecordKey {
    pub fn new(bridge: impl Into<BridgeId>, kind: impl Into<KindId>, source_id: impl Into<SourceId>) -> Self {
        Self { bridge: bridge.into(), kind: kind.into(), source_id: source_id.into() }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.bridge, self.kind, self.source_id)
    }
}
