//! Decides permanent, transient, systemic or in doubt, by status and by the catalogue of Siagh's sentences.

use crate::wire::SaveAnswer;
use std::time::Duration;
use tandem_core::Fault;
use tandem_core::text::normalize;
use tandem_outbound::Answer;

pub(crate) const REFUSED: &str = "siagh.refused";
const WAIT: Duration = Duration::from_secs(60);
/// The longest part of a complaint that is kept; a script crash lists its whole stack.
const LONGEST: usize = 500;

/// Which case of the catalogue a refusal is (sheet §4.1). The Persian texts are compared after normalizing.
pub(crate) fn code_of(reply: &SaveAnswer) -> &'static str {
    let said = normalize(&reply.complaint());
    let has = |words: &[&str]| words.iter().all(|word| said.contains(word));
    let about_price =
        reply.errors.iter().any(|row| row.col_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("Price")));
    if has(&["RUNTIME ERROR"]) {
        "siagh.script_crash"
    } else if has(&["موبایل", "تکراری"]) {
        "siagh.duplicate_mobile"
    } else if has(&["تلفن", "تکراری"]) {
        "siagh.duplicate_phone"
    } else if about_price || has(&["قیمت", "درست وارد نشده"]) {
        "siagh.bad_price"
    } else {
        REFUSED
    }
}

/// A save that Siagh refused in words: surely not done, and useless to repeat unchanged.
pub(crate) fn refused(reply: &SaveAnswer) -> Fault {
    let said: String = reply.complaint().chars().take(LONGEST).collect();
    Fault::permanent(code_of(reply), said)
}

/// A save's answer that leaves open whether it happened.
pub(crate) fn in_doubt(said: &str) -> Fault {
    Fault::in_doubt("siagh.answer_lost", format!("{said}; it may or may not have been saved"))
}

/// A session just obtained is not accepted: nothing can work until that changes.
pub(crate) fn session_refused(said: &str) -> Fault {
    Fault::systemic("siagh.session_refused", said).after(WAIT)
}

/// Names no wait of ours: when to come back is the operator's word.
pub(crate) fn not_the_api(said: String) -> Fault {
    Fault::systemic("siagh.not_the_api", format!("{said}; is the address right?"))
}

/// A save answered with a status that is neither success nor about the session.
pub(crate) fn of_write_status(answer: &Answer) -> Fault {
    let status = answer.status().as_u16();
    match status {
        404 | 405 => not_the_api(format!("a save was answered {status}")),
        429 => Fault::systemic("siagh.rate_limited", "Siagh asks for fewer saves")
            .after(answer.head.retry_after.unwrap_or(WAIT)),
        400..=499 if status != 408 => Fault::permanent(REFUSED, format!("a save was answered {status}")),
        _ => in_doubt(&format!("a save was answered {status}")),
    }
}

/// A list answered with a status that is neither success nor about the session.
pub(crate) fn of_read_status(answer_status: u16, retry_after: Option<Duration>) -> Fault {
    let said = format!("the contact list was answered {answer_status}");
    match answer_status {
        408 | 500..=599 => Fault::transient("siagh.server_error", said),
        429 => Fault::systemic("siagh.rate_limited", said).after(retry_after.unwrap_or(WAIT)),
        _ => not_the_api(said),
    }
}
