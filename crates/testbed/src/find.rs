//! Where the server programs are, and what to install when they are not there.
//!
//! Looked for, in this order: the folder named by the product's environment variable, the folders in `PATH`, and the
//! folders where packages put programs that are not in `PATH`. This module installs nothing; `cargo xtask test` does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User};

/// A server that tests can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    PostgreSql,
    RabbitMq,
    MariaDb,
}

/// The programs of a product, one path for each name in [`Product::programs`].
pub type Programs = Vec<PathBuf>;

impl Product {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PostgreSql, Self::RabbitMq, Self::MariaDb];

    /// The product's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostgreSql => "PostgreSQL",
            Self::RabbitMq => "RabbitMQ",
            Self::MariaDb => "MariaDB",
        }
    }

    /// The variable that names a running server to be used by shared tests.
    pub fn url_variable(self) -> &'static str {
        match self {
            Self::PostgreSql => "TANDEM_TEST_POSTGRES_URL",
            Self::RabbitMq => "TANDEM_TEST_AMQP_URL",
            Self::MariaDb => "TANDEM_TEST_MARIADB_URL",
        }
    }

    /// The variable that names the folder of the programs.
    pub fn folder_variable(self) -> &'static str {
        match self {
            Self::PostgreSql => "TANDEM_TEST_POSTGRES_BIN",
            Self::RabbitMq => "TANDEM_TEST_RABBITMQ_BIN",
            Self::MariaDb => "TANDEM_TEST_MARIADB_BIN",
        }
    }

    /// What must be there to start a private instance.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::PostgreSql => &["initdb", "postgres", "psql"],
            Self::RabbitMq => &["rabbitmq-server", "epmd"],
            Self::MariaDb => &["mariadb-install-db", "mariadbd", "mariadb"],
        }
    }

    /// The package that brings the programs, by package manager.
    pub fn package(self, manager: &str) -> &'static str {
        match (self, manager) {
            (Self::PostgreSql, "apt-get") => "postgresql",
            (Self::PostgreSql, "dnf") => "postgresql-server",
            (Self::PostgreSql, "brew") => "postgresql@17",
            (Self::PostgreSql, _) => "postgresql",
            (Self::RabbitMq, "apt-get" | "dnf") => "rabbitmq-server",
            (Self::RabbitMq, _) => "rabbitmq",
            (Self::MariaDb, "apt-get" | "dnf") => "mariadb-server",
            (Self::MariaDb, _) => "mariadb",
        }
    }

    /// Finds every program of the product. The error says which one is missing and what to install.
    pub fn find(self) -> Result<Programs> {
        self.programs().iter().map(|name| self.find_program(name)).collect()
    }

    fn find_program(self, name: &str) -> Result<PathBuf> {
        let named = std::env::var_os(self.folder_variable());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.folders(named.as_deref(), &path);
        folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file)).with_context(|| self.missing(name))
    }

    /// Every folder to look into, the best first.
    fn folders(self, named: Option<&OsStr>, path: &OsStr) -> Vec<PathBuf> {
        if let Some(named) = named {
            // epmd comes with Erlang, seldom in the folder of the broker.
            return std::iter::once(PathBuf::from(named)).chain(std::env::split_paths(path)).collect();
        }
        let by_path = std::env::split_paths(path).collect::<Vec<_>>();
        match self {
            Self::PostgreSql => {
                let packaged = [versions("/usr/lib/postgresql", "bin"), versions("/usr", "bin")].concat();
                let brewed = versions("/opt/homebrew/opt", "bin").into_iter().chain(versions("/usr/local/opt", "bin"));
                by_path
                    .into_iter()
                    .chain(packaged)
                    .chain(brewed.filter(|folder| mentions(folder, "postgresql")))
                    .collect()
            }
            Self::RabbitMq => {
                // The program of this name in /usr/sbin only serves root and the user rabbitmq; the real ones come first.
                let real = ["/usr/lib/rabbitmq/bin", "/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin"];
                let erlang = [versions("/usr/lib/erlang", "bin"), versions("/usr/lib64/erlang", "bin")].concat();
                let not_wrapped = by_path.into_iter().filter(|folder| !is_wrapper(&folder.join("rabbitmq-server")));
                real.iter()
                    .map(PathBuf::from)
                    .chain(not_wrapped)
                    .chain(std::env::split_paths(path))
                    .chain(erlang)
                    .collect()
            }
            Self::MariaDb => {
                let packaged = [
                    "/usr/sbin",
                    "/usr/bin",
                    "/usr/libexec",
                    "/usr/local/sbin",
                    "/opt/homebrew/opt/mariadb/bin",
                    "/usr/local/opt/mariadb/bin",
                ];
                by_path.into_iter().chain(packaged.iter().map(PathBuf::from)).collect()
            }
        }
    }

    /// One clear message for a missing program.
    pub fn missing(self, program: &str) -> String {
        format!(
            "the program \"{program}\" of {} is not here; tests start a private instance with it. \
             Install it (Debian, Ubuntu: apt-get install {}; Fedora: dnf install {}; Arch: pacman -S {}; macOS: brew install {}), \
             or name its folder by {}. Tests that only use a server also take the one named by {}",
            self.name(),
            self.package("apt-get"),
            self.package("dnf"),
            self.package("pacman"),
            self.package("brew"),
            self.folder_variable(),
            self.url_variable(),
        )
    }
}

/// Another user, for servers that refuse to run as root.
#[derive(Debug, Clone, Copy)]
pub struct RunAs {
    pub uid: u32,
    pub gid: u32,
}

impl RunAs {
    /// The first existing user of `names` when this process is root; nobody else otherwise.
    pub fn unless_ordinary_user(names: &[&str]) -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        for name in names {
            if let Some(user) = User::from_name(name).with_context(|| format!("cannot look up the user {name}"))? {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        bail!("this server refuses to run as root, and none of these users exists: {}", names.join(", "))
    }
}

/// `root/<name>/leaf` for every `<name>`, the highest version first.
fn versions(root: &str, leaf: &str) -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = std::fs::read_dir(root)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| (numbers(&entry.file_name().to_string_lossy()), entry.path().join(leaf)))
        .filter(|(_, path)| path.is_dir())
        .collect();
    found.sort_by(|left, right| right.cmp(left));
    found.into_iter().map(|(_, path)| path).collect()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

fn mentions(folder: &Path, word: &str) -> bool {
    folder.to_string_lossy().contains(word)
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The packaged wrapper insists on the user rabbitmq and on the system's own folders.
fn is_wrapper(file: &Path) -> bool {
    std::fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("root or rabbitmq should run"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_message_names_packages_for_every_system_and_the_variables() {
        for product in Product::ALL {
            let text = product.missing("x");
            for part in [
                "apt-get install",
                "dnf install",
                "pacman -S",
                "brew install",
                product.folder_variable(),
                product.url_variable(),
            ] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
    }

    #[test]
    fn the_highest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "17"] {
            std::fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        let found = versions(root.path().to_str().unwrap(), "bin");
        let names: Vec<_> =
            found.iter().map(|path| path.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["17/bin", "15/bin", "9.6/bin"]);
    }

    #[test]
    fn a_named_folder_comes_before_the_path() {
        let folders = Product::RabbitMq.folders(Some(OsStr::new("/named")), OsStr::new("/one:/two"));
        assert_eq!(folders, ["/named", "/one", "/two"].map(PathBuf::from));
    }

    #[test]
    fn a_file_that_cannot_be_run_is_not_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("initdb");
        std::fs::write(&file, "").unwrap();
        assert!(!is_program(&file));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_program(&file));
    }
}
