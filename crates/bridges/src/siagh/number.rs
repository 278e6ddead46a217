//! The arithmetic between CRM customer numbers and Siagh codes (siagh sheet §5.1).
//!
//! The derived code is a hint and never a key: Siagh assigns codes itself, so a customer that was born in the CRM
//! has a number that may belong to somebody else in Siagh. It proposes a link and proves nothing.

/// How the site numbers its customers: `100-<n>` with `n = code + 1000` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbering {
    pub prefix: String,
    pub offset: i64,
}

impl Default for Numbering {
    fn default() -> Self {
        Self { prefix: "100-".to_owned(), offset: 1000 }
    }
}

impl Numbering {
    /// The Siagh code that a customer number was made from, or `None` when it was made otherwise. Strict: the exact
    /// prefix, then nothing but ASCII digits, above the offset. The first implementation clamped instead, so that
    /// every number up to 1001 pointed at contact 1.
    pub fn code_of(&self, number: &str) -> Option<i64> {
        let digits = number.trim().strip_prefix(&self.prefix)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let code = digits.parse::<i64>().ok()?.checked_sub(self.offset)?;
        (code > 0).then_some(code)
    }

    /// The customer number of a contact that comes from Siagh.
    pub fn number_of(&self, code: i64) -> String {
        format!("{}{}", self.prefix, code.saturating_add(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_strict_numbers_above_the_offset_give_a_code() {
        let numbering = Numbering::default();
        for (number, code) in [
            ("100-1042", Some(42)),
            (" 100-1042 ", Some(42)),
            ("100-1001", Some(1)),
            ("100-1000", None),
            ("100-999", None),
            ("100-0", None),
            ("1042", None),
            ("200-1042", None),
            ("100-12abc", None),
            ("100--1042", None),
            ("100-", None),
            ("100-۱۰۴۲", None),
            ("100-99999999999999999999", None),
            ("100-1042-7", None),
        ] {
            assert_eq!(numbering.code_of(number), code, "{number}");
        }
    }

    proptest! {
        #[test]
        fn a_number_that_was_made_from_a_code_leads_back_to_it(code in 1i64..10_000_000, offset in 0i64..100_000) {
            let numbering = Numbering { prefix: "77-".to_owned(), offset };
            prop_assert_eq!(numbering.code_of(&numbering.number_of(code)), Some(code));
        }
    }
}
