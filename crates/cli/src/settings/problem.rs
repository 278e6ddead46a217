//! What is wrong with the settings: one line each, all at once, never a secret's value.

use std::fmt;

/// One thing that is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting (or the file) that it is about.
    pub name: String,
    /// What is wrong and what would be right. Holds no value of a secret setting.
    pub what: String,
}

impl Problem {
    pub fn new(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// Everything that is wrong; never empty when it is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            let lead = if i == 0 { "" } else { "\n" };
            write!(f, "{lead}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The known name that `name` was probably meant to be: one letter in five may differ, three at most. Letter case does not
/// count, and neither does the beginning that most names share.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_uppercase();
    let slips = |candidate: &str| (candidate.strip_prefix("TANDEM_").unwrap_or(candidate).len() / 5).min(3);
    known
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(far, candidate)| *far <= slips(candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters have to be put in, taken out or changed to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_nonsense_finds_none() {
        let known = ["TANDEM_TIME_GATE_SECONDS", "TANDEM_BRIDGES"];
        assert_eq!(did_you_mean("TANDEM_TIMEGATE_SECOND", known.into_iter()), Some("TANDEM_TIME_GATE_SECONDS"));
        assert_eq!(did_you_mean("TANDEM_BRIDGE", known.into_iter()), Some("TANDEM_BRIDGES"));
        assert_eq!(did_you_mean("TANDEM_SOMETHING_ELSE", known.into_iter()), None);
    }

    #[test]
    fn of_a_short_name_little_may_be_wrong() {
        let known = ["PORT", "TANDEM_LOG", "TANDEM_BIND", "AMQP_URL", "CRM_USERNAME"];
        for (name, meant) in
            [("AMQP_URI", "AMQP_URL"), ("CRM_USERNMAE", "CRM_USERNAME"), ("crm_username", "CRM_USERNAME")]
        {
            assert_eq!(did_you_mean(name, known.into_iter()), Some(meant));
        }
        for name in ["HOST", "TANDEM_PORT", "TANDEM_DOG", "DB_URL", "CRM_SURNAMES"] {
            assert_eq!(did_you_mean(name, known.into_iter()), None, "{name}");
        }
    }

    #[test]
    fn distance_counts_insertions_deletions_and_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
