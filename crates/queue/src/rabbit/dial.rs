//! One connection to the broker, with a way to hang up on it.
//!
//! A connection to a peer that has gone silent can't be closed in order: closing waits for an answer. [`Link`] keeps a
//! second handle to the socket and shuts that down instead, which ends the connection's own thread and everything
//! that hangs on it at once.

use super::settings::RabbitSettings;
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties};
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tandem_core::lane::LaneError;

/// An open connection.
pub(crate) struct Link {
    pub(crate) connection: Connection,
    socket: Socket,
    limit: Duration,
}

impl Link {
    /// Connects, within `settings.beat()`. `role` is what the broker's own tools show as the connection's name.
    pub(crate) async fn dial(settings: &RabbitSettings, role: &str) -> Result<Self, LaneError> {
        let socket = Socket::default();
        let limit = settings.beat();
        match tokio::time::timeout(limit, connect(settings, role, socket.clone())).await {
            Ok(Ok(connection)) => Ok(Self { connection, socket, limit }),
            Ok(Err(error)) => Err(lane_error(&error)),
            Err(_) => {
                socket.shut_down();
                Err(LaneError(format!("no answer from {} within {limit:?}", settings.place())))
            }
        }
    }

    /// Opens a channel: a round trip.
    pub(crate) async fn channel(&self) -> Result<Channel, LaneError> {
        self.bounded(self.connection.create_channel()).await
    }

    /// Waits for the broker's answer, not longer than one beat.
    pub(crate) async fn bounded<T>(&self, call: impl Future<Output = lapin::Result<T>>) -> Result<T, LaneError> {
        bounded(self.limit, call).await
    }

    /// Ends the connection at once, whatever state it is in.
    pub(crate) fn hang_up(&self) {
        self.socket.shut_down();
    }
}

/// Waits for the broker's answer, not longer than `limit`: nothing that is awaited from a broker may take for ever.
pub(crate) async fn bounded<T>(limit: Duration, call: impl Future<Output = lapin::Result<T>>) -> Result<T, LaneError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(lane_error(&error)),
        Err(_) => Err(LaneError(format!("no answer from the broker within {limit:?}"))),
    }
}

/// The broker's words. They name users, queues and reasons, never a password.
pub(crate) fn lane_error(error: &lapin::Error) -> LaneError {
    LaneError(error.to_string())
}

async fn connect(settings: &RabbitSettings, role: &str, socket: Socket) -> lapin::Result<Connection> {
    // One provider for the whole program; an error means that somebody installed it before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut uri = settings.uri.clone();
    let asked = uri.query.heartbeat.filter(|&seconds| seconds > 0);
    uri.query.heartbeat = Some(asked.map_or(settings.heartbeat(), |seconds| seconds.min(settings.heartbeat())));
    // No automatic recovery: it gives up after a while, leaves closed channels closed, and would hide a drop from
    // those who must know of it. The supervisor in `line` builds everything anew instead.
    let properties = ConnectionProperties::default().with_connection_name(format!("{} {role}", settings.prefix).into());
    let limit = settings.beat();
    Connection::connector(
        uri,
        lapin::runtime::default_runtime()?,
        async move |uri, runtime| {
            let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
            let reach = AMQPUriTcpExt::connect_with_config_async(&plain, Default::default(), &runtime);
            let stream = tokio::time::timeout(limit, reach).await.map_err(io::Error::from)??;
            if let AsyncTcpStream::Plain(tcp) = &stream {
                socket.keep(tcp.get_ref())?;
            }
            match uri.scheme {
                AMQPScheme::AMQP => Ok(stream),
                AMQPScheme::AMQPS => {
                    Ok(stream.into_tls(&uri.authority.host, OwnedTLSConfig::default().as_ref()).await?)
                }
            }
        },
        properties,
    )
    .await
}

/// A second handle to a connection's socket.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Socket {
    fn keep(&self, tcp: &tokio::net::TcpStream) -> io::Result<()> {
        #[cfg(unix)]
        let second = std::os::fd::AsFd::as_fd(tcp).try_clone_to_owned()?;
        #[cfg(windows)]
        let second = std::os::windows::io::AsSocket::as_socket(tcp).try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(second.into());
        Ok(())
    }

    fn shut_down(&self) {
        if let Some(tcp) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Fails when the socket is closed already, which is what is wanted.
            let _ = tcp.shutdown(Shutdown::Both);
        }
    }
}
