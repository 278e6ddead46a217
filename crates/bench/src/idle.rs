//! The baseline for accepting: an actix handler that does nothing, in a process of its own.

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Result;

/// As the first argument, makes this program that server.
pub const COMMAND: &str = "serve-nothing";

/// Serves until it is killed; says where on its first line.
pub fn serve() -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    actix_web::rt::System::new().block_on(async {
        let app = || App::new().default_service(web::to(|| async { HttpResponse::Ok().finish() }));
        let server = HttpServer::new(app).workers(threads).bind(("127.0.0.1", 0))?;
        if let Some(address) = server.addrs().first() {
            println!("listening on {address}");
        }
        Ok(server.run().await?)
    })
}
