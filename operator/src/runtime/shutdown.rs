//! One signal that everything ends on, in order: controllers first, then the lease, then the HTTP endpoint.

use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGTERM or SIGINT.
///
/// # Errors
/// When the process cannot listen for signals.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("Received SIGTERM"),
            _ = interrupt.recv() => tracing::info!("Received SIGINT"),
        }
        cancelled.cancel();
    });
    Ok(token)
}
