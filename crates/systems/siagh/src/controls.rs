//! `ctrlValues`: named values in one string, which has no escaping (sheet §2.3).
//!
//! A separator inside a value would shift every control after it, so values are made harmless here and
//! every loss is told.

use std::fmt;

/// What may stand in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Names, addresses, notes: `=` stays, being harmless after the first one (assumed).
    Prose,
    /// Codes, numbers, short fields: `=` is replaced too.
    Short,
}

/// Values in the order the form expects them, and notes on what had to be changed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Controls {
    text: String,
    notes: Vec<String>,
}

impl Controls {
    pub(crate) fn set(&mut self, name: &str, value: &str, kind: Kind, longest: usize) {
        let (clean, note) = sanitize(value, kind == Kind::Short, longest);
        self.notes.extend(note.map(|note| format!("{name}: {note}")));
        if !self.text.is_empty() {
            self.text.push('|');
        }
        self.text.push_str(name);
        self.text.push('=');
        self.text.push_str(&clean);
    }

    /// The string to send.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// One line per value that was cut, naming the control and never the value.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Shows the notes and the size: the values are people's data.
impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").field("bytes", &self.text.len()).field("notes", &self.notes).finish()
    }
}

/// A value that can't break the string: `|` becomes `/`; line breaks and tabs become a space; a run of control
/// characters becomes one space; with `short`, `=` becomes a space too; at most `longest` characters. A leading
/// space passes (sheet §2.3). Returns a note when characters were cut off.
pub fn sanitize(value: &str, short: bool, longest: usize) -> (String, Option<String>) {
    let mut clean = String::with_capacity(value.len());
    let mut in_controls = false;
    for c in value.chars() {
        let control = c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
        match c {
            _ if control && in_controls => {}
            _ if control => clean.push(' '),
            '|' => clean.push('/'),
            '=' if short => clean.push(' '),
            c => clean.push(c),
        }
        in_controls = control;
    }
    let length = clean.chars().count();
    if length <= longest {
        return (clean, None);
    }
    let cut: String = clean.chars().take(longest).collect();
    (cut.trim_end().to_owned(), Some(format!("cut from {length} to {longest} characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_start_another_control() {
        let mut controls = Controls::default();
        controls.set("a.name", "x|a.isactive=0\r\n\ty", Kind::Prose, 100);
        controls.set("a.code", "1=2|3", Kind::Short, 100);
        assert_eq!(controls.text(), "a.name=x/a.isactive=0 y|a.code=1 2/3");
        assert!(controls.notes().is_empty());
    }

    #[test]
    fn persian_text_parentheses_dashes_and_a_leading_space_pass_unchanged() {
        let text = " شرکت نمونه (الف) - ۱۲";
        assert_eq!(sanitize(text, true, 100), (text.to_owned(), None));
    }

    #[test]
    fn a_long_value_is_cut_by_characters_and_said_so_without_showing_it() {
        let mut controls = Controls::default();
        controls.set("f", &"ش".repeat(12), Kind::Prose, 10);
        assert_eq!(controls.text(), format!("f={}", "ش".repeat(10)));
        assert_eq!(controls.notes(), ["f: cut from 12 to 10 characters"]);
    }

    #[test]
    fn empty_values_keep_their_control() {
        let mut controls = Controls::default();
        controls.set("a", "", Kind::Short, 5);
        controls.set("b", "\u{0}\u{1}", Kind::Short, 5);
        assert_eq!(controls.text(), "a=|b= ");
    }
}
