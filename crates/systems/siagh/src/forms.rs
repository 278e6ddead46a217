//! The two forms that are saved, as values; and the order and names of their controls.

use crate::controls::{Controls, Kind};
use crate::settings::Constants;

/// Natural person or legal entity: 0 and 1 of `taraftype`, false and true of `TowardType` (sheet §4.5 #3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PartyKind {
    #[default]
    Person,
    Organization,
}

/// Whether a save makes a contact or changes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveContact {
    Create,
    /// By the contact's Code. It is sent twice, as `Param1` and as `CodeMain`: with only one of them Siagh makes
    /// a new contact (sheet §2.4).
    Update {
        code: i64,
    },
}

/// A contact, whole: the form is saved as it is, so what is empty here becomes empty there (assumed, sheet
/// §2.4). Before an update, fill in what Siagh has and the other side does not.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ContactForm {
    /// Required.
    pub full_name: String,
    pub active: bool,
    pub kind: PartyKind,
    /// Unique in Siagh where not empty.
    pub mobile: String,
    /// Unique in Siagh where not empty.
    pub tel: String,
    pub national_code: String,
    pub email: String,
    pub website: String,
    pub address: String,
    pub postal_code: String,
    /// A code, not a name; likewise the next two.
    pub city_code: String,
    pub province_code: String,
    pub country_code: String,
    pub description: String,
    /// `gn_web_users.tmpid`: an outside id. Written only; the list never shows it (sheet §2.2).
    pub tmpid: String,
    /// 0 female, 1 male, empty unknown (sheet §2.4); whatever Siagh shows goes back as it is.
    pub gender: String,
}

impl ContactForm {
    /// The controls of form 2BFDA, in the order of the vendor's sample, `Param1` first on an update (sheet §2.4).
    pub fn controls(&self, action: SaveContact, constants: &Constants) -> Controls {
        let mut controls = Controls::default();
        let other = constants.longest_other;
        if let SaveContact::Update { code } = action {
            controls.set("Param1", &code.to_string(), Kind::Short, other);
        }
        if let Some(binding) = &constants.nick_name_binding {
            controls.set("NickName", binding, Kind::Short, other);
        }
        let kind = if self.kind == PartyKind::Organization { "1" } else { "0" };
        for (name, value, form, longest) in [
            ("isactive", if self.active { "1" } else { "0" }, Kind::Short, other),
            ("gender", &self.gender, Kind::Short, other),
            ("websiteaddress", &self.website, Kind::Prose, other),
            ("pocode", &self.postal_code, Kind::Short, other),
            ("codeostan", &self.province_code, Kind::Short, other),
            ("address", &self.address, Kind::Prose, constants.longest_address),
            ("codeshahr", &self.city_code, Kind::Short, other),
            ("countrycode", &self.country_code, Kind::Short, other),
            ("email", &self.email, Kind::Short, other),
            ("fullname", &self.full_name, Kind::Prose, constants.longest_name),
            ("mobileno", &self.mobile, Kind::Short, other),
            ("telno", &self.tel, Kind::Short, other),
            ("passno", &self.national_code, Kind::Short, other),
            ("tmpid", &self.tmpid, Kind::Short, other),
            ("tozihat", &self.description, Kind::Prose, constants.longest_notes),
            ("taraftype", kind, Kind::Short, other),
        ] {
            controls.set(&format!("gn_web_users.{name}"), value, form, longest);
        }
        controls
    }
}

/// The head of a sales pre-invoice. Siagh itself gives the number, the date and the VAT (sheet §2.5).
#[derive(Clone, PartialEq, Eq)]
pub struct PreInvoiceHeader {
    /// `hssanadstate`. 8.
    pub document_state: String,
    /// `codenoeesanad`. 2: sales pre-invoice.
    pub document_type: String,
    /// `codesalemodel`.
    pub sale_model: String,
    /// `salmali`: Jalali; take it from [`ServerInfo::fiscal_year`](crate::ServerInfo::fiscal_year).
    pub fiscal_year: i32,
    /// `codenoeepardakht`. 2: cheque.
    pub payment_kind: String,
    /// `codemarkazforush`: empty was followed by a script crash (sheet §4.3).
    pub sales_centre: String,
    /// `codecontact`: the contact's Code, or empty.
    pub contact_code: String,
    /// `codemoshtari`: contact Code or account-party code, an open question of the site (sheet §5.3).
    pub customer_code: String,
    /// `codenoeeforush`. 1.
    pub sale_kind: String,
    /// `codevaseteh`. 31, the owner's default.
    pub intermediary: String,
    /// `tozihat`.
    pub notes: String,
    /// `namenoesanad`: the name of the document type.
    pub type_name: String,
}

impl Default for PreInvoiceHeader {
    /// The constants of the sheet (§2.5); everything that depends on the record is empty, the year is 0.
    fn default() -> Self {
        Self {
            document_state: "8".to_owned(),
            document_type: "2".to_owned(),
            sale_model: String::new(),
            fiscal_year: 0,
            payment_kind: "2".to_owned(),
            sales_centre: String::new(),
            contact_code: String::new(),
            customer_code: String::new(),
            sale_kind: "1".to_owned(),
            intermediary: "31".to_owned(),
            notes: String::new(),
            type_name: String::new(),
        }
    }
}

impl PreInvoiceHeader {
    /// The controls of form 43D81, in the order of the vendor's sample (sheet §2.5).
    pub fn controls(&self, constants: &Constants) -> Controls {
        let mut controls = Controls::default();
        let other = constants.longest_other;
        for (name, value, form, longest) in [
            ("hssanadstate", self.document_state.as_str(), Kind::Short, other),
            ("codenoeesanad", &self.document_type, Kind::Short, other),
            ("codesalemodel", &self.sale_model, Kind::Short, other),
            ("salmali", &self.fiscal_year.to_string(), Kind::Short, other),
            ("codenoeepardakht", &self.payment_kind, Kind::Short, other),
            ("codemarkazforush", &self.sales_centre, Kind::Short, other),
            ("codecontact", &self.contact_code, Kind::Short, other),
            ("codemoshtari", &self.customer_code, Kind::Short, other),
            ("codenoeeforush", &self.sale_kind, Kind::Short, other),
            ("codevaseteh", &self.intermediary, Kind::Short, other),
            ("tozihat", &self.notes, Kind::Prose, constants.longest_notes),
            ("namenoesanad", &self.type_name, Kind::Prose, constants.longest_name),
        ] {
            controls.set(&format!("sl_sanad.{name}"), value, form, longest);
        }
        controls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ContactForm {
        ContactForm {
            full_name: "شرکت نمونه الف".into(),
            active: true,
            kind: PartyKind::Organization,
            mobile: "09000000001".into(),
            tel: "02100000001".into(),
            address: "نشانی نمونه".into(),
            tmpid: "42".into(),
            ..ContactForm::default()
        }
    }

    #[test]
    fn a_create_is_the_sheets_example_to_the_letter() {
        // sheet §2.4, joined to one string
        let sheet = concat!(
            "NickName=dbgrid1.#nickname#|gn_web_users.isactive=1|gn_web_users.gender=|gn_web_users.websiteaddress=|gn_web_users.pocode=|",
            "gn_web_users.codeostan=|gn_web_users.address=نشانی نمونه|gn_web_users.codeshahr=|gn_web_users.countrycode=|gn_web_users.email=|",
            "gn_web_users.fullname=شرکت نمونه الف|gn_web_users.mobileno=09000000001|gn_web_users.telno=02100000001|gn_web_users.passno=|",
            "gn_web_users.tmpid=42|gn_web_users.tozihat=|gn_web_users.taraftype=1"
        );
        assert_eq!(sample().controls(SaveContact::Create, &Constants::default()).text(), sheet);
    }

    #[test]
    fn an_update_begins_with_the_code() {
        let controls = sample().controls(SaveContact::Update { code: 42 }, &Constants::default());
        assert!(controls.text().starts_with("Param1=42|NickName="));
    }

    #[test]
    fn a_pre_invoice_head_is_the_sheets_example_to_the_letter() {
        let head = PreInvoiceHeader {
            sale_model: "5".into(),
            sales_centre: "5".into(),
            fiscal_year: 1404,
            customer_code: "42".into(),
            notes: "سفارش نمونه".into(),
            type_name: "پیش فاکتور فروش نمونه".into(),
            ..PreInvoiceHeader::default()
        };
        // sheet §2.5, joined to one string
        let sheet = concat!(
            "sl_sanad.hssanadstate=8|sl_sanad.codenoeesanad=2|sl_sanad.codesalemodel=5|sl_sanad.salmali=1404|sl_sanad.codenoeepardakht=2|sl_sanad.codemarkazforush=5|",
            "sl_sanad.codecontact=|sl_sanad.codemoshtari=42|sl_sanad.codenoeeforush=1|sl_sanad.codevaseteh=31|sl_sanad.tozihat=سفارش نمونه|sl_sanad.namenoesanad=پیش فاکتور فروش نمونه"
        );
        assert_eq!(head.controls(&Constants::default()).text(), sheet);
    }
}
