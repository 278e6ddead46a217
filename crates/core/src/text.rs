//! Persian text as two systems write it, made comparable.
//!
//! The same name is typed with Arabic or Persian letters, with three sets of digits and with invisible
//! joiners. [`normalize`] is for comparing and for the checksum; what is *sent* keeps the person's own letters.

use unicode_normalization::UnicodeNormalization;

/// The comparable form: NFC, Arabic yeh and kaf as Persian ones, all digits ASCII, joiners and control
/// characters as spaces, runs of space as one, ends trimmed. Letter case is kept.
pub fn normalize(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfc().map(fold) {
        if c == ' ' {
            gap = !out.is_empty();
        } else {
            if gap {
                out.push(' ');
                gap = false;
            }
            out.push(c);
        }
    }
    out
}

fn fold(c: char) -> char {
    match c {
        'ي' | 'ى' => 'ی',
        'ك' => 'ک',
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{ad}' => ' ',
        c if c.is_whitespace() || c.is_control() => ' ',
        c => digit(c).map_or(c, |d| char::from(b'0' + d)),
    }
}

/// The value of an ASCII, Arabic-Indic or Persian digit.
pub fn digit(c: char) -> Option<u8> {
    let base = match c {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        _ => return None,
    };
    u8::try_from(c as u32 - base as u32).ok()
}

/// Only the digits of a text, as ASCII: what is left of a phone number or a national code once people's
/// spaces, dashes and parentheses are gone.
pub fn digits(text: &str) -> String {
    text.chars().filter_map(digit).map(|d| char::from(b'0' + d)).collect()
}

/// `text` without its ends' white space, or `None` when nothing is left.
pub fn non_blank(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    (!trimmed.is_empty()).then_some(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arabic_and_persian_spellings_compare_equal() {
        assert_eq!(normalize("شركت  نمونه\u{200c}ي الف "), normalize("شرکت نمونه ی الف"));
        assert_eq!(normalize("۱۲۳٤٥"), "12345");
    }

    #[test]
    fn line_breaks_and_joiners_become_one_space() {
        assert_eq!(normalize(" a\r\n\t\u{200c} b\u{feff}"), "a b");
        assert_eq!(normalize("\u{200b}"), "");
    }

    #[test]
    fn digits_of_a_phone_number_survive_its_decoration() {
        assert_eq!(digits("+۹۸ (۹۱۲) 000-0001"), "989120000001");
    }
}
