//! Reads the answer to a save: done, refused, session ended, or nobody knows.
//!
//! Siagh says errors inside a 200. Saved is only what says so twice: `ReturnValue` true and no row of type
//! `ErrError` (sheet §2.7).

use crate::fault;
use crate::wire::{Notice, SaveAnswer};
use rust_decimal::Decimal;
use tandem_core::Fault;
use tandem_core::text::{digit, normalize};
use tandem_outbound::Answer;

/// A save that surely happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) return_code: String,
    pub(crate) return_params: Option<String>,
    /// The sentences of success.
    pub(crate) messages: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

pub(crate) enum Verdict {
    Saved(Saved),
    /// Surely nothing was done: log in and send once more.
    SessionEnded(Fault),
    Fault(Fault),
}

/// Judges one answer to `SaveFormData`.
pub(crate) fn judge(answer: &Answer) -> Verdict {
    let status = answer.status().as_u16();
    match status {
        200..=299 if answer.is_markup() && is_login_page(&answer.body) => {
            Verdict::SessionEnded(fault::session_refused("Siagh answered a save with its login page"))
        }
        200..=299 if answer.is_markup() => Verdict::Fault(fault::in_doubt("Siagh answered a save with an HTML page")),
        200..=299 => match tandem_outbound::json::from_slice(&answer.body) {
            Ok(reply) => judge_reply(reply),
            Err(bad) => Verdict::Fault(fault::in_doubt(&format!("Siagh's answer to a save can't be read: {bad}"))),
        },
        401 | 403 => {
            Verdict::SessionEnded(fault::session_refused(&format!("Siagh answered {status}, also with a new session")))
        }
        300..=399 if leads_to_login(answer) => {
            Verdict::SessionEnded(fault::session_refused("Siagh answered with a redirect to its login"))
        }
        _ => Verdict::Fault(fault::of_write_status(answer)),
    }
}

fn judge_reply(reply: SaveAnswer) -> Verdict {
    let errors: Vec<&Notice> = reply.errors.iter().filter(|row| row.is("ErrError")).collect();
    match (reply.return_value, errors.is_empty()) {
        (Some(true), true) => match reply.return_code.clone().map(|code| code.trim().to_owned()) {
            Some(return_code) => Verdict::Saved(Saved {
                return_code,
                return_params: reply.return_params.clone(),
                messages: reply.messages(),
                warnings: reply.errors.iter().filter(|row| row.is("ErrWarning")).filter_map(Notice::sentence).collect(),
            }),
            None => Verdict::Fault(fault::in_doubt("Siagh reports success without a ReturnCode")),
        },
        (Some(true), false) => Verdict::Fault(fault::in_doubt(&format!(
            "Siagh reports success and an error at once: {}",
            reply.complaint()
        ))),
        (None, true) => Verdict::Fault(fault::in_doubt("Siagh's answer says neither success nor failure")),
        _ if reply.is_about_session() => Verdict::SessionEnded(fault::refused(&reply)),
        _ => Verdict::Fault(fault::refused(&reply)),
    }
}

impl Notice {
    pub(crate) fn is(&self, error_type: &str) -> bool {
        self.error_type.as_deref().is_some_and(|found| found.trim().eq_ignore_ascii_case(error_type))
    }

    pub(crate) fn sentence(&self) -> Option<String> {
        let text = self.description.as_deref().or(self.message_text.as_deref())?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl SaveAnswer {
    /// Everything said against the save, on one line.
    pub(crate) fn complaint(&self) -> String {
        let rows =
            self.errors.iter().filter(|row| !row.is("ErrSuccs") && !row.is("ErrWarning")).filter_map(Notice::sentence);
        let said: Vec<String> = rows.chain(self.final_messages.iter().cloned()).collect();
        if said.is_empty() { "no reason given".to_owned() } else { said.join("; ") }
    }

    fn messages(&self) -> Vec<String> {
        let successes = self.errors.iter().filter(|row| row.is("ErrSuccs")).filter_map(Notice::sentence);
        successes.chain(self.final_messages.iter().cloned()).collect()
    }

    /// The complaint speaks of login or session (sheet §1, assumed). A complaint of the catalogue never does.
    pub(crate) fn is_about_session(&self) -> bool {
        let said = normalize(&self.complaint()).to_lowercase();
        fault::code_of(self) == fault::REFUSED
            && said
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| matches!(word, "ورود" | "نشست" | "session" | "sessionid" | "login"))
    }
}

/// A page that asks for a password.
pub(crate) fn is_login_page(body: &[u8]) -> bool {
    let page: String =
        String::from_utf8_lossy(body).to_lowercase().chars().filter(|c| !matches!(c, '"' | '\'' | ' ')).collect();
    page.contains("type=password")
}

pub(crate) fn leads_to_login(answer: &Answer) -> bool {
    answer
        .head
        .location()
        .is_some_and(|to| ["login", "signin", "account"].iter().any(|word| to.to_lowercase().contains(word)))
}

/// The document's number from Siagh's sentence, which is the only place it stands: the first digits after
/// the word for "number" (sheet §2.7). Persian digits are read too.
pub fn document_number(sentence: &str) -> Option<String> {
    let sentence = normalize(sentence);
    sentence.split("شماره").skip(1).find_map(|rest| {
        let number: String = rest.trim_start_matches([' ', ':']).chars().take_while(char::is_ascii_digit).collect();
        (!number.is_empty()).then_some(number)
    })
}

/// The "net of the document" from Siagh's sentence (sheet §2.7). It may or may not hold VAT: compare, warn,
/// never fail on it.
pub fn net_amount(sentence: &str) -> Option<Decimal> {
    let sentence = normalize(sentence);
    let (_, rest) = sentence.split_once("خالص سند")?;
    let mut number = String::new();
    for c in rest.trim_start_matches([' ', ':']).chars() {
        match c {
            '.' | '٫' => number.push('.'),
            '-' if number.is_empty() => number.push('-'),
            ',' | '٬' | '،' => {}
            c => match digit(c) {
                Some(value) => number.push(char::from(b'0' + value)),
                None => break,
            },
        }
    }
    Decimal::from_str_exact(number.trim_end_matches('.')).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_net_are_read_from_the_vendors_sentence() {
        // sheet §2.7
        let sentence = "پیش فاکتور فروش با موفقیت به شماره 2501 ثبت گردید خالص سند: 5,720,000";
        assert_eq!(document_number(sentence).as_deref(), Some("2501"));
        assert_eq!(net_amount(sentence), Some(Decimal::from(5_720_000)));
    }

    #[test]
    fn persian_digits_and_separators_are_read_too() {
        let sentence = "شماره سند: به شماره ۲۵۰۱ ثبت شد خالص سند : ۵٬۷۲۰٬۰۰۰٫۵";
        assert_eq!(document_number(sentence).as_deref(), Some("2501"));
        assert_eq!(net_amount(sentence).map(|net| net.to_string()).as_deref(), Some("5720000.5"));
    }

    #[test]
    fn a_sentence_without_them_gives_nothing() {
        for sentence in ["", "شماره", "خالص سند:", "ثبت گردید 12", "خالص سند: نامعلوم"]
        {
            assert_eq!((document_number(sentence), net_amount(sentence)), (None, None), "{sentence}");
        }
    }
}
