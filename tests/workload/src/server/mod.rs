//! The model server: predictions on one port, labels, metrics and probes on another.
//!
//! Labels decide over promotions. They have a port of their own that no Service or route names, so that
//! nobody can deliver labels through the gateway.

mod connections;
mod routes;
mod state;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

pub use connections::ConnectionLimits;
pub use routes::{management_routes, prediction_routes};
pub use state::{Identity, Settings, State};

use std::sync::Arc;

/// Serves both ports until `stop` resolves, then drains.
///
/// Draining takes two steps: for `drain` the readiness probe fails and every answer asks its client to
/// close the connection, while all requests are still answered, because endpoints leave a gateway's
/// tables some time after the pod was told to end. Then no connection is accepted any more, and requests
/// in flight get `limits.shutdown` to finish.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve(
    state: Arc<State>,
    predictions: TcpListener,
    management: TcpListener,
    limits: ConnectionLimits,
    drain: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (end, ended) = watch::channel(false);
    let both = async {
        tokio::try_join!(
            connections::serve(
                predictions,
                prediction_routes(Arc::clone(&state)),
                limits,
                ended.clone()
            ),
            connections::serve(management, management_routes(Arc::clone(&state)), limits, ended),
        )
    };
    let ending = async {
        stop.await;
        state.start_draining();
        tokio::time::sleep(drain).await;
        // Nobody listens any more only when both listeners have failed, which `both` reports.
        let _ = end.send(true);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        result = both => result.map(|_| ()),
        () = ending => Ok(()),
    }
}
