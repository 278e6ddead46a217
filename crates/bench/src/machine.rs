//! What the figures were measured on, and what a process uses.

use serde::Serialize;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Serialize)]
pub struct Machine {
    processor: String,
    cores: usize,
    memory_gb: f64,
    system: String,
    measured_at: chrono::DateTime<chrono::Utc>,
    /// How busy the machine was at the start: processes that wanted to run, averaged over a minute.
    load: String,
    profile: &'static str,
}

impl Machine {
    pub fn this() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
        };
        let kilobytes = after(&read("/proc/meminfo"), "MemTotal").split(' ').next().and_then(|n| n.parse::<f64>().ok());
        Self {
            processor: after(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gb: (kilobytes.unwrap_or_default() / 1_048_576.0 * 10.0).round() / 10.0,
            system: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            measured_at: chrono::Utc::now(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            profile: if cfg!(debug_assertions) { "dev (figures mean nothing)" } else { "release" },
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gb, system, measured_at, load, profile } = self;
        let at = measured_at.format("%Y-%m-%d %H:%M UTC");
        write!(f, "{processor}, {cores} cores, {memory_gb} GB, {system}; {profile} build, {at}, load {load}")
    }
}

/// Resident memory of a process in MB; `None` once it is gone.
pub fn resident_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().split(' ').next()?.parse::<f64>().ok()? / 1_024.0)
}

/// Processor time that a process has used so far.
pub fn busy(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: user and system time are the 12th and 13th field, in hundredths.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Processor time that all running processes of a name have used so far. Those of other people's servers count too.
pub fn busy_named(name: &str) -> Duration {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let named = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
    pids.filter(named).filter_map(busy).sum()
}

/// Waits until a process has nothing more to do: it used less than a tenth of a core for half a second.
pub async fn calm(pid: u32) {
    let give_up = Instant::now() + Duration::from_secs(30);
    let mut before = busy(pid);
    while Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = busy(pid);
        match (before, now) {
            (Some(then), Some(now)) if now - then > Duration::from_millis(50) => before = Some(now),
            _ => return,
        }
    }
}
