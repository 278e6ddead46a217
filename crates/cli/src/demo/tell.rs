//! What the show says while it runs.

use crate::show;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Instant;

pub struct Tell {
    started: Instant,
}

impl Tell {
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }

    pub fn act(&self, number: &str, title: &str) {
        show::line(format!("\n[{:>5.1} s] {number}. {title}", self.started.elapsed().as_secs_f32()));
    }

    pub fn note(&self, text: &str) {
        show::line(format!("            - {text}"));
    }

    pub fn done(&self, text: &str) {
        show::line(format!("            = {text}"));
    }

    pub fn bar(&self, total: u64, what: &str) -> Progress {
        if !std::io::stdout().is_terminal() {
            return Progress::Lines { total, what: what.to_owned(), told: Cell::new(0) };
        }
        let style = ProgressStyle::with_template("            {bar:40} {pos}/{len} {msg}, {per_sec}, {eta} left");
        let bar =
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stdout()).with_message(what.to_owned());
        Progress::Bar(style.map(|style| bar.clone().with_style(style)).unwrap_or(bar))
    }
}

/// A bar in a terminal, a line for each quarter elsewhere.
pub enum Progress {
    Bar(ProgressBar),
    Lines { total: u64, what: String, told: Cell<u64> },
}

impl Progress {
    pub fn at(&self, done: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(done),
            Self::Lines { total, what, told } => {
                let quarter = done * 4 / total.max(&1);
                if quarter > told.replace(quarter.max(told.get())) {
                    show::line(format!("            {done} of {total} {what}"));
                }
            }
        }
    }

    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
