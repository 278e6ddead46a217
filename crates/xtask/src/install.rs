//! Makes sure that the server programs are there: finds them, installs them if this user may, or says what to install.
//!
//! Installing means the system's package manager and nothing else: no downloads of our own, no building.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use tandem_testbed::find::Product;

use crate::shell::{self, say};

/// Every product is there when this returns without an error.
pub fn ensure(products: &[Product]) -> Result<()> {
    let missing = missing(products);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.iter().map(|product| product.name()).collect::<Vec<_>>().join(", ");
    say(&format!("not here: {names}"));
    if let Some(manager) = Manager::usable() {
        for command in manager.install(&missing) {
            say(&shell::describe(&command));
            // What failed is found out below, with a message that helps.
            if let Err(error) = shell::run(command) {
                say(&format!("{error:#}"));
            }
        }
    }
    let explained: Vec<String> =
        missing.iter().filter_map(|product| product.find().err()).map(|error| format!("  {error:#}")).collect();
    if explained.is_empty() {
        return Ok(());
    }
    bail!("no test was run, because servers are missing:\n{}", explained.join("\n"))
}

fn missing(products: &[Product]) -> Vec<Product> {
    products.iter().copied().filter(|product| product.find().is_err()).collect()
}

/// A package manager that may be used without asking anybody.
struct Manager {
    name: &'static str,
    /// `sudo -n` in front.
    sudo: bool,
}

impl Manager {
    fn usable() -> Option<Self> {
        let name = ["apt-get", "dnf", "pacman", "brew"].into_iter().find(|name| on_path(name))?;
        if name == "brew" || is_root() {
            return Some(Self { name, sudo: false });
        }
        let mut ask = Command::new("sudo");
        ask.args(["-n", "true"]);
        shell::works(ask).then_some(Self { name, sudo: true })
    }

    fn install(&self, products: &[Product]) -> Vec<Command> {
        let packages = products.iter().map(|product| product.package(self.name));
        let steps: Vec<Vec<&str>> = match self.name {
            "apt-get" => vec![
                vec!["apt-get", "update", "-q"],
                ["apt-get", "install", "-q", "-y", "--no-install-recommends"].into_iter().chain(packages).collect(),
            ],
            "dnf" => vec![["dnf", "install", "-y"].into_iter().chain(packages).collect()],
            "pacman" => vec![["pacman", "-Sy", "--noconfirm", "--needed"].into_iter().chain(packages).collect()],
            _ => vec![["brew", "install"].into_iter().chain(packages).collect()],
        };
        steps.into_iter().map(|step| self.command(&step)).collect()
    }

    fn command(&self, words: &[&str]) -> Command {
        let prefix: &[&str] = if self.sudo { &["sudo", "-n", "DEBIAN_FRONTEND=noninteractive"] } else { &[] };
        let mut all = prefix.iter().chain(words);
        let mut command = Command::new(all.next().copied().unwrap_or("true"));
        command.args(all).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(name).is_file())
}

fn is_root() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    id.output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager_installs_its_own_package_names_without_asking() {
        let typed = |name, sudo| {
            let commands = Manager { name, sudo }.install(&Product::ALL);
            commands.iter().map(shell::describe).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(
            typed("apt-get", false),
            "apt-get update -q; apt-get install -q -y --no-install-recommends postgresql rabbitmq-server mariadb-server"
        );
        assert_eq!(
            typed("dnf", true),
            "sudo -n DEBIAN_FRONTEND=noninteractive dnf install -y postgresql-server rabbitmq-server mariadb-server"
        );
        assert_eq!(typed("pacman", false), "pacman -Sy --noconfirm --needed postgresql rabbitmq mariadb");
        assert_eq!(typed("brew", false), "brew install postgresql@17 rabbitmq mariadb");
    }
}
