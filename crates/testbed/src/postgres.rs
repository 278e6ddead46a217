//! A private PostgreSQL, and empty databases on it.
//!
//! Settings are for speed, not for a power cut: `fsync` is off, which survives a killed server. `synchronous_commit`
//! stays on: without it a kill loses the last commits, and tests that look for lost work would find the testbed's.
//! [`Postgres::start_durable`] is the exception, for measuring what a commit really costs.
//! `wal_level` is `logical`, so that change capture can be tried too. Where a test only needs a database, it asks for
//! [`shared_database`]; a test that kills or restarts the server starts its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

use crate::find::{Product, RunAs};
use crate::home::Home;
use crate::ports::Port;
use crate::process::{ServerProcess, SharedHome, lock, port_is_silent, run};
use crate::signal::poll;
use crate::url::ServerUrl;

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(10);
const USER: &str = "app";

/// A private server, gone with its data when dropped.
pub struct Postgres {
    process: Option<ServerProcess>,
    programs: Programs,
    settings: &'static [&'static str],
    port: Port,
    home: SharedHome,
}

const FOR_TESTS: &[&str] = &["fsync=off", "full_page_writes=off", "shared_buffers=64MB", "wal_level=logical"];
/// Commits reach the disk, as in production; buffers and checkpoints of a small but real server.
const DURABLE: &[&str] = &["fsync=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=8GB"];

struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    psql: PathBuf,
}

impl Postgres {
    /// Creates an empty server and waits until it answers: about half a second.
    pub async fn start() -> Result<Self> {
        Self::start_with(FOR_TESTS).await
    }

    /// The same with commits that survive a power cut, as production has them: for benchmarks.
    pub async fn start_durable() -> Result<Self> {
        Self::start_with(DURABLE).await
    }

    async fn start_with(settings: &'static [&'static str]) -> Result<Self> {
        let [initdb, postgres, psql] =
            <[PathBuf; 3]>::try_from(Product::PostgreSql.find()?).ok().context("three programs were looked for")?;
        let programs = Programs { initdb, postgres, psql };
        let run_as = RunAs::unless_ordinary_user(&["postgres", "nobody"])?;
        let home = Home::create("postgres", run_as)?;
        let mut initdb = home.command(&programs.initdb);
        initdb.arg("-D").arg(home.path().join("data"));
        initdb.args(["-U", USER, "-A", "trust", "--no-sync", "-E", "UTF8", "--no-locale"]);
        run(initdb).await?;
        let mut server =
            Self { process: None, programs, settings, port: Port::reserve()?, home: Arc::new(Mutex::new(home)) };
        server.launch().await?;
        Ok(server)
    }

    /// The address of a database on this server, whether it exists or not. No password is needed.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port.number())
    }

    /// The port on 127.0.0.1, for a proxy in front.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Creates an empty database with a name of its own and returns its address.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = unique_name();
        psql(&self.programs.psql, &ServerUrl::parse(&self.url("postgres"))?, &create(&name)).await?;
        Ok(self.url(&name))
    }

    /// SIGKILL, as in a crash. Connections break; [`restart`](Self::restart) recovers what was committed.
    pub async fn kill(&mut self) {
        self.process = None;
        // The server's own children notice its death by themselves.
        let _ = port_is_silent(self.port.number(), STOP_DEADLINE).await;
    }

    /// Ends the server, breaking connections but nothing else.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::SIGINT, STOP_DEADLINE).await;
        }
    }

    /// Starts again on the same data and port; ends the server first if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.launch().await
    }

    async fn launch(&mut self) -> Result<()> {
        // After a crash, children of the old server may hold its memory for a moment: the first try may be refused.
        let mut last = None;
        for _ in 0..20 {
            match self.launch_once().await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            poll(Duration::from_millis(100), || async { None::<()> }).await;
        }
        last.map_or(Ok(()), Err)
    }

    async fn launch_once(&mut self) -> Result<()> {
        let (command, log) = {
            let home = lock(&self.home);
            let mut command = home.command(&self.programs.postgres);
            command.arg("-D").arg(home.path().join("data")).args(["-p", &self.port.number().to_string()]);
            let always = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=400"];
            for setting in always.iter().chain(self.settings) {
                command.args(["-c", setting]);
            }
            (command, home.path().join("log"))
        };
        let mut process = ServerProcess::spawn("PostgreSQL", command, &log, &self.home)?;
        process.listens(self.port.number(), START_DEADLINE).await?;
        // It listens before it lets anybody in.
        let url = ServerUrl::parse(&self.url("postgres"))?;
        let asked = Mutex::new(&mut process);
        poll(START_DEADLINE, || async {
            if let Err(ended) = lock(&asked).check_running() {
                return Some(Err(ended));
            }
            psql(&self.programs.psql, &url, "SELECT 1").await.ok().map(|_| Ok(()))
        })
        .await
        .with_context(|| format!("PostgreSQL does not answer after {START_DEADLINE:?}"))??;
        self.process = Some(process);
        Ok(())
    }
}

/// An empty database of its own: on the server named by `TANDEM_TEST_POSTGRES_URL` (a user who may create databases),
/// else on one private server per test process, started by the first call.
///
/// On a named server the database stays behind when the test ends, unless `TANDEM_TEST_SWEEP=1` says that the server
/// belongs to this test run alone; then later calls drop the databases of test processes that have ended.
pub async fn shared_database() -> Result<String> {
    static PRIVATE: OnceCell<Postgres> = OnceCell::const_new();
    let Ok(named) = std::env::var(Product::PostgreSql.url_variable()) else {
        return PRIVATE.get_or_try_init(Postgres::start).await?.fresh_database().await;
    };
    let url = ServerUrl::parse(&named).context(Product::PostgreSql.url_variable())?;
    let program = Product::PostgreSql.find()?.pop().context("psql was looked for")?;
    if std::env::var("TANDEM_TEST_SWEEP").as_deref() == Ok("1") {
        sweep(&program, &url).await;
    }
    let name = unique_name();
    psql(&program, &url, &create(&name)).await.context(Product::PostgreSql.url_variable())?;
    Ok(url.with_database(&name))
}

/// Drops a few databases whose test process is gone. Best effort: another process may be at the same work.
async fn sweep(program: &std::path::Path, url: &ServerUrl) {
    let listed = psql(program, url, "SELECT datname FROM pg_database WHERE datname LIKE 'tandem\\_test\\_%'").await;
    let ended =
        |name: &&str| owner(name).is_some_and(|pid| nix::sys::signal::kill(pid, None) == Err(nix::errno::Errno::ESRCH));
    for name in listed.unwrap_or_default().lines().filter(ended).take(4) {
        let _ = psql(program, url, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await;
    }
}

fn owner(database: &str) -> Option<nix::unistd::Pid> {
    database.strip_prefix("tandem_test_")?.split('_').next()?.parse().ok().map(nix::unistd::Pid::from_raw)
}

/// `tandem_test_<process>_<time>_<count>`: never twice, and [`owner`] can tell whose it is.
pub(crate) fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    format!("tandem_test_{}_{time:x}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn create(name: &str) -> String {
    format!("CREATE DATABASE \"{name}\" TEMPLATE template0")
}

async fn psql(program: &std::path::Path, url: &ServerUrl, statement: &str) -> Result<String> {
    let mut command = Command::new(program);
    command.args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--command", statement]).current_dir("/");
    command
        .env("PGHOST", url.host())
        .env("PGUSER", url.user())
        .env("PGPASSWORD", url.password())
        .env("PGCONNECT_TIMEOUT", "10");
    for (variable, value) in [("PGPORT", url.port()), ("PGDATABASE", url.database())] {
        if value.is_empty() {
            command.env_remove(variable)
        } else {
            command.env(variable, value)
        };
    }
    if let Some(mode) = url.option("sslmode") {
        command.env("PGSSLMODE", mode);
    }
    run(command).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_database_is_read_from_its_name() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(owner(&unique_name()), Some(nix::unistd::Pid::from_raw(own)));
        assert_eq!(owner("tandem_production"), None);
    }

    #[tokio::test]
    async fn a_sweep_drops_databases_of_ended_processes_and_no_others() {
        let server = Postgres::start().await.unwrap();
        let url = ServerUrl::parse(&server.url("postgres")).unwrap();
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let left = format!("tandem_test_{}_0_0", ended.id());
        for name in [left.as_str(), "tandem_production"] {
            psql(&server.programs.psql, &url, &create(name)).await.unwrap();
        }
        let own = server.fresh_database().await.unwrap();
        sweep(&server.programs.psql, &url).await;
        let names = psql(&server.programs.psql, &url, "SELECT datname FROM pg_database").await.unwrap();
        assert!(!names.contains(&left), "{names}");
        assert!(names.contains("tandem_production"), "{names}");
        assert!(names.contains(own.rsplit('/').next().unwrap()), "{names}");
    }
}
