//! The bridges that this program has: one entry each. A new bridge is made known here and nowhere else.

use crate::settings::Settings;
use anyhow::Context as _;
use payamgostar::PayamgostarClient;
use siagh::SiaghClient;
use std::sync::Arc;
use tandem_bridges::siagh::{self as siagh_bridge, mapping};
use tandem_core::Bridge;

/// A bridge as the command line knows it, whether or not its settings are present.
#[derive(Debug)]
pub struct Known {
    pub id: &'static str,
    pub kinds: &'static [&'static str],
    /// The types of its value mappings.
    pub mappings: &'static [&'static str],
    /// Those of them whose rows `tandem check` counts.
    pub counted: &'static [&'static str],
    /// A kind, as people say it, and the mapping types that have to have rows before one can be sent.
    pub needed: (&'static str, &'static [&'static str]),
    /// Its jobs; the first one is what `tandem run <bridge>` starts.
    pub jobs: &'static [&'static str],
    /// The job that sees every record of the source, whatever changed.
    pub whole: &'static str,
    /// The job that takes over what the destination has already.
    pub import: Option<&'static str>,
    /// The kind of record that the import notices.
    pub imported_kind: Option<&'static str>,
    /// `crm` in `/webhook/crm/quote`, and the words after it.
    pub webhooks: Option<(&'static str, &'static [&'static str])>,
    /// What its records become in the destination, one for each kind.
    pub counterparts: &'static [Counterpart],
    build: fn(&Settings) -> anyhow::Result<Arc<dyn Bridge>>,
}

/// What records of a kind become in the destination, for people who name one.
#[derive(Debug)]
pub struct Counterpart {
    pub kind: &'static str,
    /// What its id is called, and of which form it is.
    pub id: &'static str,
    /// An id as the destination writes it; `None` for a text that can't be one.
    pub read_id: fn(&str) -> Option<String>,
    /// What the number is called that it bears beside its id, and under which people find it; `None` where they find it
    /// under its id. It is a whole number.
    pub number: Option<&'static str>,
}

impl Known {
    /// What records of a kind become.
    pub fn counterpart(&self, kind: &str) -> &'static Counterpart {
        let found = self.counterparts.iter().find(|counterpart| counterpart.kind == kind);
        found.expect("every kind has one; a test looks")
    }
}

/// A whole number above zero in ASCII digits, whatever digits it was typed in.
pub fn whole_number(text: &str) -> Option<String> {
    let number: i64 = tandem_core::text::normalize(text).parse().ok()?;
    (number > 0).then(|| number.to_string())
}

fn guid(text: &str) -> Option<String> {
    uuid::Uuid::parse_str(text.trim()).ok().map(|id| id.to_string())
}

/// All bridges.
pub const KNOWN: &[Known] = &[Known {
    id: siagh_bridge::SIAGH,
    kinds: &[siagh_bridge::CUSTOMER, siagh_bridge::PRE_INVOICE, siagh_bridge::CONTACT],
    mappings: mapping::ALL,
    counted: &[mapping::GOODS, mapping::UNIT, mapping::SALE_MODEL, mapping::SALES_CENTRE],
    needed: ("pre-invoice", &[mapping::GOODS, mapping::SALE_MODEL, mapping::SALES_CENTRE]),
    jobs: &[siagh_bridge::POLL, siagh_bridge::SWEEP, siagh_bridge::IMPORT],
    whole: siagh_bridge::SWEEP,
    import: Some(siagh_bridge::IMPORT),
    imported_kind: Some(siagh_bridge::CONTACT),
    webhooks: Some(("crm", siagh_bridge::ROUTES)),
    counterparts: &[
        Counterpart {
            kind: siagh_bridge::CUSTOMER,
            id: "the code of a contact in Siagh, a whole number",
            read_id: whole_number,
            number: None,
        },
        Counterpart {
            kind: siagh_bridge::PRE_INVOICE,
            id: "the internal code of a pre-invoice in Siagh, a whole number",
            read_id: whole_number,
            number: Some("the number of a pre-invoice in Siagh, a whole number"),
        },
        Counterpart {
            kind: siagh_bridge::CONTACT,
            id: "the id of a customer in the CRM, a GUID",
            read_id: guid,
            number: None,
        },
    ],
    build: siagh,
}];

/// The names of all bridges.
pub fn names() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.id).collect()
}

/// Makes the bridges that are to run here.
pub fn build(settings: &Settings) -> anyhow::Result<Vec<Arc<dyn Bridge>>> {
    let wanted = settings.bridges();
    KNOWN.iter().filter(|known| wanted.contains(&known.id)).map(|known| (known.build)(settings)).collect()
}

fn siagh(settings: &Settings) -> anyhow::Result<Arc<dyn Bridge>> {
    let systems = &settings.systems;
    let missing = || format!("the siagh bridge needs {}", systems.missing.join(", "));
    let crm = PayamgostarClient::new(systems.crm.clone().with_context(missing)?)?;
    let finance = SiaghClient::new(systems.finance.clone().with_context(missing)?)?;
    Ok(Arc::new(siagh_bridge::SiaghBridge::new(systems.siagh.clone(), crm, finance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Needs, Raw};
    use std::collections::BTreeSet;

    fn complete() -> Settings {
        let values = [
            ("DATABASE_URL", "sqlite://x"),
            ("CRM_API_BASE_URL", "http://127.0.0.1:1"),
            ("CRM_USERNAME", "u"),
            ("CRM_PASSWORD", "p"),
            ("FINANCE_API_BASE_URL", "http://127.0.0.1:1"),
            ("FINANCE_USERNAME", "u"),
            ("FINANCE_PASSWORD", "6A03CCD0C813FB03ECAD5A210C7D5A8E"),
        ];
        Settings::load(&Raw::of(&values), Needs::Bridges).unwrap()
    }

    #[test]
    fn what_the_command_line_knows_of_a_bridge_is_what_the_bridge_says() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        for bridge in build(&complete()).unwrap() {
            let spec = bridge.spec();
            let known = KNOWN.iter().find(|known| known.id == spec.id.as_str()).unwrap();
            assert_eq!(known.kinds, spec.kinds.iter().map(|kind| kind.id.as_str()).collect::<Vec<_>>());
            assert_eq!(known.kinds, known.counterparts.iter().map(|counterpart| counterpart.kind).collect::<Vec<_>>());
            assert_eq!(known.jobs, spec.jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>());
            assert_eq!(known.webhooks, spec.webhooks.as_ref().map(|w| (w.system, w.routes)));
            let mappings: BTreeSet<&str> = spec.kinds.iter().flat_map(|kind| kind.mappings).copied().collect();
            assert_eq!(known.mappings.iter().copied().collect::<BTreeSet<_>>(), mappings);
            assert!(known.jobs.contains(&known.whole) && known.import.is_none_or(|job| known.jobs.contains(&job)));
            assert!(known.imported_kind.is_none_or(|kind| known.kinds.contains(&kind)));
        }
    }
    #[test]
    fn an_id_is_read_in_any_digits_and_nonsense_is_none() {
        let of = |kind: &str, text: &str| (KNOWN[0].counterpart(kind).read_id)(text);
        assert_eq!(of("customer", " ۰۴۲ ").as_deref(), Some("42"));
        for wrong in ["", "0", "-4", "4.2", "contact 42", "99999999999999999999"] {
            assert_eq!(of("customer", wrong), None, "{wrong}");
        }
        let guid = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";
        assert_eq!(of("contact", &guid.to_uppercase()).as_deref(), Some(guid));
        assert_eq!(of("contact", "42"), None);
    }
}
