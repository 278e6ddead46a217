//! One process of ours whose end the test watches. What it says goes into files in its site's folder.

use crate::common::Site;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tandem_testbed::signal::{eventually, within};

/// Starting takes tenths of a second; a busy machine may need much longer.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Service {
    name: String,
    child: Child,
    said: PathBuf,
    log: PathBuf,
}

impl Service {
    /// Starts a command of the program with more settings.
    pub fn spawn(site: &Site, args: &[&str], more: &[(&str, &str)]) -> Self {
        Self::spawn_by(site.command(args), site, args[0], more)
    }

    /// As [`spawn`](Self::spawn); no file of the process grows beyond so many KiB until there is
    /// [`room`](Self::make_room). The shell has it told of a full disk by the write and not by a signal.
    #[cfg(target_os = "linux")]
    pub fn spawn_cramped(site: &Site, args: &[&str], kib: u32) -> Self {
        let inner = site.command(args);
        let mut command = Command::new("bash");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\"")]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(inner.get_current_dir().unwrap_or(site.folder.path()));
        Self::spawn_by(command, site, args[0], &[])
    }

    #[cfg(target_os = "linux")]
    pub fn make_room(&self) {
        let pid = self.child.id().to_string();
        let done = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status();
        assert!(done.expect("prlimit, of util-linux, is there").success());
    }

    fn spawn_by(mut command: Command, site: &Site, name: &str, more: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (said, log) = (site.path(&format!("{name}.out")), site.path(&format!("{name}.err")));
        command.envs(more.iter().copied()).stdin(Stdio::null());
        command.stdout(File::create(&said).unwrap()).stderr(File::create(&log).unwrap());
        Self { name, child: command.spawn().unwrap(), said, log }
    }

    /// `http://host:port`, once it listens; `None` when it ended before.
    pub async fn address(&mut self) -> Option<String> {
        let (said, child) = (self.said.clone(), &mut self.child);
        let found = eventually(PATIENCE, || {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            let address = text.split_once('\n').and_then(|(line, _)| line.strip_prefix("listening on "));
            let ended = child.try_wait().unwrap().is_some();
            let found = match address {
                Some(address) => Some(Some(format!("http://{address}"))),
                None => ended.then_some(None),
            };
            async { found }
        });
        found.await
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub async fn end(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually(PATIENCE, || {
            let ended = child.try_wait().unwrap();
            async move { ended }
        })
        .await
    }

    /// SIGKILL, and gone.
    pub async fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.end().await;
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        within(PATIENCE, self.end()).await
    }

    /// SIGTERM; it has to end in order.
    pub async fn stop_well(mut self) {
        let status = self.stop().await;
        assert!(status.success(), "{} ended with {status}\n{}", self.name, self.log());
    }

    pub fn signal(&mut self, signal: Signal) {
        // One that has ended was waited for perhaps, and its number may be somebody else's.
        if self.ended().is_none() {
            kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing to do about one that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It died where a test told it to.
pub fn aborted(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::SIGABRT as i32)
}
