//! The answers of `SaveFormData`, with their Persian texts byte for byte (siagh sheet §2.7, §4.1).

use crate::stage::reply::Reply;
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

pub(crate) const DUPLICATE_MOBILE: &str = "شماره موبایل نمی تواند تکراری باشد.";
pub(crate) const DUPLICATE_PHONE: &str = "شماره تلفن نمی تواند تکراری باشد.";
/// The server's scripts crash with this; line ends as Windows writes them.
pub(crate) const RUNTIME_ERROR: &str = concat!(
    " پیامهای سرویس : RUNTIME ERROR\r\n",
    "Field 'Code' not found when evaluating instruction CallProc (TDataSet.'FieldByName').\r\n",
    "Stack content is: [Unassigned]\r\n",
    "Source position: 218,84"
);

/// A member that was only ever seen empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blank;

impl Serialize for Blank {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Notice {
    col_name: &'static str,
    group: Blank,
    error_type: &'static str,
    description: String,
    error_code: i32,
    message_text: Blank,
    solution: Blank,
    help_index: Blank,
}

impl Notice {
    /// A refusal of this text.
    pub(crate) fn error(description: impl Into<String>) -> Self {
        Self { error_type: "ErrError", error_code: -1, ..Self::success(description.into()) }
    }

    pub(crate) fn runtime_error() -> Self {
        Self::error(RUNTIME_ERROR)
    }

    pub(crate) fn bad_price(row: usize) -> Self {
        Self { col_name: "Price", ..Self::error(format!("قیمت ردیف {row} درست وارد نشده است")) }
    }

    fn success(description: String) -> Self {
        Self {
            col_name: "",
            group: Blank,
            error_type: "ErrSuccs",
            description,
            error_code: 0,
            message_text: Blank,
            solution: Blank,
            help_index: Blank,
        }
    }
}

/// What a save is answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    errors: Vec<Notice>,
    final_messages: Vec<String>,
    return_value: bool,
    return_code: String,
    return_params: String,
}

impl Answer {
    pub(crate) fn refused(errors: Vec<Notice>) -> Self {
        Self {
            errors,
            final_messages: Vec::new(),
            return_value: false,
            return_code: String::new(),
            return_params: String::new(),
        }
    }

    pub(crate) fn contact(code: i64) -> Self {
        Self {
            errors: Vec::new(),
            final_messages: Vec::new(),
            return_value: true,
            return_code: code.to_string(),
            return_params: code.to_string(),
        }
    }

    pub(crate) fn document(number: u64, net: Decimal, return_code: &str, return_params: &str) -> Self {
        let sentence = format!("پیش فاکتور فروش با موفقیت به شماره {number} ثبت گردید");
        Self {
            errors: vec![Notice::success(format!("{sentence} خالص سند: {}", with_thousands(net)))],
            final_messages: vec![sentence],
            return_value: true,
            return_code: return_code.to_owned(),
            return_params: return_params.to_owned(),
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::json(200, self)
    }
}

/// A whole amount with a comma between every three digits.
fn with_thousands(amount: Decimal) -> String {
    let digits = amount.round().to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).expect("digits are ASCII")).collect();
    format!("{sign}{}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_carry_thousands_separators() {
        for (amount, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (5_720_000, "5,720,000"), (-12_345, "-12,345")]
        {
            assert_eq!(with_thousands(Decimal::from(amount)), text);
        }
    }

    #[test]
    fn the_persian_texts_carry_no_zero_width_joiner() {
        for text in [DUPLICATE_MOBILE, DUPLICATE_PHONE, RUNTIME_ERROR] {
            assert!(!text.contains('\u{200c}'), "{text}");
        }
    }
}
