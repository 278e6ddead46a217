//! Which of a customer's numbers is the mobile and which the telephone, judged by the number's shape.
//!
//! The CRM's phone types are free words in two languages (payamgostar sheet §2.6), so they are not asked.

use payamgostar::Phone;
use tandem_core::text::digits;

/// A mobile number as Siagh stores it, `09` and nine digits, from `0912...`, `98912...`, `+98 912 ...`, `0098912...`
/// or `912...`; `None` if the number has another shape.
pub fn mobile(number: &str) -> Option<String> {
    let digits = digits(number);
    let core = ["0098", "98", "0"].iter().find_map(|lead| digits.strip_prefix(lead)).unwrap_or(&digits);
    (core.len() == 10 && core.starts_with('9')).then(|| format!("0{core}"))
}

/// A telephone number as Siagh stores it: digits with a leading zero where the country code stood.
pub fn telephone(number: &str) -> Option<String> {
    let digits = digits(number);
    let national =
        match digits.strip_prefix("0098").or_else(|| digits.strip_prefix("98").filter(|rest| rest.len() == 10)) {
            Some(rest) => format!("0{rest}"),
            None => digits,
        };
    (!national.is_empty() && mobile(number).is_none()).then_some(national)
}

/// A customer's mobile and telephone. Of several the default one, then the first. The mobile is never copied into
/// the telephone, as the first implementation did.
pub fn pick(phones: &[Phone]) -> (Option<String>, Option<String>) {
    (best(phones, mobile), best(phones, telephone))
}

fn best(phones: &[Phone], shape: impl Fn(&str) -> Option<String>) -> Option<String> {
    let of = |phone: &Phone| phone.number.as_deref().and_then(&shape);
    phones.iter().filter(|p| p.default).find_map(of).or_else(|| phones.iter().find_map(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(number: &str, default: bool) -> Phone {
        Phone { number: Some(number.to_owned()), default, ..Phone::default() }
    }

    #[test]
    fn a_mobile_is_known_by_its_shape_in_every_spelling() {
        for spelling in
            ["09120000001", "9120000001", "989120000001", "+98 912 000 0001", "00989120000001", "۰۹۱۲۰۰۰۰۰۰۱"]
        {
            assert_eq!(mobile(spelling).as_deref(), Some("09120000001"), "{spelling}");
        }
        for other in ["02100000001", "0912000000", "091200000012", "", "abc"] {
            assert_eq!(mobile(other), None, "{other}");
        }
    }

    #[test]
    fn the_mobile_is_not_copied_into_the_telephone() {
        assert_eq!(pick(&[phone("09120000001", true)]), (Some("09120000001".into()), None));
        let both = [phone("021-0000 0001", false), phone("09120000001", true)];
        assert_eq!(pick(&both), (Some("09120000001".into()), Some("02100000001".into())));
    }

    #[test]
    fn of_several_the_default_wins_then_the_first() {
        let several = [phone("02100000001", false), phone("02100000002", true), phone("02100000003", false)];
        assert_eq!(pick(&several).1.as_deref(), Some("02100000002"));
        assert_eq!(pick(&several[2..]).1.as_deref(), Some("02100000003"));
        assert_eq!(pick(&[]), (None, None));
    }

    #[test]
    fn a_country_code_becomes_a_leading_zero() {
        assert_eq!(telephone("+982100000001").as_deref(), Some("02100000001"));
        assert_eq!(telephone("00982100000001").as_deref(), Some("02100000001"));
        assert_eq!(telephone("98000").as_deref(), Some("98000"));
    }
}
