//! Reads what a client sends: requests of HTTP/1.1, and the messages of Postgres that carry statements.

use crate::tape::{Sent, System};
use std::collections::HashMap;

/// Reads one connection, piece by piece.
pub trait Reader: Send {
    /// What became complete with this piece.
    fn feed(&mut self, piece: &[u8]) -> Vec<Sent>;
}

pub struct HttpReader {
    system: System,
    waiting: Vec<u8>,
}

impl HttpReader {
    pub fn new(system: System) -> Self {
        Self { system, waiting: Vec::new() }
    }

    fn next(&mut self) -> Option<Sent> {
        let head_ends = self.waiting.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.waiting[..head_ends]).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let ends = head_ends + 4 + length;
        if self.waiting.len() < ends {
            return None;
        }
        let body = self.waiting[head_ends + 4..ends].to_vec();
        self.waiting.drain(..ends);
        Some(Sent::Call { system: self.system, method, path, headers, body })
    }
}

impl Reader for HttpReader {
    fn feed(&mut self, piece: &[u8]) -> Vec<Sent> {
        self.waiting.extend_from_slice(piece);
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// The first message without a type byte, by the number it begins with: a wish for TLS, which is followed by another one.
const TLS_WISH: u32 = 80_877_103;

#[derive(Default)]
pub struct PostgresReader {
    waiting: Vec<u8>,
    started: bool,
    prepared: HashMap<String, (String, Vec<u32>)>,
}

impl PostgresReader {
    /// The next whole message: its type (0 during the start) and what it holds.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let typed = usize::from(self.started);
        let length: [u8; 4] = self.waiting.get(typed..typed + 4)?.try_into().ok()?;
        let ends = typed + u32::from_be_bytes(length) as usize;
        if self.waiting.len() < ends {
            return None;
        }
        let kind = if self.started { self.waiting[0] } else { 0 };
        let body = self.waiting[typed + 4..ends].to_vec();
        self.waiting.drain(..ends);
        Some((kind, body))
    }

    fn read(&mut self, kind: u8, body: &[u8]) -> Option<Sent> {
        let mut body = Bytes(body);
        match kind {
            0 => self.started = body.u32()? != TLS_WISH,
            b'P' => {
                let (name, sql) = (body.text()?, body.text()?);
                let count = body.u16()?;
                let types = (0..count).map(|_| body.u32()).collect::<Option<Vec<u32>>>()?;
                self.prepared.insert(name, (sql, types));
            }
            b'B' => {
                let (_portal, name) = (body.text()?, body.text()?);
                for _ in 0..body.u16()? {
                    body.u16()?;
                }
                let values = (0..body.u16()?).map(|_| body.value()).collect::<Option<Vec<_>>>()?;
                let (sql, types) = self.prepared.get(&name)?.clone();
                return Some(Sent::Statement { sql, types, values });
            }
            b'Q' => return Some(Sent::Text(body.text()?)),
            _ => {}
        }
        None
    }
}

impl Reader for PostgresReader {
    fn feed(&mut self, piece: &[u8]) -> Vec<Sent> {
        self.waiting.extend_from_slice(piece);
        let mut sent = Vec::new();
        while let Some((kind, body)) = self.message() {
            sent.extend(self.read(kind, &body));
        }
        sent
    }
}

/// What is still to be read of a message.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }
    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    fn text(&mut self) -> Option<String> {
        let ends = self.0.iter().position(|byte| *byte == 0)?;
        let text = String::from_utf8_lossy(self.take(ends)?).into_owned();
        self.take(1)?;
        Some(text)
    }
    /// A parameter: its length, -1 for null, and its bytes.
    #[allow(clippy::option_option)]
    fn value(&mut self) -> Option<Option<Vec<u8>>> {
        let length = self.u32()?.cast_signed();
        if length < 0 {
            return Some(None);
        }
        Some(Some(self.take(length as usize)?.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: Option<u8>, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [kind.as_slice(), &length, body].concat()
    }

    #[test]
    fn a_statement_is_read_with_its_text_types_and_values_however_it_is_cut() {
        let parse = [b"s1\0SELECT $1, $2\0".as_slice(), &[0, 2], &20u32.to_be_bytes(), &25u32.to_be_bytes()].concat();
        let bind =
            [b"\0s1\0".as_slice(), &[0, 1, 0, 1], &[0, 2], &1u32.to_be_bytes(), b"x", &(-1i32).to_be_bytes(), &[0, 0]]
                .concat();
        let start = [&196_608u32.to_be_bytes(), b"user\0app\0\0".as_slice()].concat();
        let all = [
            message(None, &TLS_WISH.to_be_bytes()),
            message(None, &start),
            message(Some(b'P'), &parse),
            message(Some(b'B'), &bind),
            message(Some(b'Q'), b"COMMIT\0"),
        ]
        .concat();
        let mut reader = PostgresReader::default();
        let sent: Vec<Sent> = all.chunks(3).flat_map(|piece| reader.feed(piece)).collect();
        let [Sent::Statement { sql, types, values }, Sent::Text(text)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((sql.as_str(), &types[..], text.as_str()), ("SELECT $1, $2", &[20, 25][..], "COMMIT"));
        assert_eq!(values, &[Some(b"x".to_vec()), None]);
    }

    #[test]
    fn a_request_is_read_with_its_body_and_the_next_one_after_it() {
        let bytes = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\nX: y\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n";
        let mut reader = HttpReader::new(System::Crm);
        let sent: Vec<Sent> = bytes.chunks(5).flat_map(|piece| reader.feed(piece)).collect();
        let [Sent::Call { path: a, body, .. }, Sent::Call { path: b, method, .. }] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!((a.as_str(), &body[..], b.as_str(), method.as_str()), ("/a", &b"abc"[..], "/b", "GET"));
    }
}
