//! Numbering templates: literals around one running number and the year (payamgostar sheet §4.3).

/// A parsed template such as `100-{____(SHYY)}/{*(AN)}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// The running number, of this many digits at least; none is unlimited and unpadded.
    Number(Option<usize>),
    JalaliYear(usize),
    GregorianYear(usize),
}

impl Template {
    /// Errors: one line saying what in the template is not understood.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or("a `{` in the numbering template is not closed")? + open;
            if open > 0 {
                parts.push(Part::Literal(rest[..open].to_owned()));
            }
            parts.push(Self::placeholder(&rest[open + 1..close])?);
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        let numbers = parts.iter().filter(|part| matches!(part, Part::Number(_))).count();
        if numbers == 1 { Ok(Self(parts)) } else { Err("a numbering template needs exactly one (AN)".to_owned()) }
    }

    fn placeholder(text: &str) -> Result<Part, String> {
        let (width, name) = text
            .strip_suffix(')')
            .and_then(|text| text.split_once('('))
            .ok_or_else(|| format!("`{{{text}}}` in the numbering template is not understood"))?;
        let digits = width.len();
        match name {
            "AN" if width == "*" => Ok(Part::Number(None)),
            "AN" => Ok(Part::Number(Some(digits))),
            "SHYY" => Ok(Part::JalaliYear(digits)),
            "MIYY" => Ok(Part::GregorianYear(digits)),
            _ => Err(format!("`({name})` in the numbering template is not understood")),
        }
    }

    /// The running number inside `text`, or none when the text does not follow the template.
    pub(crate) fn number_in(&self, text: &str) -> Option<u64> {
        let mut rest = text;
        let mut number = None;
        for part in &self.0 {
            let taken = match part {
                Part::Literal(literal) => rest.starts_with(literal.as_str()).then_some(literal.len())?,
                Part::Number(width) => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    if digits == 0 || width.is_some_and(|width| digits < width) {
                        return None;
                    }
                    number = Some(rest[..digits].parse().ok()?);
                    digits
                }
                Part::JalaliYear(width) | Part::GregorianYear(width) => {
                    let digits = rest.bytes().take(*width).filter(u8::is_ascii_digit).count();
                    (digits == *width).then_some(digits)?
                }
            };
            rest = &rest[taken..];
        }
        if rest.is_empty() { number } else { None }
    }

    pub(crate) fn render(&self, number: u64, jalali_year: i32, gregorian_year: i32) -> String {
        let last_digits = |year: i32, width: usize| {
            let year = format!("{year:0width$}");
            year[year.len().saturating_sub(width)..].to_owned()
        };
        self.0
            .iter()
            .map(|part| match part {
                Part::Literal(literal) => literal.clone(),
                Part::Number(width) => format!("{number:0width$}", width = width.unwrap_or(0)),
                Part::JalaliYear(width) => last_digits(jalali_year, *width),
                Part::GregorianYear(width) => last_digits(gregorian_year, *width),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_only_in_a_text_that_follows_the_template() {
        let plain = Template::parse("100-{*(AN)}").unwrap();
        assert_eq!(plain.number_in("100-1042"), Some(1042));
        for wrong in ["1042", "100-", "100-12abc", "101-5", "100-1042 ", ""] {
            assert_eq!(plain.number_in(wrong), None, "{wrong}");
        }
        let yearly = Template::parse("100-{____(SHYY)}/{___(AN)}").unwrap();
        assert_eq!(yearly.number_in("100-1404/007"), Some(7));
        assert_eq!(yearly.number_in("100-1404/7"), None);
    }

    #[test]
    fn a_rendered_number_carries_year_and_width() {
        let template = Template::parse("100-{____(SHYY)}/{__(MIYY)}-{___(AN)}").unwrap();
        assert_eq!(template.render(7, 1404, 2026), "100-1404/26-007");
    }

    #[test]
    fn a_template_without_a_running_number_is_refused() {
        assert!(Template::parse("100-{____(SHYY)}").is_err());
        assert!(Template::parse("100-{*(XX)}").is_err());
    }
}
