//! Records accepted mails, those that wait together.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, oneshot};

use crate::{
    App,
    commands::{self, AcceptedMail},
};

/// Maximum number of mails in one transaction.
const MAX_MAILS: usize = 100;

/// The accepted mails that are not recorded yet.
#[derive(Default)]
pub(super) struct Recording {
    waiting: Mutex<Vec<Waiting>>,
    /// Held while a transaction records mails. Those that are accepted meanwhile are in the next one.
    writing: AsyncMutex<()>,
}

struct Waiting {
    mail: AcceptedMail,
    recorded: oneshot::Sender<()>,
}

impl Recording {
    /// Records that the mail was accepted, together with those that wait. Returns whether it is recorded, or its claim has ended; otherwise
    /// the database failed.
    pub(super) async fn record(&self, app: &App, mail: AcceptedMail) -> bool {
        let (sender, recorded) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(Waiting { mail, recorded: sender });
        let writing = self.writing.lock().await;
        // None, if the one before has recorded this one too.
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        record_all(app, waiting).await;
        drop(writing);
        recorded.await.is_ok()
    }
}

/// Those that cannot be recorded are dropped, which their tasks see.
async fn record_all(app: &App, mut waiting: Vec<Waiting>) {
    while !waiting.is_empty() {
        let rest = waiting.split_off(waiting.len().min(MAX_MAILS));
        let (mails, senders): (Vec<_>, Vec<_>) = waiting.into_iter().map(|one| (one.mail, one.recorded)).unzip();
        match commands::record_accepted(app, &mails).await {
            Ok(()) => senders.into_iter().for_each(|sender| {
                let _ = sender.send(());
            }),
            Err(error) => {
                tracing::warn!(%error, mails = mails.len(), "accepted mails were not recorded together; each is recorded alone");
            }
        }
        waiting = rest;
    }
}
