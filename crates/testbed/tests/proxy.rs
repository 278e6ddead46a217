//! The proxy passes everything on, until it is told not to.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use tandem_testbed::proxy::ChaosProxy;
use tandem_testbed::signal::{eventually, never, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn bytes_and_the_end_of_the_stream_pass_in_both_directions() {
    let proxy = in_front_of_echo().await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let sent = vec![7; 1_000_000];
    let (mut reader, mut writer) = client.split();
    let send = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let receive = reader.read_to_end(&mut received);
    let (_, result) = within(SOON, async { tokio::join!(send, receive) }).await;
    result.unwrap();
    assert_eq!(received.len(), sent.len());
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn a_cut_resets_every_connection_and_welcomes_new_ones() {
    let proxy = in_front_of_echo().await;
    let mut one = connected(&proxy).await;
    let mut two = connected(&proxy).await;
    proxy.cut().await;
    for stream in [&mut one, &mut two] {
        let error = within(SOON, stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    connected(&proxy).await;
}

#[tokio::test]
async fn a_black_hole_accepts_and_says_nothing_until_it_is_lifted() {
    let proxy = in_front_of_echo().await;
    let mut old = connected(&proxy).await;
    proxy.blackhole(true);
    let mut new = TcpStream::connect(proxy.address()).await.unwrap();
    for stream in [&mut old, &mut new] {
        stream.write_u8(5).await.unwrap();
    }
    never(Duration::from_millis(100), || async { try_read(&old).or_else(|| try_read(&new)) }).await;
    proxy.blackhole(false);
    for stream in [&mut old, &mut new] {
        assert_eq!(within(SOON, stream.read_u8()).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_delay_holds_each_way_back_without_blocking_what_follows() {
    let proxy = in_front_of_echo().await;
    let mut stream = connected(&proxy).await;
    proxy.delay(Duration::from_millis(50));
    let start = Instant::now();
    for value in 0..20 {
        stream.write_u8(value).await.unwrap();
        tokio::task::yield_now().await;
    }
    for value in 0..20 {
        assert_eq!(within(SOON, stream.read_u8()).await.unwrap(), value);
    }
    assert!(start.elapsed() >= Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_refusing_proxy_is_like_a_service_that_is_down() {
    let mut proxy = in_front_of_echo().await;
    let mut old = connected(&proxy).await;
    proxy.refuse(true).await.unwrap();
    let error = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    old.write_u8(9).await.unwrap();
    assert_eq!(old.read_u8().await.unwrap(), 9);
    proxy.refuse(false).await.unwrap();
    connected(&proxy).await;
}

#[tokio::test]
async fn a_lost_reply_reached_upstream_and_resets_the_caller_once() {
    let proxy = in_front_of_echo().await;
    let mut stream = connected(&proxy).await;
    proxy.lose_next_reply();
    stream.write_u8(3).await.unwrap();
    let error = within(SOON, stream.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    connected(&proxy).await;
}

#[tokio::test]
async fn a_dropped_proxy_closes_its_port_and_its_connections() {
    let proxy = in_front_of_echo().await;
    let address = proxy.address();
    let mut stream = connected(&proxy).await;
    drop(proxy);
    within(SOON, stream.read_u8()).await.unwrap_err();
    eventually(SOON, || async { TcpStream::connect(address).await.err() }).await;
}

#[tokio::test]
async fn an_upstream_that_is_down_resets_the_caller() {
    let proxy = ChaosProxy::start("127.0.0.1:1").await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    within(SOON, stream.read_u8()).await.unwrap_err();
    assert_eq!(
        proxy.through("amqp://guest@broker:5672/%2f").unwrap(),
        format!("amqp://guest@{}/%2f", proxy.host_port())
    );
}

async fn in_front_of_echo() -> ChaosProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                // A connection that was cut is what these tests are about.
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    ChaosProxy::start(address.to_string()).await.unwrap()
}

/// A connection that has carried one byte there and back.
async fn connected(proxy: &ChaosProxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_u8(1).await.unwrap();
    assert_eq!(within(SOON, stream.read_u8()).await.unwrap(), 1);
    stream
}

fn try_read(stream: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    stream.try_read(&mut byte).is_ok().then_some(byte[0])
}
