//! `tandem check`: are both systems there, do they let us in, and is what we were told about them true?

use super::SiaghBridge;
use tandem_core::Fault;
use tandem_core::bridge::CheckLine;

impl SiaghBridge {
    pub(super) async fn check_systems(&self) -> Vec<CheckLine> {
        let crm = self.crm.probe().await.map(|()| "logged in".to_owned());
        let year = self.siagh.server_info().await.and_then(|info| match (info.fiscal_year, info.system_date) {
            (Some(year), date) => {
                Ok(format!("logged in; fiscal year {year}, server date {}", date.as_deref().unwrap_or("unknown")))
            }
            (None, _) => Err(Fault::systemic(
                "siagh.no_fiscal_year",
                "logged in, but Siagh names no open fiscal year; pre-invoices can't be sent without",
            )),
        });
        let mut lines = vec![line("CRM (Payamgostar): log in and read", crm), line("finance (Siagh): log in", year)];
        if lines[1].ok {
            lines.push(line("finance (Siagh): read the contacts", self.count_contacts().await));
        }
        lines
    }

    async fn count_contacts(&self) -> Result<String, Fault> {
        let (mut admins, mut inactive) = (0u64, 0u64);
        let total = self
            .siagh
            .contacts_each(None, |contact| {
                admins += u64::from(contact.is_admin_user);
                inactive += u64::from(!contact.is_active);
            })
            .await?;
        Ok(format!("{total} contacts, {inactive} of them inactive, {admins} users of Siagh itself"))
    }
}

fn line(what: &str, found: Result<String, Fault>) -> CheckLine {
    let (ok, detail) = match found {
        Ok(detail) => (true, detail),
        Err(fault) => (false, fault.message),
    };
    CheckLine { what: what.to_owned(), ok, detail }
}
