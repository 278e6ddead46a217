//! A private RabbitMQ node.
//!
//! It has its own node name space (an epmd of its own), cookie, folders and ports, so that it meets neither a running
//! node nor another test's. Where a test only needs a broker it takes [`shared_url`] and names of its own for what it
//! declares; a test that kills, restarts or wipes starts its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tokio::sync::OnceCell;

use crate::find::Product;
use crate::home::Home;
use crate::ports::Port;
use crate::process::{ServerProcess, SharedHome, lock, port_is_silent};
use crate::signal::poll;

const START_DEADLINE: Duration = Duration::from_secs(120);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// A private node, gone with its data when dropped. User and password are `guest`, the virtual host is `/`.
pub struct RabbitMq {
    // The order matters at the end: the node first, then the name server it is registered with.
    node: Option<ServerProcess>,
    _names: ServerProcess,
    server: PathBuf,
    plugins: Vec<String>,
    amqp: Port,
    distribution: Port,
    management: Port,
    name_server: Port,
    home: SharedHome,
}

impl RabbitMq {
    /// Starts a node without plugins and waits until it accepts clients: about 3.5 seconds, 130 MB.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with plugins, for example `rabbitmq_management` (then [`management_url`](Self::management_url) is
    /// there; 1.5 seconds and 30 MB more) or `rabbitmq_shovel`.
    pub async fn start_with(plugins: &[&str]) -> Result<Self> {
        let [server, epmd] =
            <[PathBuf; 2]>::try_from(Product::RabbitMq.find()?).ok().context("two programs were looked for")?;
        let home = Home::create("rabbitmq", None)?;
        let cookie = home.path().join(".erlang.cookie");
        let secret = home.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        std::fs::write(&cookie, secret).context("cannot write the cookie")?;
        std::fs::set_permissions(&cookie, std::os::unix::fs::PermissionsExt::from_mode(0o400))
            .context("cannot protect the cookie")?;
        let name_server = Port::reserve()?;
        let mut command = home.command(&epmd);
        command.args(["-port", &name_server.number().to_string()]).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        let log = home.path().join("epmd.log");
        let home = Arc::new(Mutex::new(home));
        let mut names = ServerProcess::spawn("epmd", command, &log, &home)?;
        names.listens(name_server.number(), START_DEADLINE).await?;
        let mut broker = Self {
            node: None,
            _names: names,
            server,
            plugins: plugins.iter().map(|&plugin| plugin.to_owned()).collect(),
            amqp: Port::reserve()?,
            distribution: Port::reserve()?,
            management: Port::reserve()?,
            name_server,
            home,
        };
        broker.configure()?;
        broker.launch().await?;
        Ok(broker)
    }

    /// The AMQP address.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp.number())
    }

    /// The AMQP port on 127.0.0.1, for a proxy in front.
    pub fn port(&self) -> u16 {
        self.amqp.number()
    }

    /// The root of the management API (`http://127.0.0.1:<port>`, user and password `guest`), if that plugin runs.
    pub fn management_url(&self) -> Option<String> {
        self.has_management().then(|| format!("http://127.0.0.1:{}", self.management.number()))
    }

    /// SIGKILL to the whole node, as in a crash.
    pub async fn kill(&mut self) {
        self.node = None;
        for port in [self.amqp.number(), self.distribution.number()] {
            let _ = port_is_silent(port, STOP_DEADLINE).await;
        }
    }

    /// Ends the node in order: 1 second, up to 6 with plugins.
    pub async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.end(Signal::SIGTERM, STOP_DEADLINE).await;
        }
    }

    /// Starts again on the same data and ports; ends the node first if it runs. About 4 seconds.
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await;
        self.launch().await
    }

    /// Stops the node, deletes everything it had (queues, messages, definitions), and starts it empty on the same ports.
    pub async fn wipe(&mut self) -> Result<()> {
        self.stop().await;
        let data = lock(&self.home).path().join("mnesia");
        std::fs::remove_dir_all(&data).with_context(|| format!("cannot delete {}", data.display()))?;
        self.launch().await
    }

    fn has_management(&self) -> bool {
        self.plugins.iter().any(|plugin| plugin == "rabbitmq_management")
    }

    fn configure(&self) -> Result<()> {
        let home = lock(&self.home);
        let write = |name: &str, text: String| {
            std::fs::write(home.path().join(name), text)
                .with_context(|| format!("cannot write {name} of a private broker"))
        };
        // A nearly full disk would otherwise block publishers without a word to the test.
        let mut settings = String::from("disk_free_limit.absolute = 1MB\n");
        if self.has_management() {
            settings += &format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {}\n", self.management.number());
        }
        write("rabbitmq.conf", settings)?;
        write("plugins", format!("[{}].\n", self.plugins.join(",")))?;
        home.folder("log").map(|_| ())
    }

    async fn launch(&mut self) -> Result<()> {
        let mut last = None;
        // The ports of a node that has just ended may still be in use: it says so and ends.
        for _ in 0..3 {
            match self.launch_once().await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            poll(Duration::from_millis(500), || async { None::<()> }).await;
        }
        last.map_or(Ok(()), Err)
    }

    async fn launch_once(&mut self) -> Result<()> {
        let (command, log) = {
            let home = lock(&self.home);
            (self.node_command(&home), home.path().join("log").join("out"))
        };
        let mut node = ServerProcess::spawn("RabbitMQ", command, &log, &self.home)?;
        // Listeners for clients open at the end of the boot.
        node.listens(self.amqp.number(), START_DEADLINE).await?;
        if self.has_management() {
            node.listens(self.management.number(), START_DEADLINE).await?;
        }
        self.node = Some(node);
        Ok(())
    }

    fn node_command(&self, home: &Home) -> Command {
        let mut command = home.command(&self.server);
        command.env_clear().env("PATH", search_path(&self.server)).env("HOME", home.path()).env("LANG", "C.UTF-8");
        command.env("ERL_EPMD_PORT", self.name_server.number().to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        command.env("RABBITMQ_CONF_ENV_FILE", "/dev/null").env("RABBITMQ_NODENAME", "test@localhost");
        command.env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1").env("RABBITMQ_NODE_PORT", self.amqp.number().to_string());
        command.env("RABBITMQ_DIST_PORT", self.distribution.number().to_string());
        for (variable, name) in [
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_PID_FILE", "pid"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "advanced"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "config"),
            ("RABBITMQ_SCHEMA_DIR", "schema"),
        ] {
            command.env(variable, home.path().join(name));
        }
        // Two schedulers are plenty for a test and keep many nodes on one machine small.
        command.env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}");
        command
    }
}

/// A broker for tests that only use it: the one named by `TANDEM_TEST_AMQP_URL`, else one private node per test process,
/// started by the first call. Other tests may be on it at the same time.
pub async fn shared_url() -> Result<String> {
    static PRIVATE: OnceCell<RabbitMq> = OnceCell::const_new();
    if let Ok(named) = std::env::var(Product::RabbitMq.url_variable()) {
        return Ok(named);
    }
    Ok(PRIVATE.get_or_try_init(RabbitMq::start).await?.url())
}

/// The folder of the real scripts before all others: they call one another by name.
fn search_path(server: &Path) -> std::ffi::OsString {
    let own = server.parent().map(Path::to_path_buf);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = own.into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(folders).unwrap_or(inherited)
}
