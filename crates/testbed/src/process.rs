//! One server process with everything it starts, in a process group of its own.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use crate::home::Home;
use crate::signal::poll;

/// A home that several processes share.
pub type SharedHome = Arc<Mutex<Home>>;

/// A running server. Dropping it kills it and its children.
pub struct ServerProcess {
    name: &'static str,
    child: Child,
    group: Pid,
    log: PathBuf,
    home: SharedHome,
}

impl ServerProcess {
    /// Starts `command` with its output in `log`.
    pub fn spawn(name: &'static str, mut command: Command, log: &Path, home: &SharedHome) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let err = out.try_clone().context("cannot share a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
        let group = Pid::from_raw(i32::try_from(child.id()).context("process id out of range")?);
        let server = Self { name, child, group, log: log.to_owned(), home: Arc::clone(home) };
        lock(&server.home).watch(group.as_raw())?;
        Ok(server)
    }

    /// Whether the process is still there. A process that ended by itself is an error with the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))? {
            None => Ok(()),
            Some(status) => {
                Err(anyhow!("{} ended by itself ({status}); the end of its log:\n{}", self.name, self.log_tail()))
            }
        }
    }

    /// Waits until something accepts connections on `port`; an error when the process ends before, or after `deadline`.
    pub async fn listens(&mut self, port: u16, deadline: Duration) -> Result<()> {
        let this = Mutex::new(&mut *self);
        let outcome = poll(deadline, || async {
            if let Err(ended) = lock(&this).check_running() {
                return Some(Err(ended));
            }
            TcpStream::connect(("127.0.0.1", port)).await.ok().map(|_| Ok(()))
        })
        .await;
        match outcome {
            Some(result) => result,
            None => bail!(
                "{} does not listen on port {port} after {deadline:?}; the end of its log:\n{}",
                self.name,
                self.log_tail()
            ),
        }
    }

    /// Asks the server to end and waits for it; kills it when it has not ended after `deadline`.
    pub async fn end(mut self, request: Signal, deadline: Duration) {
        // A process that is gone already needs no request.
        let _ = kill(self.group, request);
        let child = Mutex::new(&mut self.child);
        poll(deadline, || async { lock(&child).try_wait().ok().flatten() }).await;
        drop(self);
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Before the wait: until then the number cannot belong to another process.
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = self.child.wait();
        lock(&self.home).forget(self.group.as_raw());
    }
}

/// Waits until nothing listens on `port` any more.
pub async fn port_is_silent(port: u16, deadline: Duration) -> Result<()> {
    poll(deadline, || async { TcpStream::connect(("127.0.0.1", port)).await.err() })
        .await
        .map(|_| ())
        .with_context(|| format!("port {port} is still in use after {deadline:?}"))
}

/// Runs a helper program to its end, without standing input, and returns what it printed.
pub async fn run(command: Command) -> Result<String> {
    let mut command = command;
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null());
    let output: Output = tokio::task::spawn_blocking(move || command.output())
        .await
        .context("a helper program was abandoned")?
        .with_context(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    bail!("{program} failed ({}): {}", output.status, last_lines(&text, 15))
}

/// Locks without caring for a panic elsewhere: the values behind these locks have no state that could be half done.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tail(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), 15),
        Err(error) => format!("({}: {error})", path.display()),
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
