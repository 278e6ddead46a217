//! Saving the contact form: create and update (siagh sheet §2.4, §7.7 to §7.10).

use super::{
    answer::{Answer, DUPLICATE_MOBILE, DUPLICATE_PHONE, Notice},
    contact::{Contact, Unique},
    form::Form,
    office::Office,
};
use crate::stage::clock::jalali_text;

/// New account parties start here, as in the sheet's sample.
const FIRST_ACCOUNT_PARTY: i64 = 5_500_000;

impl Office {
    pub(crate) fn save_contact(&mut self, form: &Form) -> Answer {
        // An update needs both; with CodeMain alone the server makes a new contact (sheet §7.8).
        let saved = match form.controls.get("Param1") {
            None => self.create_contact(form),
            Some(code) => self.update_contact(code, form),
        };
        match saved {
            Ok(code) => Answer::contact(code),
            Err(notices) => Answer::refused(notices),
        }
    }

    fn create_contact(&mut self, form: &Form) -> Result<i64, Vec<Notice>> {
        let mut contact = Contact {
            record_id: self.desk.new_id(),
            code: self.contacts.next_code(),
            confirm: true,
            coin: Some(0),
            reg_date: Some(jalali_text(self.desk.clock.local().date())),
            ..Contact::default()
        };
        if self.settings().assign_account_party {
            contact.account_party_code = Some(FIRST_ACCOUNT_PARTY + contact.code);
        }
        self.fill(contact, form)
    }

    fn update_contact(&mut self, code: &str, form: &Form) -> Result<i64, Vec<Notice>> {
        let known = code
            .parse()
            .ok()
            .filter(|_| form.parameters.text("CodeMain") == code)
            .and_then(|code| self.contacts.get(code));
        match known.cloned() {
            None => Err(vec![Notice::error("کد مخاطب یافت نشد")]),
            Some(contact) => self.fill(contact, form),
        }
    }

    /// Every control of the form overwrites its member, also with nothing (sheet §7.9).
    fn fill(&mut self, mut contact: Contact, form: &Form) -> Result<i64, Vec<Notice>> {
        let control = |name: &str| form.controls.text(&format!("gn_web_users.{name}")).to_owned();
        let text = |name: &str| Some(control(name));
        contact.name = control("fullname");
        contact.nick_name = text("nickname");
        contact.is_active = control("isactive") == "1";
        contact.toward_type = Some(control("taraftype") == "1");
        contact.mobile_no = text("mobileno");
        contact.tel_no = text("telno");
        contact.national_code = text("passno");
        contact.tmpid = text("tmpid");
        contact.email = text("email");
        contact.web_site_address = text("websiteaddress");
        contact.address = text("address");
        contact.postal_code = text("pocode");
        contact.description = text("tozihat");
        contact.city_code = text("codeshahr");
        contact.geographic_code = text("codeostan");
        contact.country_code = text("countrycode");
        contact.gender = text("gender");
        let notices = self.objections(&contact);
        if !notices.is_empty() {
            return Err(notices);
        }
        let code = contact.code;
        self.contacts.put(contact);
        Ok(code)
    }

    fn objections(&self, contact: &Contact) -> Vec<Notice> {
        let mut notices = Vec::new();
        if contact.name.trim().is_empty() {
            notices.push(Notice::error("نام کامل وارد نشده است"));
        }
        let taken = |unique, number: &Option<String>| {
            self.contacts.taken(unique, number.as_deref().unwrap_or_default(), contact.code)
        };
        if taken(Unique::Mobile, &contact.mobile_no) {
            notices.push(Notice::error(DUPLICATE_MOBILE));
        }
        if taken(Unique::Tel, &contact.tel_no) {
            notices.push(Notice::error(DUPLICATE_PHONE));
        }
        notices
    }
}
