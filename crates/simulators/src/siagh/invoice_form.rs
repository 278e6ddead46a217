//! Saving the sales pre-invoice form (siagh sheet §2.5 to §2.7, §7.11 to §7.14).

use super::{
    answer::{Answer, Notice},
    form::Form,
    office::Office,
    settings::CustomerCode,
    tables::Table,
};
use chrono::NaiveDateTime;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;

/// A registered pre-invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The human number, counted per year and document type.
    pub number: u64,
    /// Fiscal year, Jalali.
    pub year: i32,
    pub return_code: String,
    pub return_params: String,
    /// `_In_Suid` as sent.
    pub suid: String,
    /// Code of the contact that `codemoshtari` led to.
    pub contact: i64,
    /// The header controls in the order they were sent, names included.
    pub header: Vec<(String, String)>,
    pub rows: Vec<DocumentRow>,
    /// Before VAT.
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub sum: Decimal,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub vat: Decimal,
    /// The server's local time.
    pub registered_at: NaiveDateTime,
}

impl Document {
    /// A header control by its name without `sl_sanad.`; blank when it was not sent.
    pub fn control(&self, name: &str) -> &str {
        let is_it = |full: &str| full.strip_prefix("sl_sanad.") == Some(name);
        self.header.iter().rev().find(|(full, _)| is_it(full)).map_or("", |(_, value)| value)
    }
}

/// A row of a registered pre-invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentRow {
    pub uid: String,
    /// `codekala`.
    pub good: String,
    pub unit: String,
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub quantity: Decimal,
    /// Unit price as registered, before VAT.
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub price: Decimal,
    /// Of the whole row.
    #[serde(with = "rust_decimal::serde::arbitrary_precision")]
    pub discount: Decimal,
    /// `radif`.
    pub line: String,
}

impl Office {
    pub(crate) fn save_invoice(&mut self, form: &Form) -> Answer {
        let suid = form.parameters.text("_In_Suid").to_owned();
        if self.settings().dedup_suid
            && let Some(document) = self.documents.iter().find(|document| document.suid == suid)
        {
            return self.confirm(document);
        }
        match self.check_invoice(form, suid) {
            Err(notices) => Answer::refused(notices),
            Ok(document) => {
                let answer = self.confirm(&document);
                self.documents.push(document);
                answer
            }
        }
    }

    fn confirm(&self, document: &Document) -> Answer {
        let vat = if self.settings().net_with_vat { document.vat } else { Decimal::ZERO };
        Answer::document(document.number, document.sum + vat, &document.return_code, &document.return_params)
    }

    fn check_invoice(&mut self, form: &Form, suid: String) -> Result<Document, Vec<Notice>> {
        let refused = |notice| vec![notice];
        let settings = self.settings();
        if settings.strict_row_ids && !is_suid(&suid) {
            return Err(refused(Notice::runtime_error()));
        }
        if !form.parameters.text("_In_EditKeys").is_empty() {
            return Err(refused(Notice::error("ویرایش سند امکان پذیر نیست")));
        }
        let year = self.check_year(form).map_err(refused)?;
        let contact = self.check_references(form).map_err(refused)?;
        let rows = self.check_rows(&form.data_rows)?;
        let sum = rows.iter().map(|row| row.quantity * row.price - row.discount).sum::<Decimal>();
        let type_code = form.controls.text("sl_sanad.codenoeesanad").to_owned();
        let (number, return_code, return_params) = self.next_numbers(year, type_code);
        Ok(Document {
            number,
            year,
            return_code,
            return_params,
            suid,
            contact,
            header: form.controls.clone().into_pairs(),
            rows,
            sum,
            vat: (sum * Decimal::from(settings.vat_percent) / Decimal::ONE_HUNDRED).round(),
            registered_at: self.desk.clock.local(),
        })
    }

    fn check_year(&self, form: &Form) -> Result<i32, Notice> {
        let open = self.open_year();
        let sent = form.controls.text("sl_sanad.salmali").parse::<i32>();
        sent.ok()
            .filter(|year| *year == open)
            .ok_or_else(|| Notice::error("سال مالی سند با سال مالی جاری مطابقت ندارد"))
    }

    /// The contact the document is for. A blank or unknown reference crashes the server's script (sheet §4.3).
    fn check_references(&self, form: &Form) -> Result<i64, Notice> {
        let control = |name: &str| form.controls.text(&format!("sl_sanad.{name}")).to_owned();
        for (table, name) in [
            (Table::SaleModels, "codesalemodel"),
            (Table::SalesCentres, "codemarkazforush"),
            (Table::Intermediaries, "codevaseteh"),
            (Table::PaymentKinds, "codenoeepardakht"),
            (Table::SaleKinds, "codenoeeforush"),
        ] {
            if !self.tables.has(table, &control(name)) {
                return Err(Notice::runtime_error());
            }
        }
        let contact = control("codecontact");
        if !contact.is_empty() && contact.parse().ok().and_then(|code| self.contacts.get(code)).is_none() {
            return Err(Notice::runtime_error());
        }
        let customer = control("codemoshtari").parse().ok().and_then(|code| match self.settings().customer_code {
            CustomerCode::ContactCode => self.contacts.get(code),
            CustomerCode::AccountPartyCode => self.contacts.by_party(code),
        });
        customer.map(|contact| contact.code).ok_or_else(Notice::runtime_error)
    }

    fn check_rows(&self, data_rows: &Value) -> Result<Vec<DocumentRow>, Vec<Notice>> {
        let grids = data_rows.as_array().into_iter().flatten();
        let mut grid = grids.filter(|grid| grid["name"] == "dbgrid1" && grid["entity"] == "sl_rizsanad");
        let rows = grid.next().and_then(|grid| grid["data"].as_array()).filter(|rows| !rows.is_empty());
        let rows = rows.ok_or_else(|| vec![Notice::error("سند فاقد ردیف است")])?;
        let (mut read, mut notices) = (Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            match self.check_row(index + 1, row) {
                Ok(row) => read.push(row),
                Err(notice) => notices.push(notice),
            }
        }
        if notices.is_empty() { Ok(read) } else { Err(notices) }
    }

    fn check_row(&self, line: usize, row: &Value) -> Result<DocumentRow, Notice> {
        let settings = self.settings();
        let text = |name: &str| row[name]["newValue"].as_str().map(str::to_owned);
        let number = |name: &str| match &row[name]["newValue"] {
            Value::Number(number) => {
                let text = number.to_string();
                Decimal::from_str(&text).or_else(|_| Decimal::from_scientific(&text)).ok()
            }
            _ => None,
        };
        let uid = text("__uid").unwrap_or_default();
        if text("_status").as_deref() != Some("inserted") || (settings.strict_row_ids && !is_uid(&uid)) {
            return Err(Notice::runtime_error());
        }
        // Texts must be texts and numbers numbers (sheet §2.6).
        let texts = (text("nameunit"), text("radif"), text("vazn"), text("hajm"));
        let numbers = (number("qty"), number("finalqty"), number("mabtakhfif"));
        let ((Some(unit), Some(radif), Some(_), Some(_)), (Some(quantity), Some(_), Some(discount))) = (texts, numbers)
        else {
            return Err(Notice::error(format!("مقدار ردیف {line} درست وارد نشده است")));
        };
        let sent_price = number("price").filter(|price| *price > Decimal::ZERO && price.fract().is_zero());
        let sent_price = sent_price.ok_or_else(|| Notice::bad_price(line))?;
        let good = text("codekala").unwrap_or_default();
        let known = self.tables.goods.get(&good);
        let known = known.ok_or_else(|| Notice::error(format!("کد کالای ردیف {line} یافت نشد")))?;
        if quantity <= Decimal::ZERO || unit.is_empty() {
            return Err(Notice::error(format!("مقدار ردیف {line} درست وارد نشده است")));
        }
        let price = if settings.reprice { known.list_price } else { sent_price };
        Ok(DocumentRow { uid, good, unit, quantity, price, discount, line: radif })
    }
}

/// 32 upper-case hex digits without dashes.
fn is_suid(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

/// 8 hex digits.
fn is_uid(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
