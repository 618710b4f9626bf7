//! SIGTERM and Ctrl-C.

use std::{future::Future, io};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled by SIGTERM or Ctrl-C.
pub(crate) struct StopSignal(CancellationToken);

impl StopSignal {
    /// Listens from now on. Must be called within a runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = CancellationToken::new();
        tokio::spawn(cancel_on(terminate, interrupt, stop.clone()));
        Ok(Self(stop))
    }

    /// Runs work that may be given up at any moment. None: a signal came first.
    pub(crate) async fn interrupting<F: Future>(&self, work: F) -> Option<F::Output> {
        self.0.run_until_cancelled(work).await
    }

    /// Cancels `shutdown` when a signal comes, or came.
    pub(crate) fn cancel(self, shutdown: CancellationToken) {
        tokio::spawn(async move {
            self.0.cancelled().await;
            shutdown.cancel();
        });
    }
}

async fn cancel_on(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    stop.cancel();
}
