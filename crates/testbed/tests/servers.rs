//! The private servers do what other tests rely on: start, serve, die, come back, forget.

use std::time::Duration;

use tandem_testbed::find::Product;
use tandem_testbed::mariadb::MariaDb;
use tandem_testbed::postgres::Postgres;
use tandem_testbed::rabbitmq::RabbitMq;
use tandem_testbed::signal::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn postgres_keeps_its_databases_over_a_crash_and_a_restart() {
    let mut server = Postgres::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    psql(&url, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)").await.unwrap();
    server.kill().await;
    assert!(psql(&url, "SELECT 1").await.is_err(), "a killed server still answers");
    server.restart().await.unwrap();
    assert_eq!(psql(&url, "SELECT n FROM kept").await.unwrap(), "7");
    server.stop().await;
    assert!(psql(&url, "SELECT 1").await.is_err(), "a stopped server still answers");
    server.restart().await.unwrap();
    assert_eq!(psql(&url, "SELECT n FROM kept").await.unwrap(), "7");
}

#[tokio::test]
async fn fresh_databases_are_empty_and_apart() {
    let one = tandem_testbed::postgres::shared_database().await.unwrap();
    let two = tandem_testbed::postgres::shared_database().await.unwrap();
    assert_ne!(one, two);
    psql(&one, "CREATE TABLE mine (n int)").await.unwrap();
    assert!(psql(&two, "SELECT * FROM mine").await.is_err());
}

#[tokio::test]
async fn two_private_servers_run_side_by_side() {
    let (one, two) = tokio::join!(Postgres::start(), Postgres::start());
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.port(), two.port());
    assert_eq!(psql(&one.url("postgres"), "SELECT 1").await.unwrap(), "1");
    assert_eq!(psql(&two.url("postgres"), "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_folder() {
    let server = Postgres::start().await.unwrap();
    let (port, url) = (server.port(), server.url("postgres"));
    let data = psql(&url, "SHOW data_directory").await.unwrap();
    assert!(std::path::Path::new(&data).exists());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(!std::path::Path::new(&data).exists(), "{data} is still there");
}

#[tokio::test]
async fn a_private_broker_speaks_amqp_and_comes_back_after_a_crash_and_empty_after_a_wipe() {
    let mut broker = RabbitMq::start_with(&["rabbitmq_management"]).await.unwrap();
    assert!(greets(broker.port()).await);
    declare(&broker, "kept").await;

    broker.kill().await;
    assert!(!greets(broker.port()).await, "a killed broker still answers");
    broker.restart().await.unwrap();
    eventually(SOON, || async { queues(&broker).await?.contains("\"kept\"").then_some(()) }).await;

    broker.wipe().await.unwrap();
    assert!(greets(broker.port()).await);
    let left = eventually(SOON, || queues(&broker)).await;
    assert!(!left.contains("\"kept\""), "{left}");

    broker.stop().await;
    assert!(!greets(broker.port()).await, "a stopped broker still answers");
}

#[tokio::test]
async fn the_management_address_is_there_only_with_its_plugin() {
    let broker = RabbitMq::start().await.unwrap();
    assert_eq!(broker.management_url(), None);
    assert!(broker.url().starts_with("amqp://guest:guest@127.0.0.1:"));
    assert!(greets(broker.port()).await);
}

#[tokio::test]
async fn the_shared_broker_is_the_same_for_every_caller() {
    let one = tandem_testbed::rabbitmq::shared_url().await.unwrap();
    assert_eq!(one, tandem_testbed::rabbitmq::shared_url().await.unwrap());
}

#[tokio::test]
async fn mariadb_keeps_its_databases_over_a_crash() {
    let mut server = MariaDb::start().await.unwrap();
    let url = server.fresh_database().await.unwrap();
    let database = url.rsplit('/').next().unwrap().to_owned();
    mariadb(server.port(), &format!("CREATE TABLE {database}.kept (n int); INSERT INTO {database}.kept VALUES (7)"))
        .unwrap();
    server.kill().await;
    assert!(mariadb(server.port(), "SELECT 1").is_err(), "a killed server still answers");
    server.restart().await.unwrap();
    assert_eq!(mariadb(server.port(), &format!("SELECT n FROM {database}.kept")).unwrap(), "7");
    server.stop().await;
    assert!(mariadb(server.port(), "SELECT 1").is_err(), "a stopped server still answers");
}

/// Runs one statement as the client program does; the servers of these tests need no password.
async fn psql(url: &str, statement: &str) -> Result<String, String> {
    let program = Product::PostgreSql.find().unwrap().pop().unwrap();
    output(
        std::process::Command::new(program).args(["-X", "-q", "-A", "-t", "-d", url, "-c", statement]).current_dir("/"),
    )
}

fn mariadb(port: u16, statement: &str) -> Result<String, String> {
    let program = Product::MariaDb.find().unwrap().pop().unwrap();
    let port = port.to_string();
    let place = ["--no-defaults", "-N", "-B", "--protocol=tcp", "-h", "127.0.0.1", "-P", &port, "-u", "app"];
    output(std::process::Command::new(program).args(place).args(["-e", statement]).env("MYSQL_PWD", "app"))
}

fn output(command: &mut std::process::Command) -> Result<String, String> {
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Sends the AMQP greeting; a broker answers with a method frame (type 1) that starts the connection.
async fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return false };
    let mut first = [0];
    stream.write_all(b"AMQP\x00\x00\x09\x01").await.is_ok()
        && stream.read_exact(&mut first).await.is_ok()
        && first == [1]
}

async fn declare(broker: &RabbitMq, queue: &str) {
    let body = r#"{"durable":true,"arguments":{"x-queue-type":"quorum"}}"#;
    let answer = http(broker, &format!("PUT /api/queues/%2F/{queue}"), body).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

async fn queues(broker: &RabbitMq) -> Option<String> {
    let answer = http(broker, "GET /api/queues", "").await?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

/// One request to the management API. `Z3Vlc3Q6Z3Vlc3Q=` is `guest:guest`.
async fn http(broker: &RabbitMq, request: &str, body: &str) -> Option<String> {
    let address = broker.management_url()?.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = format!(
        "{request} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
