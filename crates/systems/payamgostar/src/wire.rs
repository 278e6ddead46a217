//! The CRM's objects as they come over the wire, read leniently, with the whole object kept beside.
//!
//! Names follow sheet §2.2, §2.6, §2.7, §2.9 and §2.10. What is not named here is ignored in the typed view
//! and still present in `raw`, so that a read-modify-write loses nothing (sheet §2.8).

use crate::lenient::{self, LocalTime, camel_case};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use tandem_outbound::json::{BadJson, from_value};
use uuid::Uuid;

/// A natural person or a legal entity. The same id can change its kind (sheet §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IdentityKind {
    #[default]
    Person,
    Organization,
}

impl IdentityKind {
    pub fn other(self) -> Self {
        match self {
            Self::Person => Self::Organization,
            Self::Organization => Self::Person,
        }
    }

    /// Code of the built-in type; a site can define more types of either kind (sheet §2.6).
    pub fn default_type_code(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Organization => "organization",
        }
    }
}

/// A priced document: the pre-invoice (quote) or the sales invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BillableKind {
    #[default]
    Quote,
    Invoice,
}

/// The kinds of object that calls are addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    Identity(IdentityKind),
    Billable(BillableKind),
}

impl From<IdentityKind> for ObjectKind {
    fn from(kind: IdentityKind) -> Self {
        Self::Identity(kind)
    }
}

impl From<BillableKind> for ObjectKind {
    fn from(kind: BillableKind) -> Self {
        Self::Billable(kind)
    }
}

/// One row of the light list: no kind, no dates (sheet §2.2).
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStub {
    #[serde(deserialize_with = "lenient::own_guid")]
    pub identity_id: Uuid,
    #[serde(default, deserialize_with = "lenient::text")]
    pub nick_name: Option<String>,
    /// Called `customerNumber` in the full object. Often empty.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_no: Option<String>,
}

/// A person or an organization. Empty texts and `null` are both `None`.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    #[serde(skip)]
    pub kind: IdentityKind,
    #[serde(deserialize_with = "lenient::own_guid")]
    pub crm_id: Uuid,
    /// May be assigned late, may be changed; never a mapping key (sheet §4.3, §6).
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_number: Option<String>,
    /// Member `crmObjectTypeCode`.
    #[serde(default, rename = "crmObjectTypeCode", deserialize_with = "lenient::text")]
    pub type_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub ref_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub nick_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub first_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub last_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub national_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub economic_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub register_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub gender: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub email: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub alternative_email: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub website: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    #[serde(default, rename = "phoneContacts", deserialize_with = "lenient::or_default")]
    pub phones: Vec<Phone>,
    #[serde(default, rename = "addressContacts", deserialize_with = "lenient::or_default")]
    pub addresses: Vec<Address>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub categories: Vec<Category>,
    #[serde(default, rename = "extendedProperties", deserialize_with = "lenient::or_default")]
    pub extended: Vec<ExtendedProperty>,
    /// The member really is spelled `creatDate` (sheet §0).
    #[serde(default, rename = "creatDate", deserialize_with = "lenient::time")]
    pub created: Option<LocalTime>,
    #[serde(default, rename = "modifyDate", deserialize_with = "lenient::time")]
    pub modified: Option<LocalTime>,
    #[serde(default, deserialize_with = "lenient::guid")]
    pub modifier_id: Option<Uuid>,
    /// The whole object with camelCase names: change members here and hand it to
    /// [`update_identity`](crate::PayamgostarClient::update_identity).
    #[serde(skip)]
    pub raw: Value,
}

/// The type is free text of the site: `Mobile`, `Office` or Persian words (sheet §2.6). Judge by the number.
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Phone {
    #[serde(deserialize_with = "lenient::guid")]
    pub id: Option<Uuid>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub default: bool,
    #[serde(deserialize_with = "lenient::text")]
    pub phone_type: Option<String>,
    #[serde(rename = "phoneNumber", deserialize_with = "lenient::text")]
    pub number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub continued_number: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub extension: Option<String>,
}

/// Country, state and city are names here, not codes (sheet §5).
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Address {
    #[serde(deserialize_with = "lenient::guid")]
    pub id: Option<Uuid>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub default: bool,
    #[serde(deserialize_with = "lenient::text")]
    pub country: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub state: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub city: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub address: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub zip_code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Category {
    #[serde(deserialize_with = "lenient::guid")]
    pub id: Option<Uuid>,
    #[serde(deserialize_with = "lenient::text")]
    pub key: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub name: Option<String>,
}

/// A custom field; the value is always a text (sheet §2.6).
#[derive(Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExtendedProperty {
    #[serde(deserialize_with = "lenient::text")]
    pub user_key: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    pub value: Option<String>,
}

/// A quote or a sales invoice (sheet §2.9, §2.10). Amounts keep their digits; the currency is a setting of
/// the site and not on the document (sheet §0).
#[derive(Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Billable {
    #[serde(skip)]
    pub kind: BillableKind,
    #[serde(deserialize_with = "lenient::own_guid")]
    pub crm_id: Uuid,
    /// `None` until the document is numbered.
    #[serde(default, deserialize_with = "lenient::text")]
    pub number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub subject: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub ref_id: Option<String>,
    /// Member `crmObjectTypeCode`, `PI_5` or `Productinvoice`.
    #[serde(default, rename = "crmObjectTypeCode", deserialize_with = "lenient::text")]
    pub type_code: Option<String>,
    #[serde(default, rename = "crmObjectTypeName", deserialize_with = "lenient::text")]
    pub type_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::guid")]
    pub identity_id: Option<Uuid>,
    #[serde(default, deserialize_with = "lenient::guid")]
    pub related_quote_id: Option<Uuid>,
    /// Only 1 (pending, assumed) was ever seen (sheet §2.9).
    #[serde(default, rename = "billableObjectStateIndex")]
    pub state_index: Option<i64>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub quote_date: Option<LocalTime>,
    #[serde(default, deserialize_with = "lenient::time")]
    pub invoice_date: Option<LocalTime>,
    #[serde(default, rename = "expireDate", deserialize_with = "lenient::time")]
    pub expires: Option<LocalTime>,
    #[serde(default, rename = "creatDate", deserialize_with = "lenient::time")]
    pub created: Option<LocalTime>,
    #[serde(default, rename = "modifyDate", deserialize_with = "lenient::time")]
    pub modified: Option<LocalTime>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub total_value: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub discount: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub discount_percent: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub vat: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub vat_percent: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub toll: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub toll_percent: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub additional_costs: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub final_value: Option<Decimal>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub details: Vec<Detail>,
    #[serde(default, rename = "extendedProperties", deserialize_with = "lenient::or_default")]
    pub extended: Vec<ExtendedProperty>,
    /// The whole object with camelCase names.
    #[serde(skip)]
    pub raw: Value,
}

/// One line of a document.
#[derive(Clone, PartialEq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Detail {
    #[serde(deserialize_with = "lenient::text")]
    pub product_code: Option<String>,
    #[serde(deserialize_with = "lenient::guid")]
    pub product_id: Option<Uuid>,
    #[serde(deserialize_with = "lenient::text")]
    pub product_name: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub is_service: bool,
    #[serde(deserialize_with = "lenient::decimal")]
    pub count: Option<Decimal>,
    #[serde(deserialize_with = "lenient::decimal")]
    pub returned_count: Option<Decimal>,
    /// Before VAT.
    #[serde(deserialize_with = "lenient::decimal")]
    pub base_unit_price: Option<Decimal>,
    /// Including VAT (sheet §2.9).
    #[serde(deserialize_with = "lenient::decimal")]
    pub final_unit_price: Option<Decimal>,
    #[serde(deserialize_with = "lenient::decimal")]
    pub total_unit_price: Option<Decimal>,
    /// Of the whole row (assumed, sheet §2.9).
    #[serde(deserialize_with = "lenient::decimal")]
    pub total_discount: Option<Decimal>,
    #[serde(deserialize_with = "lenient::decimal")]
    pub discount_percent: Option<Decimal>,
    #[serde(deserialize_with = "lenient::decimal")]
    pub total_vat: Option<Decimal>,
    #[serde(deserialize_with = "lenient::decimal")]
    pub total_toll: Option<Decimal>,
    #[serde(rename = "detailDescription", deserialize_with = "lenient::text")]
    pub description: Option<String>,
    #[serde(rename = "productUnitTypeName", deserialize_with = "lenient::text")]
    pub unit: Option<String>,
}

impl Identity {
    /// # Errors
    /// The path of the member that does not fit; unknown and missing members always fit, except the id.
    pub fn from_json(kind: IdentityKind, value: Value) -> Result<Self, BadJson> {
        let (mut identity, raw): (Self, _) = typed(value)?;
        (identity.kind, identity.raw) = (kind, raw);
        Ok(identity)
    }
}

impl Billable {
    /// # Errors
    /// As [`Identity::from_json`].
    pub fn from_json(kind: BillableKind, value: Value) -> Result<Self, BadJson> {
        let (mut billable, raw): (Self, _) = typed(value)?;
        (billable.kind, billable.raw) = (kind, raw);
        Ok(billable)
    }

    /// The document's date: its own, or the day it was entered where it has none (sheet §2.9).
    pub fn date(&self) -> Option<&LocalTime> {
        let own = match self.kind {
            BillableKind::Quote => &self.quote_date,
            BillableKind::Invoice => &self.invoice_date,
        };
        own.as_ref().or(self.created.as_ref())
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<(T, Value), BadJson> {
    let raw = camel_case(value);
    Ok((from_value(&raw)?, raw))
}

/// Debug output names the object and shows nothing about the person behind it.
macro_rules! discreet {
    ($($name:ident: $id:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field(stringify!($id), &self.$id).finish_non_exhaustive()
            }
        }
    )*};
}
discreet!(IdentityStub: identity_id, Identity: crm_id, Billable: crm_id, Phone: id, Address: id, ExtendedProperty: user_key, Detail: product_code);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_and_missing_lists_and_texts_are_simply_empty() {
        let id = "7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001";
        let value = json!({"crmId":id,"nickName":"","phoneContacts":null,"categories":[{"key":"k","id":null}],"somethingNew":{"A":1}});
        let identity = Identity::from_json(IdentityKind::Organization, value).unwrap();
        assert_eq!(identity.kind, IdentityKind::Organization);
        assert_eq!((identity.nick_name, identity.phones.len(), identity.addresses.len()), (None, 0, 0));
        assert_eq!(identity.categories[0].key.as_deref(), Some("k"));
        assert_eq!(identity.raw["somethingNew"], json!({"a":1}));
    }

    #[test]
    fn pascal_case_objects_read_the_same() {
        let value = json!({"CrmId":"7B0C1F0E-2F0A-4F0B-9A51-0F6F1F6F0001","CreatDate":"2026-02-01T14:06:17.173",
            "PhoneContacts":[{"PhoneNumber":"09000000001","Default":true}]});
        let identity = Identity::from_json(IdentityKind::Person, value).unwrap();
        assert_eq!(identity.created.unwrap().text, "2026-02-01T14:06:17.173");
        assert_eq!(identity.phones[0].number.as_deref(), Some("09000000001"));
        assert!(identity.phones[0].default);
    }

    #[test]
    fn an_object_without_a_usable_id_is_refused() {
        for value in [json!({}), json!({"crmId":null}), json!({"crmId":"00000000-0000-0000-0000-000000000000"})] {
            assert!(Identity::from_json(IdentityKind::Person, value).is_err());
        }
    }

    #[test]
    fn debug_output_shows_no_personal_data() {
        let value = json!({"crmId":"7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001","nickName":"CANARY","phoneContacts":[{"phoneNumber":"CANARY"}]});
        let identity = Identity::from_json(IdentityKind::Person, value).unwrap();
        assert!(!format!("{identity:?} {:?}", identity.phones).contains("CANARY"));
    }
}
