//! Decides permanent, transient, systemic or in doubt, from the status and the words of an answer.

use crate::says::Refusal;
use std::time::Duration;
use tandem_core::Fault;
use tandem_outbound::json::BadJson;
use tandem_outbound::{Answer, Safety};

/// How long no login is tried after a fresh token was refused: the next one would be refused too, and refusals lock the
/// user. Whatever else is wrong with the installation names no time of ours: when to come back is then the operator's word.
const TOKEN_WAIT: Duration = Duration::from_secs(5 * 60);

/// The fault behind an answer that is not 2xx.
///
/// A write answered with 4xx surely did not happen. A write answered with 5xx may have (sheet §4.2).
pub(crate) fn of_status(answer: &Answer, safety: Safety, what: &str) -> Fault {
    let refusal = Refusal::of(answer);
    let status = answer.status().as_u16();
    let said = format!("{what}: the CRM answered {status}: {}", refusal.sentence());
    let wish = answer.head.retry_after;
    match status {
        300..=399 => Fault::systemic(
            "payamgostar.not_the_api",
            format!("{what}: the CRM answered {status}, a redirect; is the base address right?"),
        ),
        401 => Fault::systemic("payamgostar.token_refused", said).after(TOKEN_WAIT),
        402 => with_wish(Fault::systemic("payamgostar.licence", said), wish),
        // Allowed hours, allowed addresses and missing rights of the service user (sheet §1.2) concern every record.
        403 => with_wish(Fault::systemic("payamgostar.forbidden", said), wish),
        408 if safety == Safety::Write => in_doubt(said),
        408 => Fault::transient("payamgostar.timeout", said),
        429 => Fault::systemic("payamgostar.rate_limited", said).after(wish.unwrap_or(Duration::from_secs(60))),
        404 => Fault::permanent("payamgostar.not_found", said),
        405 | 415 => Fault::systemic("payamgostar.not_the_api", said),
        400..=499 => refused(&refusal, said),
        _ if safety == Safety::Write => in_doubt(said),
        _ => with_wish(Fault::transient("payamgostar.server_error", said), wish),
    }
}

fn refused(refusal: &Refusal, said: String) -> Fault {
    let code = match (refusal.is_duplicate(), refusal.names_field("customerNumber")) {
        (true, true) => "payamgostar.duplicate_customer_number",
        (true, false) => "payamgostar.duplicate",
        (false, _) => "payamgostar.refused",
    };
    Fault::permanent(code, said)
}

fn in_doubt(said: String) -> Fault {
    Fault::in_doubt("payamgostar.answer_lost", format!("{said}; it may or may not have been carried out"))
}

fn with_wish(fault: Fault, wish: Option<Duration>) -> Fault {
    match wish {
        Some(wish) => fault.after(wish),
        None => fault,
    }
}

/// A read answered 2xx with something that can't be read.
pub(crate) fn unreadable(bad: &BadJson, what: &str) -> Fault {
    let said = format!("{what}: the CRM's answer can't be read: {bad}");
    match bad {
        BadJson::Markup => Fault::systemic("payamgostar.not_the_api", said),
        BadJson::Empty | BadJson::Cut | BadJson::NotJson { .. } => Fault::transient("payamgostar.bad_answer", said),
        BadJson::Shape { .. } => Fault::permanent("payamgostar.unexpected_shape", said),
    }
}

/// A write answered 2xx without naming the object: production has shown 201 with an empty body (sheet §4.1).
pub(crate) fn no_id(what: &str) -> Fault {
    Fault::in_doubt(
        "payamgostar.no_id",
        format!("{what}: the CRM answered success without an id; look for the record before trying again"),
    )
}
