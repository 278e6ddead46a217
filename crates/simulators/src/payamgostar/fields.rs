//! Which members the objects have, of which shape, and how a sent value becomes a stored one.
//!
//! The tables follow payamgostar sheet §2.6 to §2.10. Members that only the server writes are not in them; see
//! [`super::render`].

use super::kind::Kind;
use crate::stage::json::{member, text};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Number, Value};
use std::{collections::HashMap, str::FromStr, sync::LazyLock};
use uuid::Uuid;

/// A member of an object.
#[derive(Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
}

/// What a member holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Text that is `null` when absent.
    Text,
    /// Text that is `""` when absent.
    Blank,
    Flag,
    Int,
    Guid,
    Date,
    /// A decimal emitted with this many decimals; `0` of that scale when absent.
    Decimal(u32),
    /// The same, but `null` when absent.
    OptionalDecimal(u32),
    Texts,
    /// Rows of these columns; with an id of their own when asked for. `absent_null` says how no rows look.
    Rows {
        columns: &'static [Field],
        ids: bool,
        absent_null: bool,
    },
}

const fn f(name: &'static str, shape: Shape) -> Field {
    Field { name, shape }
}

use Shape::{Blank, Date, Flag, Guid, Int, OptionalDecimal, Rows, Text, Texts};

const PHONE: &[Field] = &[
    f("default", Flag),
    f("phoneType", Text),
    f("phoneNumber", Text),
    f("continuedNumber", Text),
    f("extension", Text),
];
const ADDRESS: &[Field] = &[
    f("default", Flag),
    f("country", Text),
    f("state", Text),
    f("city", Text),
    f("addressType", Text),
    f("areaCode", Text),
    f("address", Text),
    f("zipCode", Text),
    f("zipBox", Text),
    f("longitude", Text),
    f("latitude", Text),
];
const CATEGORY: &[Field] = &[f("key", Text), f("name", Text), f("type", Text)];
const EXTENDED: &[Field] = &[f("userKey", Text), f("value", Text), f("preview", Text)];
const MEMBERSHIP: &[Field] = &[
    f("organizationId", Guid),
    f("personId", Guid),
    f("profession", Text),
    f("jobType", Text),
    f("office", Text),
    f("department", Text),
];
const DETAIL: &[Field] = &[
    f("productCode", Text),
    f("productId", Guid),
    f("productName", Text),
    f("isService", Flag),
    f("count", Shape::Decimal(4)),
    f("returnedCount", Shape::Decimal(1)),
    f("baseUnitPrice", Shape::Decimal(2)),
    f("finalUnitPrice", Shape::Decimal(2)),
    f("totalUnitPrice", Shape::Decimal(2)),
    f("totalDiscount", Shape::Decimal(2)),
    f("discountPercent", Shape::Decimal(1)),
    f("totalVat", Shape::Decimal(2)),
    f("totalToll", Shape::Decimal(2)),
    f("detailDescription", Blank),
    f("productUnitTypeName", Text),
    f("serial", Text),
    f("inventoryName", Text),
    f("inventoryCode", Text),
];
const EXTENDED_ROWS: Shape = Rows { columns: EXTENDED, ids: false, absent_null: false };

const IDENTITY: &[Field] = &[
    f("refId", Text),
    f("nickName", Text),
    f("customerNumber", Blank),
    f("customerDate", Date),
    f("nationalCode", Text),
    f("economicCode", Text),
    f("email", Text),
    f("alternativeEmail", Text),
    f("website", Text),
    f("phoneContacts", Rows { columns: PHONE, ids: true, absent_null: true }),
    f("addressContacts", Rows { columns: ADDRESS, ids: true, absent_null: false }),
    f("categories", Rows { columns: CATEGORY, ids: true, absent_null: false }),
    f("extendedProperties", EXTENDED_ROWS),
    f("tags", Texts),
    f("description", Blank),
    f("subject", Text),
    f("assignedToUserName", Text),
    f("supportUsername", Text),
    f("saleUsername", Text),
    f("otherUsername", Text),
    f("colorId", Int),
    f("sourceTypeIndex", Int),
    f("stageId", Guid),
    f("parentCrmObjectId", Guid),
    f("dontSms", Flag),
    f("dontSocialSms", Flag),
    f("dontPhoneCall", Flag),
    f("dontEmail", Flag),
    f("dontFax", Flag),
    f("preferredContactType", Text),
    f("facebookUsername", Text),
];
const PERSON: &[Field] = &[
    f("firstName", Text),
    f("lastName", Text),
    f("birthDate", Date),
    f("gender", Text),
    f("personPrefix", Text),
    f("degree", Text),
    f("paymentStatusType", Text),
    f("areasOfInterest", Text),
    f("mannerType", Text),
    f("spouse", Text),
    f("hobbies", Text),
    f("children", Text),
    f("organizations", Rows { columns: MEMBERSHIP, ids: true, absent_null: true }),
];
const ORGANIZATION: &[Field] = &[
    f("registerDate", Date),
    f("businessType", Text),
    f("registerNumber", Text),
    f("shareType", Text),
    f("trademark", Text),
    f("ownershipType", Text),
    f("tradeType", Text),
    f("managerId", Guid),
    f("employees", Rows { columns: MEMBERSHIP, ids: true, absent_null: true }),
];
const BILLABLE: &[Field] = &[
    f("number", Blank),
    f("subject", Blank),
    f("description", Blank),
    f("refId", Blank),
    f("identityId", Guid),
    f("parentCrmObjectId", Guid),
    f("stageId", Guid),
    f("priceListName", Blank),
    f("expireDate", Date),
    f("totalValue", Shape::Decimal(2)),
    f("discount", Shape::Decimal(2)),
    f("discountPercent", Shape::Decimal(2)),
    f("totalDiscountPercent", Shape::Decimal(1)),
    f("vat", Shape::Decimal(2)),
    f("vatPercent", Shape::Decimal(0)),
    f("toll", Shape::Decimal(2)),
    f("tollPercent", Shape::Decimal(0)),
    f("additionalCosts", OptionalDecimal(2)),
    f("finalValue", Shape::Decimal(2)),
    f("details", Rows { columns: DETAIL, ids: false, absent_null: false }),
    f("extendedProperties", EXTENDED_ROWS),
    f("tags", Texts),
    f("colorId", Int),
    f("assignedToUserName", Text),
];
const QUOTE: &[Field] = &[f("quoteType", Text), f("quoteDate", Date)];
const INVOICE: &[Field] = &[f("invoiceType", Text), f("invoiceDate", Date), f("relatedQuoteId", Guid)];

/// The writable members of a kind, in the order they are emitted.
pub(crate) fn of(kind: Kind) -> impl Iterator<Item = &'static Field> {
    let (common, own) = match kind {
        Kind::Person => (IDENTITY, PERSON),
        Kind::Organization => (IDENTITY, ORGANIZATION),
        Kind::Quote => (BILLABLE, QUOTE),
        Kind::Invoice => (BILLABLE, INVOICE),
    };
    common.iter().chain(own)
}

/// The member of a kind with this name, compared without case.
pub(crate) fn named(kind: Kind, name: &str) -> Option<&'static Field> {
    static TABLES: LazyLock<HashMap<(Kind, String), &'static Field>> = LazyLock::new(|| {
        let rows = |kind: Kind| of(kind).map(move |field| ((kind, field.name.to_ascii_lowercase()), field));
        Kind::ALL.into_iter().flat_map(rows).collect()
    });
    TABLES.get(&(kind, name.to_ascii_lowercase())).copied()
}

/// The stored form of a sent value; none when it says "nothing". Errors: why the value does not fit.
pub(crate) fn accept(shape: Shape, value: &Value, new_id: &mut dyn FnMut() -> Uuid) -> Result<Option<Value>, String> {
    match (shape, value) {
        (_, Value::Null) => Ok(None),
        (Shape::Text | Blank, Value::String(_)) => Ok(Some(value.clone())),
        (Flag, Value::Bool(_)) => Ok(Some(value.clone())),
        (Int, Value::Number(number)) if number.is_i64() => Ok(Some(value.clone())),
        (Guid, Value::String(text)) => guid(text),
        (Date, Value::String(text)) if text.is_empty() => Ok(None),
        (Date, Value::String(text)) => {
            super::time::parse(text).map(|_| Some(value.clone())).ok_or_else(|| "is not a date".into())
        }
        (Shape::Decimal(scale) | OptionalDecimal(scale), Value::Number(number)) => decimal(&number.to_string(), scale),
        (Shape::Decimal(scale) | OptionalDecimal(scale), Value::String(text)) => decimal(text, scale),
        (Texts, Value::Array(texts)) if texts.iter().all(Value::is_string) => Ok(Some(value.clone())),
        (Rows { columns, ids, .. }, Value::Array(rows)) => rows
            .iter()
            .map(|row| accept_row(columns, ids, row, new_id))
            .collect::<Result<Vec<_>, _>>()
            .map(|rows| Some(rows.into())),
        _ => Err("has a value of the wrong type".to_owned()),
    }
}

fn guid(text: &str) -> Result<Option<Value>, String> {
    let id = Uuid::parse_str(text).map_err(|_| "is not a GUID".to_owned())?;
    Ok((!id.is_nil()).then(|| id.to_string().into()))
}

fn accept_row(columns: &[Field], ids: bool, row: &Value, new_id: &mut dyn FnMut() -> Uuid) -> Result<Value, String> {
    let row = row.as_object().ok_or("has a row that is no object")?;
    let mut stored = Map::new();
    if ids {
        let id = text(row, "id").and_then(|id| Uuid::parse_str(id).ok()).filter(|id| !id.is_nil());
        stored.insert("id".to_owned(), id.unwrap_or_else(&mut *new_id).to_string().into());
    }
    for column in columns {
        let sent = member(row, column.name).unwrap_or(&Value::Null);
        let value = accept(column.shape, sent, new_id).map_err(|why| format!("{} {why}", column.name))?;
        stored.insert(column.name.to_owned(), value.unwrap_or_else(|| absent(column.shape)));
    }
    Ok(stored.into())
}

/// A decimal as a JSON number of exactly `scale` decimals: the CRM emits trailing zeros (sheet §0).
fn decimal(text: &str, scale: u32) -> Result<Option<Value>, String> {
    let value = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text)).map_err(|_| "is not a number")?;
    let mut fixed = value.round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero);
    fixed.rescale(scale);
    Number::from_str(&fixed.to_string())
        .map(|number| Some(Value::Number(number)))
        .map_err(|_| "is not a number".to_owned())
}

/// How a member looks when nothing is stored.
pub(crate) fn absent(shape: Shape) -> Value {
    match shape {
        Shape::Text | Guid | Date | Int | OptionalDecimal(_) | Rows { absent_null: true, .. } => Value::Null,
        Blank => Value::String(String::new()),
        Flag => Value::Bool(false),
        Shape::Decimal(scale) => decimal("0", scale).ok().flatten().unwrap_or(Value::Null),
        Texts | Rows { .. } => Value::Array(Vec::new()),
    }
}
