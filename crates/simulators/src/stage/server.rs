//! The two ports of a simulator, on a thread and runtime of their own, so that a caller's runtime can neither stall
//! them nor be stalled by them.
//!
//! The API port can be closed and reopened on the same number: a maintenance window in which connecting is refused.

use actix_web::{App, HttpServer, dev::ServerHandle, rt, web};
use std::{
    future::Future,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Larger than any request the sheets describe.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
/// Idle connections live as long as a usual IIS keeps them; a client's pool does not run into closed ones.
const KEEP_ALIVE: Duration = Duration::from_secs(120);
const API_WORKERS: usize = 2;

pub(crate) type Routes = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;
/// Work that runs beside the ports, on the simulator's own thread.
pub(crate) type Background = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

enum Command {
    Close(oneshot::Sender<()>),
    Open(oneshot::Sender<io::Result<()>>),
    Stop(Option<oneshot::Sender<()>>),
}

/// Opens and closes the API port.
#[derive(Clone)]
pub(crate) struct Door(mpsc::UnboundedSender<Command>);

impl Door {
    pub(crate) fn new() -> (Self, Commands) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Commands(receiver))
    }

    /// From here on connecting is refused and open connections are gone.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.0.send(Command::Close(done)).is_ok() {
            let _ = closed.await;
        }
    }

    pub(crate) async fn open(&self) -> io::Result<()> {
        let (done, opened) = oneshot::channel();
        if self.0.send(Command::Open(done)).is_err() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        opened.await.unwrap_or_else(|_| Err(io::ErrorKind::NotConnected.into()))
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.0.send(Command::Stop(Some(done))).is_ok() {
            let _ = stopped.await;
        }
    }

    /// Asks for the stop without waiting for it.
    pub(crate) fn abandon(&self) {
        let _ = self.0.send(Command::Stop(None));
    }
}

pub(crate) struct Commands(mpsc::UnboundedReceiver<Command>);

/// Where a simulator listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) api: SocketAddr,
    pub(crate) control: SocketAddr,
}

/// Binds both ports and starts to serve them. Errors: a port that cannot be bound.
pub(crate) async fn open(
    api: SocketAddr,
    control: SocketAddr,
    commands: Commands,
    api_routes: Routes,
    control_routes: Routes,
    background: Background,
) -> io::Result<Ports> {
    let api = TcpListener::bind(api)?;
    let control = TcpListener::bind(control)?;
    let ports = Ports { api: api.local_addr()?, control: control.local_addr()? };
    let (ready, started) = oneshot::channel();
    thread::Builder::new().name("simulator".to_owned()).spawn(move || {
        rt::System::new().block_on(async move {
            let servers = listen(api, api_routes.clone(), API_WORKERS)
                .and_then(|api| Ok((api, listen(control, control_routes, 1)?)));
            match servers {
                Err(error) => drop(ready.send(Err(error))),
                Ok((api, control)) => {
                    rt::spawn(background());
                    let _ = ready.send(Ok(()));
                    attend(ports, api, control, api_routes, commands).await;
                }
            }
        });
    })?;
    started.await.unwrap_or_else(|_| Err(io::Error::other("the simulator's thread ended")))?;
    Ok(ports)
}

async fn attend(ports: Ports, api: ServerHandle, control: ServerHandle, routes: Routes, mut commands: Commands) {
    let mut api = Some(api);
    while let Some(command) = commands.0.recv().await {
        match command {
            Command::Close(done) => {
                if let Some(server) = api.take() {
                    server.stop(false).await;
                }
                let _ = done.send(());
            }
            Command::Open(done) => {
                let opened = if api.is_some() { Ok(()) } else { reopen(ports.api, &routes, &mut api) };
                let _ = done.send(opened);
            }
            Command::Stop(done) => {
                if let Some(server) = api.take() {
                    server.stop(false).await;
                }
                control.stop(false).await;
                if let Some(done) = done {
                    let _ = done.send(());
                }
                return;
            }
        }
    }
}

fn reopen(address: SocketAddr, routes: &Routes, api: &mut Option<ServerHandle>) -> io::Result<()> {
    *api = Some(listen(TcpListener::bind(address)?, Arc::clone(routes), API_WORKERS)?);
    Ok(())
}

fn listen(listener: TcpListener, routes: Routes, workers: usize) -> io::Result<ServerHandle> {
    let server = HttpServer::new(move || {
        let routes = Arc::clone(&routes);
        App::new().app_data(web::PayloadConfig::new(LARGEST_BODY)).configure(move |config| routes(config))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(Duration::ZERO)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    rt::spawn(server);
    Ok(handle)
}
