//! The client against real sockets: what is repeated, what is not, and what a broken connection means.

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tandem_core::FaultClass;
use tandem_outbound::{Call, HttpClient, HttpSettings, Safety, Url, codes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::{any, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn settings(address: &str) -> HttpSettings {
    HttpSettings::new(codes!("test"), Url::parse(address).unwrap())
}

fn client(address: &str) -> HttpClient {
    HttpClient::new(settings(address)).unwrap()
}

fn write(path: &str) -> Call {
    Call::post_json(path, &json!({"who": "CANARY"}), Safety::Write)
}

/// A server that treats every connection alike; returns its address and how many connections it has seen.
async fn server<F, Fut>(serve: F) -> (String, Arc<AtomicUsize>)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(socket));
        }
    });
    (address, seen)
}

async fn read_some(socket: &mut TcpStream) {
    let mut buffer = [0; 4096];
    let _ = socket.read(&mut buffer).await;
}

/// Takes the request and hangs up.
async fn hang_up(mut socket: TcpStream) {
    read_some(&mut socket).await;
}

/// Takes the request and says nothing until the caller has gone.
async fn say_nothing(mut socket: TcpStream) {
    loop {
        let mut buffer = [0; 4096];
        if !matches!(socket.read(&mut buffer).await, Ok(n) if n > 0) {
            return;
        }
    }
}

#[tokio::test]
async fn a_read_is_repeated_while_the_server_is_busy() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(503).insert_header("retry-after", "0"))
        .up_to_n_times(2)
        .expect(2)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(path("/x"))
        .respond_with(ResponseTemplate::new(200).set_body_string("done"))
        .expect(1)
        .mount(&server)
        .await;
    let answer = client(&server.uri()).send(&Call::get("/x")).await.unwrap();
    assert_eq!(answer.body, "done");
}

#[tokio::test]
async fn a_write_and_a_login_are_never_repeated() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(503)).expect(2).mount(&server).await;
    let client = client(&server.uri());
    for safety in [Safety::Write, Safety::Once] {
        let answer = client.send(&Call::post_json("/x", &json!({}), safety)).await.unwrap();
        assert_eq!(answer.status(), 503);
    }
}

#[tokio::test]
async fn a_long_wish_to_wait_is_handed_up_at_once() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "600"))
        .expect(1)
        .mount(&server)
        .await;
    let answer = client(&server.uri()).send(&Call::get("/x")).await.unwrap();
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.head.retry_after, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent_and_the_destination_is_at_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for call in [Call::get("/x"), write("/x")] {
        let fault = client(&address).send(&call).await.unwrap_err();
        assert_eq!((fault.class, fault.code), (FaultClass::Systemic, "test.unreachable"));
    }
}

#[tokio::test]
async fn a_connection_cut_after_sending_is_in_doubt_for_a_write_and_repeated_for_a_read() {
    let (address, seen) = server(hang_up).await;
    let fault = client(&address).send(&write("/x")).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (FaultClass::InDoubt, "test.answer_lost"));
    assert_eq!(seen.load(Ordering::SeqCst), 1);

    let fault = client(&address).send(&Call::get("/x")).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (FaultClass::Transient, "test.connection_lost"));
    assert_eq!(seen.load(Ordering::SeqCst), 1 + 3);
}

#[tokio::test]
async fn reads_share_a_connection_and_every_write_opens_its_own() {
    let (address, seen) = server(|mut socket: TcpStream| async move {
        let mut buffer = [0; 4096];
        while matches!(socket.read(&mut buffer).await, Ok(n) if n > 0) {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let client = client(&address);
    for (call, connections) in [(Call::get("/x"), 1), (Call::get("/x"), 1), (write("/x"), 2), (write("/x"), 3)] {
        client.send(&call).await.unwrap();
        assert_eq!(seen.load(Ordering::SeqCst), connections);
    }
}

#[tokio::test]
async fn silence_is_in_doubt_for_a_write_and_transient_for_a_read() {
    let (address, seen) = server(say_nothing).await;
    let client = HttpClient::new(HttpSettings { timeout: Duration::from_millis(50), ..settings(&address) }).unwrap();
    let fault = client.send(&write("/x")).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::InDoubt);
    let fault = client.send(&Call::get("/x")).await.unwrap_err();
    assert_eq!((fault.class, fault.code), (FaultClass::Transient, "test.timeout"));
    assert_eq!(seen.load(Ordering::SeqCst), 2, "a read that timed out is left to the queue");
}

#[tokio::test]
async fn a_stalled_stream_ends_with_a_fault() {
    let (address, _) = server(|mut socket: TcpStream| async move {
        read_some(&mut socket).await;
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1").await;
        say_nothing(socket).await;
    })
    .await;
    let client = HttpClient::new(HttpSettings { timeout: Duration::from_millis(50), ..settings(&address) }).unwrap();
    let mut stream = client.open(&Call::get("/x")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "[1");
    assert_eq!(stream.next().await.unwrap_err().code, "test.timeout");
}

#[tokio::test]
async fn an_answer_over_the_cap_is_not_read() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_string("x".repeat(101))).mount(&server).await;
    let client = HttpClient::new(HttpSettings { max_body: 100, ..settings(&server.uri()) }).unwrap();
    assert_eq!(client.send(&Call::get("/x")).await.unwrap_err().code, "test.answer_too_large");
    assert_eq!(client.send(&write("/x")).await.unwrap_err().class, FaultClass::InDoubt);
    assert_eq!(client.send(&Call::get("/x").max_body(101)).await.unwrap().body.len(), 101);
}

#[tokio::test]
async fn a_redirect_is_handed_up_and_not_followed() {
    let server = MockServer::start().await;
    Mock::given(path("/x"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "/y"))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(path("/y")).respond_with(ResponseTemplate::new(200)).expect(0).mount(&server).await;
    let answer = client(&server.uri()).send(&Call::get("/x")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.head.location()), (302, Some("/y")));
}

#[tokio::test]
async fn the_servers_clock_is_learned_from_its_answers() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).insert_header("date", "Sun, 01 Feb 2026 06:10:00 GMT"))
        .mount(&server)
        .await;
    let client = client(&server.uri());
    assert_eq!(client.server_time(), None);
    client.send(&Call::get("/x")).await.unwrap();
    let time = client.server_time().unwrap();
    assert!(
        (0..60)
            .contains(&(time - "2026-02-01T06:10:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap()).num_seconds())
    );
}

#[tokio::test]
async fn errors_and_debug_output_hold_no_query_no_body_and_no_secret() {
    let (address, _) = server(hang_up).await;
    let with_user = address.replace("http://", "http://CANARY:CANARY@");
    let client = client(&with_user);
    let call = write("/x").query("token", "CANARY").secret_header("authorization", "CANARY");
    let fault = client.send(&call).await.unwrap_err();
    assert!(!format!("{fault} {fault:?} {call:?} {client:?}").contains("CANARY"));
    assert!(fault.message.contains("POST /x"));

    let odd = Call::get("/x").secret_header("authorization", "CANARY\n");
    let fault = client.send(&odd).await.unwrap_err();
    assert_eq!(fault.code, "test.misconfigured");
    assert!(!fault.message.contains("CANARY"));
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_allowed() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted_now, counted_most) = (Arc::clone(&now), Arc::clone(&most));
    let (address, _) = server(move |mut socket: TcpStream| {
        let (now, most) = (Arc::clone(&counted_now), Arc::clone(&counted_most));
        async move {
            read_some(&mut socket).await;
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        }
    })
    .await;
    let client = HttpClient::new(HttpSettings { max_in_flight: 2, ..settings(&address) }).unwrap();
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.send(&write("/x")).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_base_path_is_kept_in_front() {
    let server = MockServer::start().await;
    Mock::given(path("/sub/x")).respond_with(ResponseTemplate::new(200)).expect(1).mount(&server).await;
    client(&format!("{}/sub/", server.uri())).send(&Call::get("/x")).await.unwrap();
}

#[test]
fn an_address_that_is_no_web_address_is_refused_at_once() {
    let fault = HttpClient::new(settings("ftp://host/")).unwrap_err();
    assert_eq!(fault.code, "test.misconfigured");
}
