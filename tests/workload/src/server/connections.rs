//! Accepts connections of one port with bounds, and lets them finish at the end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Bounds of the connections of one port.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Most connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Time a connection may wait for its next request to arrive in full. It must be longer than a
    /// gateway keeps idle connections (an hour for Envoy): a server that closes first loses the request
    /// that is on its way.
    pub idle: Duration,
    /// Time for requests in flight at the end.
    pub shutdown: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            idle: Duration::from_mins(65),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// Longest head of a request in bytes; hyper's buffer needs at least 8 KiB.
const HEAD_LIMIT: usize = 16 * 1024;
/// Pause after a failed accept, which mostly means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `ended` turns true.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    mut ended: watch::Receiver<bool>,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(HEAD_LIMIT);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            // An error means that the sender is gone: then there is nothing to wait for either.
            _ = ended.wait_for(|ended| *ended) => break,
        };
        let Some((stream, slot)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // A broken connection is the client's affair; the answers are counted by their handlers.
            let _ = connection.await;
            drop(slot);
        });
    }
    drop(listener);
    // What has not finished by then is cut off with the process.
    let _ = tokio::time::timeout(limits.shutdown, graceful.shutdown()).await;
    Ok(())
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> Option<(tokio::net::TcpStream, Slot)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    // Answers are small and whole: waiting to fill a segment would only delay them.
    stream.set_nodelay(true).ok()?;
    Some((stream, slot))
}
