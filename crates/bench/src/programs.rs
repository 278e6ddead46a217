//! Other programs of the workspace as processes of their own: their memory and their processor time are theirs alone.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a program may take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program; killed when dropped.
pub struct Program {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// The program of that name beside this one: they are built together.
pub fn beside_this(name: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("where this program is")?;
    let path = this.with_file_name(name);
    if !path.is_file() {
        bail!("{} is missing; run `cargo xtask bench`, which builds it", path.display());
    }
    Ok(path)
}

impl Program {
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("can't start {name}"))?;
        let out = child.stdout.take().context("a piped output")?;
        Ok(Self { name, child, lines: BufReader::new(out).lines() })
    }

    /// A program of this workspace.
    pub fn ours(name: &'static str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Self> {
        Self::start(name, Command::new(beside_this(name)?).args(args))
    }

    /// This program once more.
    pub fn this(name: &'static str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Self> {
        Self::start(name, Command::new(std::env::current_exe()?).args(args))
    }

    /// The address in the first printed line that begins with `words`.
    pub async fn address_after(&mut self, words: &str) -> Result<SocketAddr> {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(rest) = line.strip_prefix(words) {
                    let text = rest.trim().trim_start_matches("http://");
                    return text.parse().with_context(|| format!("{text:?} is no address"));
                }
            }
            bail!("it ended")
        });
        let at: SocketAddr = found.await.with_context(|| format!("{} says nothing", self.name))??;
        // It may listen everywhere; it is called here.
        Ok(SocketAddr::new(if at.ip().is_unspecified() { [127, 0, 0, 1].into() } else { at.ip() }, at.port()))
    }

    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Waits for its end; an error unless it ended well.
    pub async fn ended(&mut self) -> Result<()> {
        // Whatever it still prints must not block it.
        while self.lines.next_line().await?.is_some() {}
        let status = self.child.wait().await?;
        if status.success() { Ok(()) } else { bail!("{} failed ({status})", self.name) }
    }

    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}
