//! What people and programs read on the standard output: tables, JSON, times.
//!
//! Texts of other systems pass through [`one_line`], so that no control character reaches a terminal.

use chrono::{DateTime, Local, TimeDelta, Utc};
use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;
use tokio_util::sync::CancellationToken;

/// The exit code of a program whose output nobody reads any more, as shells report it: 128 and the number of SIGPIPE.
pub const UNREAD: u8 = 141;

static WHEN_UNREAD: OnceLock<CancellationToken> = OnceLock::new();

/// From now on `token` is cancelled when nobody reads the output any more, and the process goes on: for commands that
/// have something to tidy up.
#[cfg(feature = "demo")]
pub fn when_unread(token: CancellationToken) {
    // The first one counts; a process runs one command.
    let _ = WHEN_UNREAD.set(token);
}

/// Prints one line. When nobody reads any more (`| head`), the process ends quietly with [`UNREAD`], unless
/// [`when_unread`] says otherwise. When it can't be written (a full disk), the process says so and ends with 1: half an
/// export must not pass for a whole one.
pub fn line(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let Err(error) = writeln!(out, "{}", text.as_ref()) else { return };
    match (error.kind(), WHEN_UNREAD.get()) {
        (ErrorKind::BrokenPipe, Some(token)) => token.cancel(),
        (ErrorKind::BrokenPipe, None) => std::process::exit(UNREAD.into()),
        (_, _) => {
            eprintln!("error: the output can't be written: {error}");
            std::process::exit(1);
        }
    }
}

/// Prints one line of a service, which goes on although nobody may read it.
pub fn announce(text: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
}

/// Prints a value as indented JSON.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a value as JSON on one line, for streams.
pub fn json_line(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?);
    Ok(())
}

/// Prints a table, or `empty` when there are no rows.
pub fn table<R: IntoIterator<Item = String>>(header: &[&str], rows: impl IntoIterator<Item = R>, empty: &str) {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.iter().copied());
    let mut any = false;
    for row in rows {
        any = true;
        table.add_row(row.into_iter().map(|cell| one_line(&cell)).collect::<Vec<_>>());
    }
    if any { line(table.trim_fmt()) } else { line(empty) }
}

/// A number of things: `1 record`, `2 records`.
pub fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// A text without line breaks and other control characters.
pub fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A moment in the machine's own zone, to the second.
pub fn moment(at: DateTime<Utc>) -> String {
    at.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// As [`moment`], or a dash.
pub fn maybe_moment(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(|| "-".to_owned(), moment)
}

/// How long ago, or how far ahead: `3 min ago`, `in 2 h`.
pub fn distance(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let span = at - now;
    if span > TimeDelta::seconds(1) {
        format!("in {}", length(span))
    } else if span < TimeDelta::seconds(-1) {
        format!("{} ago", length(-span))
    } else {
        "now".to_owned()
    }
}

/// A length of time in its largest whole unit.
pub fn length(span: TimeDelta) -> String {
    match span.num_seconds() {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\r\n  c"), "a [2Jb c");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|n| counted(n, "record")), ["0 records", "1 record", "2 records"]);
    }

    #[test]
    fn distances_are_told_in_one_unit() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(distance(now, now), "now");
        assert_eq!(distance(now + TimeDelta::seconds(90), now), "in 90 s");
        assert_eq!(distance(now - TimeDelta::minutes(7), now), "7 min ago");
        assert_eq!(length(TimeDelta::days(3)), "3 days");
    }
}
