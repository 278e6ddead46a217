//! The step boundaries: every point between two durable steps at which the process may die.
//!
//! The crash tests walk [`Boundary::ALL`], so a boundary that is added here is killed at from then on without
//! anybody having to remember it.

macro_rules! boundaries {
    ($($(#[$doc:meta])* $name:ident => $word:literal),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Boundary { $($(#[$doc])* $name),+ }
        impl Boundary {
            pub const ALL: &'static [Boundary] = &[$(Boundary::$name),+];
            /// The word by which a test names it.
            pub fn as_str(self) -> &'static str {
                match self { $(Boundary::$name => $word),+ }
            }
        }
    };
}

boundaries!(
    /// A webhook has been read and not yet stored.
    WebhookRead => "webhook_read",
    /// It is committed, in inbox and ledger or in the spool; the sender has no answer yet.
    WebhookCommitted => "webhook_committed",
    /// A page of the spool is in inbox and ledger, its nudges not yet handed over.
    PageEntered => "page_entered",
    /// A page of a scan has been read and nothing of it noticed.
    ScanPageRead => "scan_page_read",
    /// The page is noticed, its place not yet saved.
    ScanPageNoticed => "scan_page_noticed",
    /// Due rows are marked as published and not yet published.
    NudgesClaimed => "nudges_claimed",
    /// The lane has the nudges.
    NudgesPublished => "nudges_published",
    /// A nudge is in hand, nothing done.
    NudgeTaken => "nudge_taken",
    Leased => "leased",
    /// An open intent of an earlier try has been judged and closed.
    Recovered => "recovered",
    Fetched => "fetched",
    Planned => "planned",
    /// The destination record that a plan links to is bound, nothing written.
    Bound => "bound",
    /// The intent is journaled, nothing sent.
    IntentOpened => "intent_opened",
    /// The destination has answered, nothing of it stored.
    StepAnswered => "step_answered",
    /// The effect is stored, further steps or the settling to come.
    StepClosed => "step_closed",
    /// All steps are done, the record is not settled.
    Applied => "applied",
    /// Settled, the nudge not yet acknowledged.
    Settled => "settled",
    Acknowledged => "acknowledged",
);

/// Marks a boundary. Does nothing in a release build; a debug build, as tests use it, may be told by `TANDEM_CRASH_AT=<word>[:<n>]` to die here (the
/// n-th time, from 1): the process then is gone as if killed, with nothing flushed and nothing dropped.
#[cfg(not(debug_assertions))]
#[inline]
pub fn pass(_: Boundary) {}

#[cfg(debug_assertions)]
pub fn pass(boundary: Boundary) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static ORDER: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let order = ORDER.get_or_init(|| {
        let text = std::env::var("TANDEM_CRASH_AT").ok()?;
        let (word, nth) = text.split_once(':').unwrap_or((&text, "1"));
        Some((word.to_owned(), nth.parse().unwrap_or(1)))
    });
    if let Some((word, nth)) = order
        && word == boundary.as_str()
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    {
        std::process::abort();
    }
}
