//! A private MariaDB, and empty databases on it.
//!
//! It stands for the MySQL databases of source systems. It writes a row binary log, so that change capture can be
//! tried. MariaDB is not MySQL 8: there is no `UPDATE .. RETURNING` and no binary JSON.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use tokio::sync::OnceCell;

use crate::find::Product;
use crate::home::Home;
use crate::ports::Port;
use crate::postgres::unique_name;
use crate::process::{ServerProcess, SharedHome, lock, port_is_silent, run};
use crate::signal::poll;
use crate::url::ServerUrl;

const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// A private server, gone with its data when dropped.
pub struct MariaDb {
    process: Option<ServerProcess>,
    programs: Programs,
    port: Port,
    home: SharedHome,
}

struct Programs {
    install: PathBuf,
    server: PathBuf,
    client: PathBuf,
}

impl MariaDb {
    /// Creates an empty server with a user `app` (password `app`) who may do everything, and waits until it answers:
    /// about a second.
    pub async fn start() -> Result<Self> {
        let [install, server, client] =
            <[PathBuf; 3]>::try_from(Product::MariaDb.find()?).ok().context("three programs were looked for")?;
        let programs = Programs { install, server, client };
        let home = Home::create("mariadb", None)?;
        let mut install = home.command(&programs.install);
        install.arg("--no-defaults").args(as_root()).arg(format!("--datadir={}", home.path().join("data").display()));
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]);
        run(install).await?;
        let mut database = Self { process: None, programs, port: Port::reserve()?, home: Arc::new(Mutex::new(home)) };
        database.launch().await?;
        let user = "CREATE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION";
        query(&database.programs.client, &database.root()?, user).await?;
        Ok(database)
    }

    /// The address of a database on this server, whether it exists or not.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://app:app@127.0.0.1:{}/{database}", self.port.number())
    }

    /// The port on 127.0.0.1, for a proxy in front.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Creates an empty database with a name of its own and returns its address.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = unique_name();
        query(&self.programs.client, &self.root()?, &create(&name)).await?;
        Ok(self.url(&name))
    }

    /// SIGKILL, as in a crash.
    pub async fn kill(&mut self) {
        self.process = None;
        let _ = port_is_silent(self.port.number(), STOP_DEADLINE).await;
    }

    /// Ends the server in order.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::SIGTERM, STOP_DEADLINE).await;
        }
    }

    /// Starts again on the same data and port; ends the server first if it runs.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.launch().await
    }

    fn root(&self) -> Result<ServerUrl> {
        ServerUrl::parse(&format!("mysql://root@127.0.0.1:{}", self.port.number()))
    }

    async fn launch(&mut self) -> Result<()> {
        let (command, log) = {
            let home = lock(&self.home);
            let inside = |name: &str| home.path().join(name).display().to_string();
            let mut command = home.command(&self.programs.server);
            command.arg("--no-defaults").args(as_root());
            command.arg(format!("--datadir={}", inside("data"))).arg(format!("--socket={}", inside("socket")));
            command.arg(format!("--pid-file={}", inside("pid"))).arg(format!("--tmpdir={}", inside("")));
            command.arg(format!("--log-bin={}", inside("data/binlog"))).arg(format!("--port={}", self.port.number()));
            command.args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--binlog-format=ROW", "--server-id=1"]);
            command.args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_unicode_ci"]);
            command.args(["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"]);
            // 2: a commit reaches the operating system, so that a killed server loses none; 0 would lose a second.
            (command, home.path().join("log"))
        };
        let mut process = ServerProcess::spawn("MariaDB", command, &log, &self.home)?;
        process.listens(self.port.number(), START_DEADLINE).await?;
        let root = self.root()?;
        let asked = Mutex::new(&mut process);
        poll(START_DEADLINE, || async {
            if let Err(ended) = lock(&asked).check_running() {
                return Some(Err(ended));
            }
            query(&self.programs.client, &root, "SELECT 1").await.ok().map(|_| Ok(()))
        })
        .await
        .with_context(|| format!("MariaDB does not answer after {START_DEADLINE:?}"))??;
        self.process = Some(process);
        Ok(())
    }
}

/// An empty database of its own: on the server named by `TANDEM_TEST_MARIADB_URL` (a user who may create databases),
/// else on one private server per test process, started by the first call. On a named server the database stays.
pub async fn shared_database() -> Result<String> {
    static PRIVATE: OnceCell<MariaDb> = OnceCell::const_new();
    let variable = Product::MariaDb.url_variable();
    let Ok(named) = std::env::var(variable) else {
        return PRIVATE.get_or_try_init(MariaDb::start).await?.fresh_database().await;
    };
    let url = ServerUrl::parse(&named).context(variable)?;
    let client = Product::MariaDb.find()?.pop().context("the client was looked for")?;
    let name = unique_name();
    query(&client, &url, &create(&name)).await.context(variable)?;
    Ok(url.with_database(&name))
}

/// The programs refuse to run as root unless told to.
fn as_root() -> Option<&'static str> {
    Uid::effective().is_root().then_some("--user=root")
}

fn create(name: &str) -> String {
    format!("CREATE DATABASE `{name}`")
}

async fn query(client: &std::path::Path, url: &ServerUrl, statement: &str) -> Result<String> {
    let mut command = Command::new(client);
    command.args(["--no-defaults", "--batch", "--skip-column-names", "--protocol=tcp", "-h", url.host()]);
    if !url.port().is_empty() {
        command.args(["-P", url.port()]);
    }
    // By the environment: an argument can be read by every user of the machine.
    command.args(["-u", &url.user(), "-e", statement]).env("MYSQL_PWD", url.password());
    run(command).await
}
