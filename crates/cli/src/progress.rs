//! Progress of long work, on the standard error: a bar on a terminal, a plain line now and then elsewhere.

use crate::show;
use chrono::TimeDelta;
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
            eprintln!("{}", plain(self.what, done, total, remark, self.started.elapsed()));
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What a line says after working for `elapsed`.
fn plain(what: &str, done: u64, total: Option<u64>, remark: &str, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(1.0);
    let left = match total {
        Some(total) if done > 0 => {
            let seconds = total.saturating_sub(done) as f64 / rate;
            format!(" of {total}, {}, {} left", speed(rate), show::length(TimeDelta::seconds(seconds.round() as i64)))
        }
        Some(total) => format!(" of {total}"),
        None if done > 0 => format!(", {}", speed(rate)),
        None => String::new(),
    };
    let remark = if remark.is_empty() { String::new() } else { format!("; {remark}") };
    format!("{what}: {done}{left}{remark}")
}

/// A rate per second, in the unit in which it can be read.
fn speed(rate: f64) -> String {
    match rate {
        rate if rate >= 10.0 => format!("{rate:.0}/s"),
        rate if rate >= 0.1 => format!("{rate:.1}/s"),
        rate => format!("{:.1}/min", rate * 60.0),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_told_however_slow_it_goes() {
        let after = |seconds, done, total| plain("saving", done, total, "", Duration::from_secs(seconds));
        assert_eq!(after(20, 10, Some(40)), "saving: 10 of 40, 0.5/s, 60 s left");
        assert_eq!(after(600, 5, Some(50)), "saving: 5 of 50, 0.5/min, 90 min left");
        assert_eq!(after(10, 15, None), "saving: 15, 1.5/s");
        assert_eq!(after(5, 6_000, Some(12_000)), "saving: 6000 of 12000, 1200/s, 5 s left");
    }

    #[test]
    fn nothing_is_guessed_before_anything_is_done_and_no_time_is_left_at_the_end() {
        let after = |seconds, done, total| plain("saving", done, total, "2 dead", Duration::from_secs(seconds));
        assert_eq!(after(30, 0, Some(40)), "saving: 0 of 40; 2 dead");
        assert_eq!(after(30, 0, None), "saving: 0; 2 dead");
        assert_eq!(after(0, 3, Some(3)), "saving: 3 of 3, 3.0/s, 0 s left; 2 dead");
        assert_eq!(after(10, 50, Some(40)), "saving: 50 of 40, 5.0/s, 0 s left; 2 dead");
    }
}
