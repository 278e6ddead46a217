//! The result: figures beside their baselines and targets, as JSON and as a table for people.

use crate::machine::Machine;
use serde::Serialize;

/// What the project wants of a figure.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// One measured thing.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub part: &'static str,
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// The same thing done barely, in the same run and unit, and what it was.
    pub baseline: Option<(f64, &'static str)>,
    /// `value / baseline`.
    pub ratio: Option<f64>,
    pub target: Option<Target>,
    /// Whether the ratio (the value, where there is no baseline) meets the target.
    pub met: Option<bool>,
}

#[derive(Debug, Serialize)]
pub struct Report {
    quick: bool,
    machine: Machine,
    figures: Vec<Figure>,
    /// What has to be known to read the figures.
    notes: Vec<String>,
}

impl Report {
    pub fn new(quick: bool) -> Self {
        Self { quick, machine: Machine::this(), figures: Vec::new(), notes: Vec::new() }
    }

    pub fn note(&mut self, note: String) {
        say(&note);
        self.notes.push(note);
    }

    /// A value that stands alone.
    pub fn value(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) {
        self.add(Figure { part, name: name.into(), value, unit, baseline: None, ratio: None, target, met: None });
    }

    /// A value beside its baseline; the target is one for the ratio.
    pub fn beside(
        &mut self,
        part: &'static str,
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        baseline: (f64, &'static str),
        target: Option<Target>,
    ) {
        let ratio = (baseline.0 > 0.0).then(|| value / baseline.0);
        self.add(Figure { part, name: name.into(), value, unit, baseline: Some(baseline), ratio, target, met: None });
    }

    fn add(&mut self, mut figure: Figure) {
        let judged = figure.ratio.unwrap_or(figure.value);
        figure.met = figure.target.map(|target| match target {
            Target::AtLeast(least) => judged >= least,
            Target::AtMost(most) => judged <= most,
        });
        say(&line(&figure).join("  "));
        self.figures.push(figure);
    }

    pub fn table(&self) -> String {
        let head = ["PART", "FIGURE", "VALUE", "BASELINE", "RATIO", "TARGET", ""].map(str::to_owned);
        let rows: Vec<[String; 7]> = std::iter::once(head).chain(self.figures.iter().map(line)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        let mut text = format!("{}\n\n", self.machine);
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(&format!("\n* {note}"));
        }
        text
    }
}

fn line(figure: &Figure) -> [String; 7] {
    let target = figure.target.map_or_else(String::new, |target| match target {
        Target::AtLeast(least) => format!(">= {least}"),
        Target::AtMost(most) => format!("<= {most}"),
    });
    [
        figure.part.to_owned(),
        figure.name.clone(),
        format!("{} {}", number(figure.value), figure.unit),
        figure.baseline.map_or_else(String::new, |(value, what)| format!("{} ({what})", number(value))),
        figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
        target,
        figure.met.map_or("", |met| if met { "met" } else { "MISSED" }).to_owned(),
    ]
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// One line of progress, for people.
pub fn say(text: &str) {
    eprintln!("{text}");
}
