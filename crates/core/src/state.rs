//! One state per record, and what set the engine to work on it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order in which people read them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word, as it stands in the ledger, the log and `--json`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = UnknownWord;
            /// Reads the word in any letter case, with `-` or `_` between its parts.
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                let upper = word.trim().to_ascii_uppercase().replace('-', "_");
                match upper.as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { word: word.to_owned(), known: &[$($word),+] }),
                }
            }
        }
    };
}

/// A word that names no value of its enum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is none of {}", .known.join(", "))]
pub struct UnknownWord {
    pub word: String,
    pub known: &'static [&'static str],
}

word_enum!(
    /// Where a record stands. Each comes with one sentence of reason in the ledger.
    State {
        /// Noticed, not yet worked on (or being worked on now).
        Pending => "PENDING",
        /// Failed in a way that may pass; tried again at a known time.
        Retrying => "RETRYING",
        /// Needs another record first; goes on by itself when that is in step.
        Waiting => "WAITING",
        /// Needs a value mapping that does not exist; goes on by itself when it is set.
        NeedsMapping => "NEEDS_MAPPING",
        /// A person decides: ambiguous link, effect in doubt, changed after an uneditable send.
        NeedsReview => "NEEDS_REVIEW",
        /// In step; the last look wrote to the destination.
        Synced => "SYNCED",
        /// In step; the last look found nothing to write.
        Unchanged => "UNCHANGED",
        /// Another record of the source stands for this one; named in the reason.
        Duplicate => "DUPLICATE",
        /// A newer version took its place.
        Superseded => "SUPERSEDED",
        /// Can't succeed as it is; the reason is in the destination's own words.
        Dead => "DEAD",
        /// An operator said: leave it.
        Ignored => "IGNORED",
    }
);

impl State {
    /// The destination agrees with the source, as far as the last look could tell.
    pub fn is_in_step(self) -> bool {
        matches!(self, Self::Synced | Self::Unchanged)
    }
    /// At rest in this state, the record came to a good end: whoever waits for it has nothing more to wait for. Beside those
    /// in step that is a duplicate, whose winner is found then.
    pub fn ends_waits(self) -> bool {
        self.is_in_step() || self == Self::Duplicate
    }
}

word_enum!(
    /// What set the engine to work on a record.
    Trigger {
        Webhook => "WEBHOOK",
        Poll => "POLL",
        Schedule => "SCHEDULE",
        Manual => "MANUAL",
        Replay => "REPLAY",
        Import => "IMPORT",
        Reconcile => "RECONCILE",
    }
);

impl Trigger {
    /// A person or a drift check asked on purpose: the loop guard lets it through, and the plan itself finds
    /// out by comparing with the destination whether anything is to be done.
    pub fn is_deliberate(self) -> bool {
        matches!(self, Self::Manual | Self::Replay | Self::Reconcile)
    }
}
