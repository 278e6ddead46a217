//! Customers and quotes as the CRM's API describes them.

use serde_json::{Value, json};

/// A person of this name: the first word is the first name.
pub fn person(name: &str) -> Value {
    let (first, last) = name.split_once(' ').unwrap_or(("", name));
    json!({ "nickName": name, "firstName": first, "lastName": last })
}

pub fn organization(name: &str) -> Value {
    json!({ "nickName": name })
}

/// `fields` with the members of `more` over them.
pub fn with(mut fields: Value, more: Value) -> Value {
    for (name, value) in more.as_object().expect("members are given as an object") {
        fields[name] = value.clone();
    }
    fields
}

/// The member of one mobile number.
pub fn mobile(number: &str) -> Value {
    phones(&[number])
}

/// The member of several numbers, the first one the default.
pub fn phones(numbers: &[&str]) -> Value {
    let row =
        |(at, number): (usize, &&str)| json!({ "default": at == 0, "phoneType": "Mobile", "phoneNumber": number });
    json!({ "phoneContacts": numbers.iter().enumerate().map(row).collect::<Vec<_>>() })
}

/// The member of one address.
pub fn address(text: &str, zip_code: &str) -> Value {
    json!({ "addressContacts": [{ "default": true, "address": text, "zipCode": zip_code }] })
}

/// A line of a quote.
#[derive(Debug, Clone)]
pub struct Line(pub Value);

impl Line {
    /// So many of a product at this price, counted in pieces. Amounts are texts of decimals.
    pub fn of(product: &str, count: &str, price: &str) -> Self {
        Self(json!({
            "productCode": product,
            "productName": product,
            "productUnitTypeName": "عدد",
            "count": number(count),
            "baseUnitPrice": number(price),
            "totalDiscount": 0,
        }))
    }

    pub fn discount(mut self, amount: &str) -> Self {
        self.0["totalDiscount"] = number(amount);
        self
    }

    pub fn unit(mut self, unit: &str) -> Self {
        self.0["productUnitTypeName"] = unit.into();
        self
    }
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().expect("an amount is a JSON number"))
}
