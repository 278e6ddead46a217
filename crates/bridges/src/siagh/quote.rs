//! A CRM quote (or sales invoice) in the terms that are synced (siagh sheet §5.3). Pure.

use super::settings::SiaghSettings;
use chrono::NaiveDate;
use payamgostar::{Billable, BillableKind, Detail};
use rust_decimal::Decimal;
use tandem_core::Fields;
use tandem_core::jalali::JalaliDate;
use tandem_core::text::non_blank;
use uuid::Uuid;

/// The field that says whether the site's rules let the document pass.
pub const MAY_BE_SENT: &str = "may_be_sent";

/// What of a document is synced.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    pub crm_id: Uuid,
    pub kind: BillableKind,
    /// `None` until the CRM numbers it.
    pub number: Option<String>,
    pub type_code: Option<String>,
    pub customer: Option<Uuid>,
    /// The quote's own date, else the day it was made (payamgostar sheet §2.9).
    pub date: Option<NaiveDate>,
    pub state: Option<i64>,
    /// Description, else subject.
    pub text: Option<String>,
    pub lines: Vec<Line>,
    /// A discount of the whole document that its lines do not explain, and costs beside the lines: Siagh has no place for either.
    pub extra_discount: Decimal,
    pub additional_costs: Decimal,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub product_code: Option<String>,
    pub product_name: Option<String>,
    pub unit: Option<String>,
    pub quantity: Decimal,
    /// Per unit, before VAT.
    pub price: Decimal,
    /// Of the whole line.
    pub discount: Decimal,
}

impl Quote {
    /// Amounts come out in Rial, whatever the CRM counts in.
    pub fn of(document: &Billable, settings: &SiaghSettings) -> Self {
        let rial = |amount: Option<Decimal>| amount.unwrap_or_default() * Decimal::from(settings.rial_per_unit);
        let text = |value: &Option<String>| value.as_deref().and_then(non_blank).map(str::to_owned);
        let lines: Vec<Line> = document.details.iter().map(|detail| Line::of(detail, &rial)).collect();
        let of_lines: Decimal = lines.iter().map(|line| line.discount).sum();
        let discount = rial(document.discount);
        let day = |at: Option<&payamgostar::LocalTime>| at.and_then(|t| t.at).map(|t| t.date_naive());
        Self {
            crm_id: document.crm_id,
            kind: document.kind,
            number: text(&document.number),
            type_code: text(&document.type_code),
            customer: document.identity_id,
            date: day(document.date()),
            state: document.state_index,
            text: text(&document.description).or_else(|| text(&document.subject)),
            // Whether the CRM repeats the lines' discounts in the document's is not known: a sum that the lines explain is no extra.
            extra_discount: if discount == of_lines { Decimal::ZERO } else { discount },
            additional_costs: rial(document.additional_costs),
            lines,
        }
    }

    /// May it be sent at all, as the site wants it?
    pub fn may_be_sent(&self, settings: &SiaghSettings) -> Result<(), String> {
        if self.number.is_none() {
            return Err("it has no number yet".to_owned());
        }
        if let (Some(from), Some(date)) = (settings.quotes_from, self.date)
            && date < from
        {
            return Err(format!("it is dated before {from}, from which day documents are sent"));
        }
        let allowed = &settings.quote_states;
        if !allowed.is_empty() && !self.state.is_some_and(|state| allowed.contains(&state)) {
            let state = self.state.map_or_else(|| "none".to_owned(), |s| s.to_string());
            return Err(format!("its state is {state}; the states that may be sent are {allowed:?}"));
        }
        Ok(())
    }

    /// What Siagh's own sum should be: the lines before VAT.
    pub fn net(&self) -> Decimal {
        self.lines.iter().map(|line| line.quantity * line.price - line.discount).sum()
    }

    /// The mapped fields. The state itself is not among them, only whether it lets the document pass: an approval
    /// after the send is no change of the document.
    pub fn fields(&self, settings: &SiaghSettings) -> Fields {
        Fields::new()
            .flag(MAY_BE_SENT, self.may_be_sent(settings).is_ok())
            .text("fiscal_year", self.date.map(|day| jalali_year(day).to_string()).as_deref())
            .text("number", self.number.as_deref())
            .text("type_code", self.type_code.as_deref())
            .text("customer", self.customer.map(|id| id.to_string()).as_deref())
            .text("text", self.text.as_deref())
            .decimal("extra_discount", Some(self.extra_discount))
            .decimal("additional_costs", Some(self.additional_costs))
            .rows("lines", self.lines.iter().map(Line::fields).collect())
    }
}

pub(super) fn jalali_year(day: NaiveDate) -> i32 {
    JalaliDate::from_gregorian(day).year
}

impl Line {
    fn of(detail: &Detail, rial: &impl Fn(Option<Decimal>) -> Decimal) -> Self {
        let text = |value: &Option<String>| value.as_deref().and_then(non_blank).map(str::to_owned);
        Self {
            product_code: text(&detail.product_code),
            product_name: text(&detail.product_name),
            unit: text(&detail.unit),
            quantity: detail.count.unwrap_or_default(),
            price: rial(detail.base_unit_price),
            discount: rial(detail.total_discount),
        }
    }

    fn fields(&self) -> Fields {
        Fields::new()
            .text("product_code", self.product_code.as_deref())
            .text("unit", self.unit.as_deref())
            .decimal("quantity", Some(self.quantity))
            .decimal("price", Some(self.price))
            .decimal("discount", Some(self.discount))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The sheet's sample, numbered, with some members replaced.
    pub(crate) fn quote(changed: Value) -> Quote {
        let mut body = json!({"crmId":"b1f00000-0000-4000-8000-000000000001","number":"100-1404/7","subject":"شرکت نمونه(مشتری)",
            "description":"","crmObjectTypeCode":"PI_5","identityId":"7b0c1f0e-2f0a-4f0b-9a51-0f6f1f6f0001","billableObjectStateIndex":1,
            "quoteDate":null,"creatDate":"2026-02-01T14:06:17.173","modifyDate":"2026-02-01T14:10:20.033","totalValue":100000.00,"discount":0.00,
            "vat":9000.00,"additionalCosts":null,"finalValue":109000.00,"details":[{"productCode":"Product-1","productName":"کالای نمونه",
            "count":1.0000,"baseUnitPrice":100000.00,"totalDiscount":0.00,"productUnitTypeName":"عدد"}]});
        for (name, value) in changed.as_object().unwrap() {
            body[name] = value.clone();
        }
        Quote::of(&Billable::from_json(BillableKind::Quote, body).unwrap(), &SiaghSettings::default())
    }

    #[test]
    fn the_sheets_sample_reads_exactly() {
        let quote = quote(json!({}));
        assert_eq!(quote.net(), Decimal::from(100_000));
        assert_eq!(quote.date, NaiveDate::from_ymd_opt(2026, 2, 1));
        assert_eq!(quote.text.as_deref(), Some("شرکت نمونه(مشتری)"));
        assert_eq!((quote.extra_discount, quote.additional_costs), (Decimal::ZERO, Decimal::ZERO));
    }

    #[test]
    fn a_quote_without_a_number_waits_for_it_and_the_number_is_a_change() {
        let settings = SiaghSettings::default();
        let (before, after) = (quote(json!({"number":""})), quote(json!({})));
        assert_eq!(before.may_be_sent(&settings), Err("it has no number yet".to_owned()));
        assert_ne!(before.fields(&settings).checksum(), after.fields(&settings).checksum());
    }

    #[test]
    fn only_configured_states_pass_and_an_approval_of_a_sent_quote_is_no_change() {
        let settings = SiaghSettings { quote_states: vec![2], ..SiaghSettings::default() };
        assert!(quote(json!({})).may_be_sent(&settings).is_err());
        assert!(quote(json!({"billableObjectStateIndex":2})).may_be_sent(&settings).is_ok());
        let any = SiaghSettings::default();
        let (pending, approved) = (quote(json!({})), quote(json!({"billableObjectStateIndex":2})));
        assert_eq!(pending.fields(&any).checksum(), approved.fields(&any).checksum());
    }

    #[test]
    fn a_document_discount_that_the_lines_explain_is_no_extra() {
        let line = json!([{"productCode":"P","count":1,"baseUnitPrice":100,"totalDiscount":10}]);
        assert_eq!(quote(json!({"discount":10,"details":line})).extra_discount, Decimal::ZERO);
        assert_eq!(quote(json!({"discount":25,"details":line})).extra_discount, Decimal::from(25));
    }

    #[test]
    fn documents_dated_before_the_first_day_stay_where_they_are() {
        let settings = SiaghSettings { quotes_from: NaiveDate::from_ymd_opt(2026, 3, 1), ..SiaghSettings::default() };
        assert!(quote(json!({})).may_be_sent(&settings).unwrap_err().contains("2026-03-01"));
    }
}
