//! Cuts a JSON array into its objects while it arrives, so that a list of any length needs the memory of
//! one row.

/// The longest row accepted; rows carry pictures (sheet §2.2).
const LONGEST_ROW: usize = 16 * 1024 * 1024;

/// Why the bytes are no list of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRows {
    /// Something else than an array begins here: an object with an error, a page of HTML.
    #[error("it is not a list")]
    Other,
    #[error("it is not a well-formed list")]
    Malformed,
    #[error("one row is larger than 16 MiB")]
    RowTooLong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// After `[`: a row or the end may follow.
    First,
    /// After a row: a comma or the end must follow.
    Between,
    /// After a comma: a row must follow.
    Next,
    Row,
    End,
}

pub(crate) struct RowCutter {
    at: At,
    row: Vec<u8>,
    depth: usize,
    in_text: bool,
    escaped: bool,
    bom_left: usize,
}

impl RowCutter {
    pub(crate) fn new() -> Self {
        Self { at: At::Start, row: Vec::new(), depth: 0, in_text: false, escaped: false, bom_left: 0 }
    }

    /// The closing bracket has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.at == At::End
    }

    /// Takes the next bytes and hands out every row they complete.
    pub(crate) fn feed<E: From<NotRows>>(
        &mut self,
        bytes: &[u8],
        mut row: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for &byte in bytes {
            if self.at == At::Row {
                if self.in_row(byte)? {
                    row(&self.row)?;
                    self.row.clear();
                    self.at = At::Between;
                }
            } else if !byte.is_ascii_whitespace() {
                self.between_rows(byte)?;
            }
        }
        Ok(())
    }

    fn between_rows(&mut self, byte: u8) -> Result<(), NotRows> {
        self.at = match (self.at, byte) {
            (At::Start, 0xef | 0xbb | 0xbf) if self.bom_left < 3 => {
                self.bom_left += 1;
                At::Start
            }
            (At::Start, b'[') => At::First,
            (At::Start, _) => return Err(NotRows::Other),
            (At::First | At::Next, b'{') => {
                self.row.push(byte);
                self.depth = 1;
                At::Row
            }
            (At::First | At::Between, b']') => At::End,
            (At::Between, b',') => At::Next,
            _ => return Err(NotRows::Malformed),
        };
        Ok(())
    }

    /// True when this byte closes the row.
    fn in_row(&mut self, byte: u8) -> Result<bool, NotRows> {
        if self.row.len() >= LONGEST_ROW {
            return Err(NotRows::RowTooLong);
        }
        self.row.push(byte);
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        Ok(self.depth == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pieces: &[&[u8]]) -> Result<(Vec<String>, bool), NotRows> {
        let mut cutter = RowCutter::new();
        let mut rows = Vec::new();
        for piece in pieces {
            cutter.feed(piece, |row| {
                rows.push(String::from_utf8_lossy(row).into_owned());
                Ok::<(), NotRows>(())
            })?;
        }
        Ok((rows, cutter.is_complete()))
    }

    #[test]
    fn rows_come_out_whole_wherever_the_bytes_are_split() {
        let text = "\u{feff} [ {\"a\":\"}]\\\"\\\\\",\"b\":[{\"c\":1}]} ,\n{\"نام\":\"{\"}]  ".as_bytes();
        let expected = vec![r#"{"a":"}]\"\\","b":[{"c":1}]}"#.to_owned(), r#"{"نام":"{"}"#.to_owned()];
        for split in 0..text.len() {
            let (left, right) = text.split_at(split);
            assert_eq!(cut(&[left, right]), Ok((expected.clone(), true)), "split at {split}");
        }
    }

    #[test]
    fn an_empty_list_is_complete_and_a_cut_one_is_not() {
        assert_eq!(cut(&[b"[]"]), Ok((vec![], true)));
        assert_eq!(cut(&[b"[{\"a\":1}"]), Ok((vec![r#"{"a":1}"#.to_owned()], false)));
        assert_eq!(cut(&[b""]), Ok((vec![], false)));
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused() {
        assert_eq!(cut(&[b" <html>"]), Err(NotRows::Other));
        assert_eq!(cut(&[b"{\"Errors\":[]}"]), Err(NotRows::Other));
        for bad in ["[1]", "[{} {}]", "[{},]", "[{}] x", "[,{}]"] {
            assert_eq!(cut(&[bad.as_bytes()]), Err(NotRows::Malformed), "{bad}");
        }
    }
}
