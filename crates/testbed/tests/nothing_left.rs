//! A test process that is killed takes its servers and their folders with it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tandem_testbed::postgres::Postgres;
use tandem_testbed::rabbitmq::RabbitMq;
use tandem_testbed::signal::eventually;
use tokio::net::TcpStream;

const HOLD: &str = "TANDEM_TESTBED_HOLD_SERVERS";

#[tokio::test]
async fn servers_of_a_killed_test_process_end_with_it() {
    // This test program again, with only the test below, in a folder of its own for temporary files.
    let folder = tempfile::Builder::new().prefix("tandem-hold-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_holds_servers_when_asked", "--nocapture"])
        .env(HOLD, "1")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let ports: Vec<u16> = lines
        .filter_map(|line| line.split_once("ports ").map(|(_, ports)| ports.to_owned()))
        .next()
        .expect("the helper started its servers")
        .split(' ')
        .map(|port| port.parse().unwrap())
        .collect();
    for port in &ports {
        TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
    }
    assert!(has_server_folders(folder.path()));

    child.kill().unwrap();
    child.wait().unwrap();

    eventually(Duration::from_secs(30), || async {
        for port in &ports {
            if TcpStream::connect(("127.0.0.1", *port)).await.is_ok() {
                return None;
            }
        }
        (!has_server_folders(folder.path())).then_some(())
    })
    .await;
}

/// Not a test by itself: the program above runs it in a process that will be killed.
#[tokio::test]
async fn helper_that_holds_servers_when_asked() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let database = Postgres::start().await.unwrap();
    let broker = RabbitMq::start().await.unwrap();
    println!("\nports {} {}", database.port(), broker.port());
    std::future::pending::<()>().await;
}

fn has_server_folders(folder: &Path) -> bool {
    let mut names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.any(|name| name.starts_with("tandem-postgres-") || name.starts_with("tandem-rabbitmq-"))
}
