//! A person or an organization about to be created.

use serde_json::{Map, Value, json};

/// What a new identity is created with (sheet §2.6). Absent members are not sent at all.
#[derive(Clone, PartialEq, Default)]
pub struct IdentityDraft {
    /// `crmObjectTypeCode`: required, the code must exist on the site.
    pub type_code: String,
    /// Set it, with `customer_number`, on every create: they are what a lost answer is found again by (sheet §4.2).
    pub ref_id: Option<String>,
    /// Must match the type's numbering template. A number higher than all others moves the sequence on for
    /// ever (sheet §4.3).
    pub customer_number: Option<String>,
    /// Organizations need it (assumed).
    pub nick_name: Option<String>,
    /// Persons need first or last name (assumed).
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub national_code: Option<String>,
    pub economic_code: Option<String>,
    pub gender: Option<String>,
    pub email: Option<String>,
    pub alternative_email: Option<String>,
    pub website: Option<String>,
    pub description: Option<String>,
    pub phones: Vec<PhoneDraft>,
    pub addresses: Vec<AddressDraft>,
    /// Keys that exist on the site.
    pub category_keys: Vec<String>,
    /// Custom fields as user key and text.
    pub extended: Vec<(String, String)>,
}

#[derive(Clone, PartialEq, Eq, Default)]
pub struct PhoneDraft {
    pub default: bool,
    /// `Mobile` or `Office`, or the site's own word.
    pub phone_type: String,
    pub number: String,
}

#[derive(Clone, PartialEq, Eq, Default)]
pub struct AddressDraft {
    pub default: bool,
    pub address: String,
    pub zip_code: Option<String>,
    /// Country, state and city must exist in the CRM's base data (sheet §2.6).
    pub country: Option<String>,
    pub state: Option<String>,
    pub city: Option<String>,
}

impl IdentityDraft {
    /// The body of the create call.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("crmObjectTypeCode".to_owned(), self.type_code.clone().into());
        for (name, text) in [
            ("refId", &self.ref_id),
            ("customerNumber", &self.customer_number),
            ("nickName", &self.nick_name),
            ("firstName", &self.first_name),
            ("lastName", &self.last_name),
            ("nationalCode", &self.national_code),
            ("economicCode", &self.economic_code),
            ("gender", &self.gender),
            ("email", &self.email),
            ("alternativeEmail", &self.alternative_email),
            ("website", &self.website),
            ("description", &self.description),
        ] {
            put(&mut body, name, text.as_deref());
        }
        put_rows(&mut body, "phoneContacts", self.phones.iter().map(PhoneDraft::row).collect());
        put_rows(&mut body, "addressContacts", self.addresses.iter().map(AddressDraft::row).collect());
        put_rows(&mut body, "categories", self.category_keys.iter().map(|key| json!({ "key": key })).collect());
        put_rows(
            &mut body,
            "extendedProperties",
            self.extended.iter().map(|(key, value)| json!({"userKey": key, "value": value})).collect(),
        );
        Value::Object(body)
    }
}

impl PhoneDraft {
    fn row(&self) -> Value {
        json!({"default": self.default, "phoneType": self.phone_type, "phoneNumber": self.number})
    }
}

impl AddressDraft {
    fn row(&self) -> Value {
        let mut row = Map::new();
        row.insert("default".to_owned(), self.default.into());
        row.insert("address".to_owned(), self.address.clone().into());
        for (name, text) in
            [("zipCode", &self.zip_code), ("country", &self.country), ("state", &self.state), ("city", &self.city)]
        {
            put(&mut row, name, text.as_deref());
        }
        Value::Object(row)
    }
}

fn put(body: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        body.insert(name.to_owned(), text.into());
    }
}

fn put_rows(body: &mut Map<String, Value>, name: &str, rows: Vec<Value>) {
    if !rows.is_empty() {
        body.insert(name.to_owned(), Value::Array(rows));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheets_example_is_built_exactly() {
        let draft = IdentityDraft {
            type_code: "person".into(),
            nick_name: Some("نام نمونه".into()),
            first_name: Some("نام".into()),
            last_name: Some("نمونه".into()),
            customer_number: Some("100-1042".into()),
            national_code: Some("0000000000".into()),
            ref_id: Some("42".into()),
            email: Some("a@example.test".into()),
            phones: vec![PhoneDraft { default: true, phone_type: "Mobile".into(), number: "09000000001".into() }],
            addresses: vec![AddressDraft {
                default: true,
                address: "نشانی نمونه".into(),
                zip_code: Some("1234567890".into()),
                ..AddressDraft::default()
            }],
            category_keys: vec!["syaghcontact".into()],
            ..IdentityDraft::default()
        };
        // sheet §2.6
        let sheet = json!({"crmObjectTypeCode":"person","nickName":"نام نمونه","firstName":"نام","lastName":"نمونه","customerNumber":"100-1042",
            "nationalCode":"0000000000","refId":"42","email":"a@example.test",
            "phoneContacts":[{"default":true,"phoneType":"Mobile","phoneNumber":"09000000001"}],
            "addressContacts":[{"default":true,"address":"نشانی نمونه","zipCode":"1234567890"}],
            "categories":[{"key":"syaghcontact"}]});
        assert_eq!(draft.body(), sheet);
    }
}
