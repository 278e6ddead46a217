//! The file that an SQLite address names, read as the driver reads it: nobody may be told of another one.

use std::path::PathBuf;

/// The file behind `sqlite:path` or `sqlite://path?parameters`. `None` for other databases and for one in memory.
pub fn file_of(url: &str) -> Option<PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let in_memory = path == ":memory:" || parameters.split('&').any(|parameter| parameter == "mode=memory");
    (!in_memory && !path.is_empty()).then(|| PathBuf::from(decoded(path)))
}

/// `%3F` and its like as the characters that they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(two) => {
                bytes.extend(u8::from_str_radix(two, 16));
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_the_one_that_the_driver_opens() {
        for (url, file) in [
            ("sqlite://tandem.db", "tandem.db"),
            ("sqlite:tandem.db", "tandem.db"),
            ("sqlite:///var/lib/tandem/tandem.db?mode=rwc", "/var/lib/tandem/tandem.db"),
            ("sqlite://a%3Fb%20c%zz.db", "a?b c%zz.db"),
        ] {
            assert_eq!(file_of(url), Some(PathBuf::from(file)), "{url}");
        }
        for url in ["sqlite::memory:", "sqlite://x?mode=memory", "postgres://u@h/db"] {
            assert_eq!(file_of(url), None, "{url}");
        }
    }
}
