//! Progress of long work, on the standard error: a bar on a terminal, a plain line now and then elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    started: Instant,
    last_line: Instant,
}

impl Progress {
    /// Begins; `what` names the work, such as "reading".
    pub fn new(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_prefix(what);
            bar.set_style(style("{prefix} {human_pos} ({per_sec}) {msg}"));
            bar
        });
        Self { what, bar, started: Instant::now(), last_line: Instant::now() }
    }

    /// `done` of `total`, where a total is known.
    pub fn set(&mut self, done: u64, total: Option<u64>) {
        self.say(done, total, "");
    }

    /// As [`set`](Self::set), with a remark beside it.
    pub fn say(&mut self, done: u64, total: Option<u64>, remark: &str) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total
                && bar.length() != Some(total)
            {
                bar.set_style(style("{prefix} {bar:30} {human_pos}/{human_len} ({per_sec}, {eta} left) {msg}"));
                bar.set_length(total.max(done));
            }
            bar.set_position(done);
            bar.set_message(remark.to_owned());
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{}", self.plain(done, total, remark));
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn plain(&self, done: u64, total: Option<u64>, remark: &str) -> String {
        let seconds = self.started.elapsed().as_secs().max(1);
        let rate = done / seconds;
        let left = match total {
            Some(total) if rate > 0 => format!(" of {total}, {rate}/s, {} s left", total.saturating_sub(done) / rate),
            Some(total) => format!(" of {total}"),
            None => format!(", {rate}/s"),
        };
        let remark = if remark.is_empty() { String::new() } else { format!("; {remark}") };
        format!("{}: {done}{left}{remark}", self.what)
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
