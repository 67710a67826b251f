//! What every fake with HTTP does: it listens on a free loopback port.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves on a free port, on the current tokio runtime, until the task is aborted.
///
/// # Errors
/// When no port can be had.
pub(crate) async fn serve(app: Router) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        // Nobody to tell but the client, whose next request fails.
        let _ = axum::serve(listener, app).await;
    });
    Ok((address, server))
}
