//! A made-up trading company, the same for the same seed: contacts and goods for Siagh, quotes for the CRM.
//!
//! Nobody in it exists: mobile numbers start with 0900, landlines with 0210, and national codes have a wrong checksum.

use crate::{
    payamgostar::{self, Kind, national_code_is_valid},
    siagh::{self, Contact, Good},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};
use std::{collections::HashMap, str::FromStr};
use uuid::Uuid;

const FIRST_NAMES: [&str; 20] = [
    "علی",
    "مریم",
    "رضا",
    "زهرا",
    "حسین",
    "فاطمه",
    "مهدی",
    "نرگس",
    "امیر",
    "سارا",
    "کیان",
    "شیرین",
    "بهرام",
    "لیلا",
    "پویا",
    "نگین",
    "کاوه",
    "مینا",
    "آرش",
    "یلدا",
];
const LAST_NAMES: [&str; 20] = [
    "نمونه",
    "آزمایشی",
    "فرضی",
    "خیالی",
    "ساختگی",
    "نمونه‌پور",
    "آزمون‌زاده",
    "فرضی‌نیا",
    "تمرینی",
    "نمایشی",
    "کوهی",
    "دریایی",
    "بهاری",
    "پاییزی",
    "کویری",
    "جنگلی",
    "ستاره‌ای",
    "یکتایی",
    "رنگین",
    "کیهانی",
];
const TRADES: [&str; 12] = [
    "بازرگانی",
    "صنایع فلزی",
    "پخش",
    "فرآورده‌های چوبی",
    "تجهیزات پزشکی",
    "کشت و صنعت",
    "لوازم خانگی",
    "چاپ و نشر",
    "پوشاک",
    "قطعات خودرو",
    "مصالح ساختمانی",
    "نرم‌افزار",
];
const BRANDS: [&str; 12] = [
    "نمونه",
    "آزمون",
    "فرض",
    "خیال",
    "یکتا",
    "کیهان",
    "پارسا نمونه",
    "آریا آزمون",
    "سپهر",
    "کویر",
    "دریا",
    "البرز نمونه",
];
/// Product code in the CRM, name, unit, price in Rial.
const PRODUCTS: [(&str, &str, &str, i64); 12] = [
    ("Product-1", "کاغذ نمونه", "بسته", 1_250_000),
    ("Product-2", "صندلی اداری", "عدد", 48_000_000),
    ("Product-3", "میز کار", "عدد", 96_500_000),
    ("Product-4", "کابل شبکه", "متر", 185_000),
    ("Product-5", "رنگ صنعتی", "کیلوگرم", 2_340_000),
    ("Product-6", "پیچ و مهره", "کیلوگرم", 890_000),
    ("Product-7", "چاپگر", "عدد", 210_000_000),
    ("Product-8", "خدمات نصب", "ساعت", 3_500_000),
    ("Product-9", "لامپ", "عدد", 650_000),
    ("Product-10", "کارتن بسته‌بندی", "عدد", 95_000),
    ("Product-11", "روغن", "لیتر", 1_780_000),
    ("Product-12", "پارچه", "متر", 1_120_000),
];
const FIRST_GOOD: u32 = 500_100_001;

/// Everything about the company, as plain data.
#[derive(Debug, Clone, PartialEq)]
pub struct Company {
    /// Contacts of Siagh; the first is an administrator's.
    pub contacts: Vec<Contact>,
    pub products: Vec<Product>,
    /// About one quote for every five contacts.
    pub quotes: Vec<QuoteMaterial>,
}

/// A good under its names in both systems.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// `productCode` in the CRM.
    pub product_code: String,
    /// The good in Siagh.
    pub good: Good,
}

/// What a quote for a contact is about.
#[derive(Debug, Clone, PartialEq)]
pub struct QuoteMaterial {
    /// Siagh code of the customer.
    pub customer: i64,
    pub subject: String,
    pub lines: Vec<QuoteLine>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct QuoteLine {
    pub product: Product,
    pub count: Decimal,
    /// Of the whole line, in Rial.
    pub discount: Decimal,
}

impl Company {
    /// A company with so many contacts. The same seed and number give the same company.
    pub fn generate(seed: u64, contacts: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let contacts: Vec<Contact> = (1..).take(contacts).map(|code| contact(&mut rng, code)).collect();
        let products = products();
        let quotes = contacts.iter().skip(1).filter(|contact| contact.is_active).step_by(5);
        let quotes = quotes.map(|contact| quote(&mut rng, contact, &products)).collect();
        Self { contacts, products, quotes }
    }

    /// Puts contacts and goods into Siagh.
    pub fn seed_siagh(&self, siagh: &siagh::Admin) {
        siagh.seed_contacts(self.contacts.iter().cloned());
        for product in &self.products {
            siagh.add_good(product.good.clone());
        }
    }

    /// Puts the contacts into the CRM as a finished import leaves them there, administrators apart, without webhooks.
    /// Returns the CRM id of every Siagh code.
    pub fn seed_payamgostar(&self, crm: &payamgostar::Admin) -> Result<HashMap<i64, Uuid>, payamgostar::Refused> {
        let imported = self.contacts.iter().filter(|contact| !contact.is_admin_user);
        imported
            .map(|contact| {
                let (kind, fields) = identity(contact);
                Ok((contact.code, crm.seed(kind, &fields)?))
            })
            .collect()
    }
}

/// A contact as an identity of the CRM: its kind and members, numbered `100-(code + 1000)`, with the code as `refId`.
pub fn identity(contact: &Contact) -> (Kind, Value) {
    let phone = |kind: &str, number: &Option<String>| {
        number.as_ref().map(|number| json!({ "default": kind == "Mobile", "phoneType": kind, "phoneNumber": number }))
    };
    let phones: Vec<Value> =
        [phone("Mobile", &contact.mobile_no), phone("Office", &contact.tel_no)].into_iter().flatten().collect();
    let mut fields = json!({
        "nickName": contact.name,
        "customerNumber": format!("100-{}", contact.code + 1000),
        "refId": contact.code.to_string(),
        "nationalCode": contact.national_code,
        "email": contact.email,
        "description": contact.description,
        "phoneContacts": phones,
    });
    if let Some(address) = &contact.address {
        fields["addressContacts"] = json!([{ "default": true, "address": address, "zipCode": contact.postal_code }]);
    }
    if contact.toward_type == Some(true) {
        return (Kind::Organization, fields);
    }
    let (first, last) = contact.name.split_once(' ').unwrap_or(("", &contact.name));
    fields["firstName"] = first.into();
    fields["lastName"] = last.into();
    (Kind::Person, fields)
}

impl QuoteMaterial {
    /// The quote as the CRM's create takes it: prices before VAT, 10 % VAT on the discounted lines.
    pub fn fields(&self, identity: Uuid) -> Value {
        let mut total = Decimal::ZERO;
        let mut discounts = Decimal::ZERO;
        let mut vats = Decimal::ZERO;
        let details: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                let price = line.product.good.list_price;
                let gross = price * line.count;
                let vat = ((gross - line.discount) / Decimal::TEN).round();
                total += gross;
                discounts += line.discount;
                vats += vat;
                json!({
                    "productCode": line.product.product_code,
                    "productName": line.product.good.name,
                    "productUnitTypeName": line.product.good.unit,
                    "count": number(line.count),
                    "baseUnitPrice": number(price),
                    "finalUnitPrice": number(((gross - line.discount + vat) / line.count).round()),
                    "totalUnitPrice": number(gross),
                    "totalDiscount": number(line.discount),
                    "totalVat": number(vat),
                })
            })
            .collect();
        json!({
            "crmObjectTypeCode": "PI_5",
            "identityId": identity,
            "subject": self.subject,
            "details": details,
            "totalValue": number(total),
            "discount": number(discounts),
            "vat": number(vats),
            "vatPercent": 10,
            "toll": 0,
            "tollPercent": 0,
            "finalValue": number(total - discounts + vats),
        })
    }
}

fn number(value: Decimal) -> Number {
    Number::from_str(&value.to_string()).expect("a decimal is written as a JSON number")
}

fn contact(rng: &mut StdRng, code: i64) -> Contact {
    let is_admin = code == 1;
    let is_organization = !is_admin && rng.random_bool(0.4);
    let mut contact = if is_organization {
        let national_code = organization_code(rng);
        Contact { national_code: Some(national_code), ..Contact::organization(&organization_name(rng, code)) }
    } else {
        Contact { national_code: Some(person_code(rng)), ..Contact::person(&person_name(rng)) }
    };
    contact.code = code;
    contact.record_id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
    contact.is_admin_user = is_admin;
    contact.is_active = is_admin || !rng.random_bool(0.03);
    contact.account_party_code = Some(5_500_000 + code);
    contact.reg_date = Some(format!(
        "14{:02}/{:02}/{:02}",
        rng.random_range(0..=4),
        rng.random_range(1..=12),
        rng.random_range(1..=29)
    ));
    if rng.random_bool(0.1) {
        contact.national_code = None;
    }
    if rng.random_bool(0.9) {
        contact.mobile_no = Some(format!("0900{code:07}"));
    }
    if rng.random_bool(if is_organization { 0.8 } else { 0.2 }) {
        contact.tel_no = Some(format!("0210{code:07}"));
    }
    if rng.random_bool(0.4) {
        contact.email = Some(format!("contact{code}@example.test"));
    }
    if rng.random_bool(0.6) {
        contact.address =
            Some(format!("شهر نمونه، خیابان {}، پلاک {}", BRANDS.choose(rng).unwrap_or(&""), rng.random_range(1..200)));
        contact.postal_code = Some(format!("{:010}", rng.random_range(0..1_000_000_000_u64)));
    }
    contact
}

fn person_name(rng: &mut StdRng) -> String {
    let name = format!("{} {}", FIRST_NAMES.choose(rng).unwrap_or(&""), LAST_NAMES.choose(rng).unwrap_or(&""));
    as_typed(rng, name)
}

fn organization_name(rng: &mut StdRng, code: i64) -> String {
    let name = format!("شرکت {} {} {code}", TRADES.choose(rng).unwrap_or(&""), BRANDS.choose(rng).unwrap_or(&""));
    as_typed(rng, name)
}

/// A quarter of the names were typed on an Arabic keyboard.
fn as_typed(rng: &mut StdRng, name: String) -> String {
    if rng.random_bool(0.25) { name.replace('ی', "ي").replace('ک', "ك") } else { name }
}

/// Ten digits that no person can have: the check digit is wrong.
fn person_code(rng: &mut StdRng) -> String {
    loop {
        let code = format!("{:010}", rng.random_range(0..10_000_000_000_u64));
        if !national_code_is_valid(&code) {
            return code;
        }
    }
}

/// Eleven digits that no organization can have: the check digit is one too high.
fn organization_code(rng: &mut StdRng) -> String {
    const WEIGHTS: [u64; 10] = [29, 27, 23, 19, 17, 29, 27, 23, 19, 17];
    let body = format!("14{:08}", rng.random_range(0..100_000_000_u64));
    let digits: Vec<u64> = body.bytes().map(|digit| u64::from(digit - b'0')).collect();
    let shift = digits[9] + 2;
    let sum: u64 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| (digit + shift) * weight).sum();
    let check = sum % 11 % 10;
    format!("{body}{}", (check + 1) % 10)
}

fn products() -> Vec<Product> {
    let codes = FIRST_GOOD..;
    let rows = PRODUCTS.iter().zip(codes);
    rows.map(|((product_code, name, unit, price), code)| Product {
        product_code: (*product_code).to_owned(),
        good: Good { unit: (*unit).to_owned(), ..Good::new(&code.to_string(), name, *price) },
    })
    .collect()
}

fn quote(rng: &mut StdRng, contact: &Contact, products: &[Product]) -> QuoteMaterial {
    let lines =
        (0..rng.random_range(1..=4)).filter_map(|_| products.choose(rng).cloned().map(|product| line(rng, product)));
    QuoteMaterial {
        customer: contact.code,
        lines: lines.collect(),
        subject: format!("{} - 100-{}(پیش فاکتور)", contact.name, contact.code + 1000),
    }
}

fn line(rng: &mut StdRng, product: Product) -> QuoteLine {
    let count = if product.good.unit == "عدد" {
        Decimal::from(rng.random_range(1..=20))
    } else {
        Decimal::new(rng.random_range(5..=400), 1)
    };
    let gross = product.good.list_price * count;
    let discount = if rng.random_bool(0.2) { (gross / Decimal::from(20)).round() } else { Decimal::ZERO };
    QuoteLine { product, count, discount }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_company() {
        assert_eq!(Company::generate(7, 300), Company::generate(7, 300));
        assert_ne!(Company::generate(7, 300), Company::generate(8, 300));
    }

    #[test]
    fn nobody_in_the_company_can_exist() {
        let company = Company::generate(1, 2_000);
        for contact in &company.contacts {
            if let Some(code) = &contact.national_code {
                assert!(!national_code_is_valid(code));
            }
            assert!(contact.mobile_no.as_ref().is_none_or(|number| number.starts_with("0900") && number.len() == 11));
            assert!(contact.tel_no.as_ref().is_none_or(|number| number.starts_with("0210") && number.len() == 11));
        }
    }

    #[test]
    fn the_company_has_the_cases_an_import_meets() {
        let contacts = Company::generate(1, 2_000).contacts;
        let count = |wanted: fn(&Contact) -> bool| contacts.iter().filter(|contact| wanted(contact)).count();
        assert_eq!(count(|contact| contact.is_admin_user), 1);
        assert!(count(|contact| contact.toward_type == Some(true)) > 500);
        assert!(count(|contact| contact.mobile_no.is_none() && contact.tel_no.is_none()) > 20);
        assert!(count(|contact| !contact.is_active) > 10);
        assert!(count(|contact| contact.name.contains('ي') || contact.name.contains('ك')) > 100);
        assert!(count(|contact| contact.name.contains('ی')) > 100);
    }
}
