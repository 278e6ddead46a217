//! The folder of one private server, and the watchdog that removes both when the test process is gone.
//!
//! The watchdog is a small shell process in a process group of its own. It reads from a pipe whose only other end is
//! held by the test process. When that end closes, for whatever reason (a normal end, a panic, SIGKILL), it kills the
//! registered process groups and removes the folder. It needs nothing but a POSIX shell.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

use crate::find::RunAs;

const WATCHDOG: &str = r#"
trap '' HUP INT TERM
groups=
while read -r verb group; do
  case $verb in
    watch) groups="$groups $group" ;;
    forget) kept=; for g in $groups; do [ "$g" = "$group" ] || kept="$kept $g"; done; groups=$kept ;;
  esac
done
for g in $groups; do kill -KILL "-$g" 2>/dev/null; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf -- "$1" 2>/dev/null && break
  sleep 0.2
done
"#;

/// A folder of its own, removed with everything in it when this value is dropped or the process ends.
pub struct Home {
    path: PathBuf,
    run_as: Option<RunAs>,
    watchdog: Child,
    orders: Option<ChildStdin>,
}

impl Home {
    /// Creates the folder under the system's folder for temporary files; it belongs to `run_as` if given.
    pub fn create(name: &str, run_as: Option<RunAs>) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix(&format!("tandem-{name}-"))
            .tempdir_in(parent(run_as.is_some()))
            .context("cannot create a folder for temporary files")?
            .keep();
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "tandem-testbed-watchdog"])
            .arg(&path)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start /bin/sh as the watchdog of a private server")?;
        let orders = watchdog.stdin.take();
        let home = Self { path, run_as, watchdog, orders };
        home.own(&home.path)?;
        Ok(home)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a folder inside, for the same owner.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        self.own(&path)?;
        Ok(path)
    }

    /// A command that runs inside the folder as its owner.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path);
        if let Some(run_as) = self.run_as {
            command.uid(run_as.uid).gid(run_as.gid);
        }
        command
    }

    /// From now on the watchdog kills this process group when the test process is gone.
    pub fn watch(&mut self, group: i32) -> Result<()> {
        self.order(&format!("watch {group}")).context("the watchdog of a private server is gone")
    }

    /// The group has ended; its number may be given to somebody else.
    pub fn forget(&mut self, group: i32) {
        // A watchdog that is gone has nothing to forget.
        let _ = self.order(&format!("forget {group}"));
    }

    fn order(&mut self, line: &str) -> std::io::Result<()> {
        match &mut self.orders {
            Some(orders) => orders.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }

    fn own(&self, path: &Path) -> Result<()> {
        if let Some(run_as) = self.run_as {
            std::os::unix::fs::chown(path, Some(run_as.uid), Some(run_as.gid))
                .with_context(|| format!("cannot give {} to user {}", path.display(), run_as.uid))?;
        }
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot set the permissions of {}", path.display()))
    }
}

/// The system's folder for temporary files; `/tmp` if another user could not get into that one.
fn parent(for_another_user: bool) -> PathBuf {
    let usual = std::env::temp_dir();
    let enters = |folder: &Path| folder.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    if for_another_user && !usual.ancestors().all(enters) { PathBuf::from("/tmp") } else { usual }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Its end means that the folder is gone.
        let _ = self.watchdog.wait();
    }
}
