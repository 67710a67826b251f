//! SIGTERM and SIGINT: the first asks to finish, the second to stop at once.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How long what is on its way may take after the first signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(60);

/// How a run ended.
pub(crate) enum Ended<T> {
    /// By itself, or after the first signal with everything delivered.
    Done(T),
    /// By the second signal or after [`DRAIN`].
    Abandoned,
}

/// Runs `work`; the first signal cancels `stop`, then `work` has [`DRAIN`] to end.
pub(crate) async fn until_stopped<T>(
    stop: CancellationToken,
    work: impl Future<Output = T>,
) -> anyhow::Result<Ended<T>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut work = std::pin::pin!(work);
    tokio::select! {
        result = &mut work => return Ok(Ended::Done(result)),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(
        within_s = DRAIN.as_secs(),
        "asked to stop: delivering what is on its way; a second signal stops at once"
    );
    stop.cancel();
    Ok(tokio::select! {
        result = &mut work => Ended::Done(result),
        _ = terminate.recv() => Ended::Abandoned,
        _ = interrupt.recv() => Ended::Abandoned,
        () = tokio::time::sleep(DRAIN) => Ended::Abandoned,
    })
}
