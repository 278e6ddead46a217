//! What a call from the CRM means (payamgostar sheet §3). Pure. Only the id is believed; the rest are hints.

use super::{CUSTOMER, PRE_INVOICE, hint};
use tandem_core::bridge::{WebhookCall, WebhookReading};
use tandem_core::text::normalize;
use uuid::Uuid;

/// The last path segment of the addresses that an administrator registers in the CRM, one per item type.
pub const ROUTES: &[&str] = &["identity", "person", "organization", "quote", "invoice", "test"];

pub fn read(call: &WebhookCall<'_>) -> WebhookReading {
    if call.route == "test" {
        return WebhookReading::Ignored("a test call".to_owned());
    }
    let Some(id) = call.id.map(str::trim).filter(|id| !id.is_empty()) else {
        return WebhookReading::Malformed("the parameter id is missing".to_owned());
    };
    let Ok(id) = Uuid::try_parse(id) else {
        return WebhookReading::Malformed("the parameter id is not a GUID".to_owned());
    };
    if id.is_nil() {
        return WebhookReading::Malformed("the parameter id is the empty GUID".to_owned());
    }
    // The type names the object; the route only says where the administrator pointed it.
    let (kind, hint) = match call.kind.map(|kind| kind.trim().to_ascii_lowercase()).as_deref().unwrap_or(call.route) {
        "identity" | "person" | "organization" => (CUSTOMER, identity_hint(call)),
        "quote" => (PRE_INVOICE, Some(hint::QUOTE)),
        "invoice" => (PRE_INVOICE, Some(hint::INVOICE)),
        other => {
            return WebhookReading::Ignored(format!(
                "the type {:?} is not synced",
                other.chars().take(40).collect::<String>()
            ));
        }
    };
    WebhookReading::Record { kind: kind.into(), source_id: id.to_string().into(), hint: hint.map(str::to_owned) }
}

/// Person or organization: by the route, else by the label, which administrators rename; else nobody knows yet, and
/// the record is asked for under both.
fn identity_hint(call: &WebhookCall<'_>) -> Option<&'static str> {
    match call.route {
        "person" => return Some(hint::PERSON),
        "organization" => return Some(hint::ORGANIZATION),
        _ => {}
    }
    let label = normalize(call.label?);
    if label.contains("حقوقی") {
        Some(hint::ORGANIZATION)
    } else if label.contains("حقیقی") {
        Some(hint::PERSON)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";

    fn check(route: &str, id: Option<&str>, kind: Option<&str>, label: Option<&str>, expected: &str) {
        let reading = match read(&WebhookCall { route, event: Some("Update"), id, kind, label }) {
            WebhookReading::Record { kind, source_id, hint } => {
                format!("{kind} {source_id} {}", hint.unwrap_or_default())
            }
            WebhookReading::Ignored(why) => format!("ignored: {why}"),
            WebhookReading::Malformed(why) => format!("malformed: {why}"),
        };
        assert_eq!(reading.trim_end(), expected);
    }

    #[test]
    fn the_route_tells_person_from_organization_before_the_label_does() {
        check("person", Some(ID), Some("Identity"), Some("مخاطب حقوقی"), &format!("customer {ID} person"));
        check("identity", Some(ID), Some("Identity"), Some("مخاطب حقیقی نمونه"), &format!("customer {ID} person"));
        check("identity", Some(ID), Some("Identity"), Some("مخاطب حقوقي"), &format!("customer {ID} organization"));
    }

    #[test]
    fn a_renamed_label_leaves_the_kind_open_instead_of_guessing_person() {
        check("identity", Some(ID), Some("Identity"), Some("مشتریان ویژه"), &format!("customer {ID}"));
        check("identity", Some(ID), None, None, &format!("customer {ID}"));
    }

    #[test]
    fn the_type_decides_what_it_is_wherever_it_was_pointed() {
        check("identity", Some(ID), Some("Quote"), None, &format!("pre_invoice {ID} quote"));
        check("invoice", Some(ID), None, None, &format!("pre_invoice {ID} invoice"));
        check("quote", Some(ID), Some("Ticket"), None, "ignored: the type \"ticket\" is not synced");
    }

    #[test]
    fn an_upper_case_id_is_the_same_record() {
        check("person", Some(&ID.to_uppercase()), None, None, &format!("customer {ID} person"));
    }

    #[test]
    fn without_a_usable_id_the_call_is_malformed() {
        check("person", None, None, None, "malformed: the parameter id is missing");
        check("person", Some(""), None, None, "malformed: the parameter id is missing");
        check("person", Some("42"), None, None, "malformed: the parameter id is not a GUID");
        check(
            "person",
            Some("00000000-0000-0000-0000-000000000000"),
            None,
            None,
            "malformed: the parameter id is the empty GUID",
        );
        check("test", None, None, None, "ignored: a test call");
    }
}
