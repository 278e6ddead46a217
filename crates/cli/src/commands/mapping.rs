//! `tandem mapping`: what values of the CRM are called in the finance system. A CSV file carries many at once.

use super::leave_to_services;
use crate::exit::{Ended, wrong_usage};
use crate::register::Known;
use crate::show;
use crate::wiring::Start;
use crate::words::{self, operator};
use anyhow::{Context as _, bail};
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tandem_core::BridgeId;
use tandem_core::text::{non_blank, normalize};
use tandem_store::Mapping;

#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// List them.
    List {
        bridge: String,
        /// Only those of this type.
        #[arg(long = "type", value_name = "TYPE")]
        typ: Option<String>,
    },
    /// Set one; records that wait for it go on.
    Set {
        bridge: String,
        /// Such as `goods` or `unit`.
        #[arg(value_name = "TYPE")]
        typ: String,
        /// What the CRM calls it.
        source: String,
        /// What the finance system calls it.
        target: String,
        #[arg(long)]
        note: Option<String>,
    },
    /// Remove one. Records that were written with it stay as they are.
    Delete {
        bridge: String,
        #[arg(value_name = "TYPE")]
        typ: String,
        source: String,
    },
    /// Set those of a CSV file with the columns type, source, target, note: all of them or, if a line is wrong, none.
    Import {
        bridge: String,
        /// The file; `-` is the standard input.
        file: PathBuf,
    },
    /// Write all of them as CSV; with --json as JSON.
    Export {
        bridge: String,
        /// The file; else the standard output.
        file: Option<PathBuf>,
    },
}

/// One line of the CSV file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(rename = "type")]
    typ: String,
    source: String,
    target: String,
    #[serde(default)]
    note: Option<String>,
}

pub async fn run(start: &Start, action: Action) -> anyhow::Result<Ended> {
    match action {
        Action::List { bridge, typ } => list(start, words::bridge(&bridge)?, typ.as_deref()).await,
        Action::Set { bridge, typ, source, target, note } => {
            let known = words::bridge(&bridge)?;
            let mapping = mapping_of(known, Line { typ, source, target, note });
            let mapping = mapping.map_err(|what| wrong_usage(format!("the mapping {what}")))?;
            set(start, known, vec![mapping]).await
        }
        Action::Delete { bridge, typ, source } => delete(start, words::bridge(&bridge)?, &typ, &source).await,
        Action::Import { bridge, file } => {
            let known = words::bridge(&bridge)?;
            let mappings = read(known, &text_of(&file)?)?;
            set(start, known, mappings).await
        }
        Action::Export { bridge, file } => export(start, words::bridge(&bridge)?, file.as_deref()).await,
    }
}

async fn list(start: &Start, known: &Known, typ: Option<&str>) -> anyhow::Result<Ended> {
    let typ = typ.map(|typ| words::one_of("mapping type", typ, known.mappings.iter())).transpose()?;
    let (_, store) = start.store().await?;
    let mappings = store.mappings(&BridgeId::from(known.id), typ).await?;
    if start.json {
        let lines: Vec<Line> = mappings.into_iter().map(Line::from).collect();
        show::json(&lines)?;
    } else {
        let rows = mappings.into_iter().map(|m| [m.typ, m.source, m.target, m.note.unwrap_or_default()]);
        show::table(&["TYPE", "SOURCE", "TARGET", "NOTE"], rows, "no mapping is set");
    }
    Ok(Ended::Done)
}

async fn set(start: &Start, known: &Known, mappings: Vec<Mapping>) -> anyhow::Result<Ended> {
    let (_, store) = start.store().await?;
    let change = store.set_mappings(&BridgeId::from(known.id), &mappings, &operator(), Utc::now()).await?;
    leave_to_services(&store, &change.released).await?;
    if start.json {
        show::json(&json!({ "set": change.set, "unchanged": change.unchanged, "released": change.released.len() }))?;
    } else {
        show::line(format!(
            "{} set, {} unchanged; {} set going",
            change.set,
            change.unchanged,
            show::counted(change.released.len() as u64, "waiting record")
        ));
    }
    Ok(Ended::Done)
}

async fn delete(start: &Start, known: &Known, typ: &str, source: &str) -> anyhow::Result<Ended> {
    let typ = words::one_of("mapping type", typ, known.mappings.iter())?;
    let (_, store) = start.store().await?;
    if !store.delete_mapping(&BridgeId::from(known.id), typ, source).await? {
        bail!("{typ} has no mapping for {source:?}");
    }
    if start.json {
        show::json(&json!({ "deleted": 1 }))?;
    } else {
        show::line("deleted");
    }
    Ok(Ended::Done)
}

async fn export(start: &Start, known: &Known, file: Option<&Path>) -> anyhow::Result<Ended> {
    let (_, store) = start.store().await?;
    let lines: Vec<Line> = store.mappings(&BridgeId::from(known.id), None).await?.into_iter().map(Line::from).collect();
    let text = if start.json { serde_json::to_string_pretty(&lines)? + "\n" } else { csv_of(&lines)? };
    match file {
        Some(path) => std::fs::write(path, &text).with_context(|| format!("can't write {}", path.display()))?,
        None => show::line(text.trim_end_matches('\n')),
    }
    Ok(Ended::Done)
}

fn csv_of(lines: &[Line]) -> anyhow::Result<String> {
    if lines.is_empty() {
        return Ok("type,source,target,note\n".to_owned());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line)?;
    }
    Ok(String::from_utf8(writer.into_inner().map_err(|error| error.into_error())?)?)
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("can't read the standard input as UTF-8 text");
    }
    std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))
}

/// Reads a CSV file; every wrong line is named.
fn read(known: &Known, text: &str) -> anyhow::Result<Vec<Mapping>> {
    // Spreadsheets put a byte order mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers().context("the file is no CSV")?.clone();
    for needed in ["type", "source", "target"] {
        if !columns.iter().any(|column| column == needed) {
            bail!("the first line has no column {needed:?}; it has to be type,source,target,note");
        }
    }
    let (mut mappings, mut wrong) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    for record in reader.into_records() {
        let record = record.context("the file is no CSV")?;
        let number = record.position().map_or(0, csv::Position::line);
        let line = record.deserialize::<Line>(Some(&columns)).map_err(|_| "has too few columns".to_owned());
        let mapping = line.and_then(|line| mapping_of(known, line)).and_then(|mapping| {
            let name = (mapping.typ.clone(), normalize(&mapping.source));
            match seen.insert(name, (number, mapping.target.clone())) {
                Some((earlier, target)) if target != mapping.target => {
                    Err(format!("gives {:?} another target than line {earlier}", mapping.source))
                }
                _ => Ok(mapping),
            }
        });
        match mapping {
            Ok(mapping) => mappings.push(mapping),
            Err(what) => wrong.push(format!("line {number} {what}")),
        }
    }
    if !wrong.is_empty() {
        bail!("nothing was set: {}", wrong.join("; "));
    }
    Ok(mappings)
}

fn mapping_of(known: &Known, line: Line) -> Result<Mapping, String> {
    let typ = known.mappings.iter().copied().find(|typ| *typ == line.typ.trim());
    let typ = typ.ok_or_else(|| format!("has the type {:?}; there is {}", line.typ, known.mappings.join(", ")))?;
    let part = |text: &str, what: &str| non_blank(text).map(str::to_owned).ok_or_else(|| format!("has no {what}"));
    let note = line.note.as_deref().and_then(non_blank).map(str::to_owned);
    Ok(Mapping {
        typ: typ.to_owned(),
        source: part(&line.source, "source")?,
        target: part(&line.target, "target")?,
        note,
    })
}

impl From<Mapping> for Line {
    fn from(mapping: Mapping) -> Self {
        Self { typ: mapping.typ, source: mapping.source, target: mapping.target, note: mapping.note }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn siagh() -> &'static Known {
        words::bridge("siagh").unwrap()
    }

    #[test]
    fn a_file_from_a_spreadsheet_is_read() {
        let text = "\u{feff}type,source,target,note\r\ngoods,Product-1,500100001,\"a, b\"\r\nunit, قطعه ,عدد\r\n";
        let mappings = read(siagh(), text).unwrap();
        assert_eq!(mappings.len(), 2);
        assert_eq!((mappings[0].note.as_deref(), mappings[1].source.as_str()), (Some("a, b"), "قطعه"));
    }

    #[test]
    fn every_wrong_line_is_named_and_nothing_is_set() {
        let text = "type,source,target\ngoods,A,1\ncolour,B,2\nunit,,3\nunit,C\ngoods,a,2\ngoods,A,9\n";
        let error = read(siagh(), text).unwrap_err().to_string();
        for part in [
            "nothing was set",
            "line 3 has the type \"colour\"",
            "line 4 has no source",
            "line 5 ",
            "line 7 gives \"A\" another target than line 2",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(!error.contains("line 6"), "letter case tells values apart: {error}");
    }

    #[test]
    fn a_file_without_the_columns_is_refused() {
        assert!(read(siagh(), "a,b\n1,2\n").unwrap_err().to_string().contains("type,source,target,note"));
        assert!(read(siagh(), "").is_err());
    }
}
