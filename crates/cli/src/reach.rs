//! Why the database can't be reached. The pool tries until its time is up and then says only that it is; one attempt of
//! our own says what the network said.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;
use url::Url;

/// Longer than a refusal takes, short beside what was waited already.
const PATIENCE: Duration = Duration::from_secs(2);
const POSTGRES: u16 = 5432;

/// What stands in the way to the server of an address; `None` where there is no server to ask (a file, a socket).
pub async fn why_not(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme().starts_with("postgres"))?;
    let (host, port) = (url.host_str()?.to_owned(), url.port().unwrap_or(POSTGRES));
    let place = format!("{host}:{port}");
    let tried = tokio::task::spawn_blocking(move || attempt(&url)).await.ok()?;
    Some(match tried {
        Ok(()) => {
            format!(
                "{place} takes connections, but let nobody in in time: is it starting up, is it full, is it PostgreSQL?"
            )
        }
        Err(error) => format!("no connection to {place}: {error}"),
    })
}

fn attempt(url: &Url) -> io::Result<()> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, url.port().unwrap_or(POSTGRES)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_cause_is_told_with_the_place_and_without_the_password() {
        let refused = why_not("postgres://u:s3cr3t@127.0.0.1:1/db").await.unwrap();
        assert!(refused.starts_with("no connection to 127.0.0.1:1: ") && refused.contains("refused"), "{refused}");
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let taken = why_not(&format!("postgres://u:s3cr3t@127.0.0.1:{port}/db")).await.unwrap();
        assert!(taken.contains("takes connections"), "{taken}");
        assert!(!refused.contains("s3cr3t") && !taken.contains("s3cr3t"));
        assert_eq!(why_not("sqlite://x").await, None);
    }
}
