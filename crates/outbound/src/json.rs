//! Bytes to values, with errors that name the place and never the value.
//!
//! serde's own error texts quote what they met ("invalid type: string \"...\""), which would carry names and
//! phone numbers into logs. The errors here say where and what kind of trouble, nothing else.

use serde::de::DeserializeOwned;
use serde_json::error::Category;

/// Why bytes could not be read as the value expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    #[error("it is empty")]
    Empty,
    #[error("it is a page of markup, not JSON")]
    Markup,
    #[error("it ends in the middle of the JSON text")]
    Cut,
    #[error("it is not JSON (line {line}, column {column})")]
    NotJson { line: usize, column: usize },
    #[error("its member `{path}` is missing or of an unexpected kind")]
    Shape { path: String },
}

/// Reads a whole JSON text; a leading UTF-8 byte order mark is skipped.
///
/// # Errors
/// See [`BadJson`].
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadJson> {
    let text = without_bom(bytes);
    if text.trim_ascii().is_empty() {
        return Err(BadJson::Empty);
    }
    if looks_like_markup(text) {
        return Err(BadJson::Markup);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| bad(&error))?;
    reader.end().map_err(|error| BadJson::NotJson { line: error.line(), column: error.column() })?;
    Ok(value)
}

/// Reads a value already parsed.
///
/// # Errors
/// [`BadJson::Shape`] with the path of the member that does not fit.
pub fn from_value<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T, BadJson> {
    // To keep track of the path costs half as much again: it is asked for when there is something to tell.
    T::deserialize(value).or_else(|_| serde_path_to_error::deserialize(value).map_err(|error| bad(&error)))
}

/// The first visible character opens a tag: an HTML or XML page where JSON was expected.
pub fn looks_like_markup(bytes: &[u8]) -> bool {
    without_bom(bytes).trim_ascii_start().first() == Some(&b'<')
}

/// `bytes` without a leading UTF-8 byte order mark.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn bad(error: &serde_path_to_error::Error<serde_json::Error>) -> BadJson {
    let inner = error.inner();
    match inner.classify() {
        Category::Eof => BadJson::Cut,
        Category::Syntax | Category::Io => BadJson::NotJson { line: inner.line(), column: inner.column() },
        Category::Data => BadJson::Shape { path: error.path().to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Row {
        name: String,
        count: u32,
    }

    #[test]
    fn an_error_names_the_member_and_never_its_value() {
        let error = from_slice::<Vec<Row>>(br#"[{"name":"a","count":"09120000000"}]"#).unwrap_err();
        assert_eq!(error, BadJson::Shape { path: "[0].count".into() });
        assert!(!error.to_string().contains("0912"));
    }

    #[test]
    fn the_usual_wrong_bodies_are_told_apart() {
        assert_eq!(from_slice::<Row>(b" \n"), Err(BadJson::Empty));
        assert_eq!(from_slice::<Row>(b"\xef\xbb\xbf <html>"), Err(BadJson::Markup));
        assert_eq!(from_slice::<Row>(br#"{"name":"a","cou"#), Err(BadJson::Cut));
        assert!(matches!(from_slice::<Row>(b"oops"), Err(BadJson::NotJson { .. })));
        assert!(matches!(from_slice::<Row>(br#"{"name":"a","count":1} x"#), Err(BadJson::NotJson { .. })));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let row: Row = from_slice(b"\xef\xbb\xbf{\"name\":\"a\",\"count\":1}").unwrap();
        assert_eq!(row, Row { name: "a".into(), count: 1 });
    }

    #[test]
    fn numbers_keep_their_digits() {
        let value: serde_json::Value = from_slice(b"{\"v\":100000.00}").unwrap();
        assert_eq!(value["v"].to_string(), "100000.00");
    }
}
