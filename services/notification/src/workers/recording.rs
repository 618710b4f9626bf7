//! Records accepted mails, those that wait together.

use frontdesk_batches::Batches;

use crate::{
    App,
    commands::{self, AcceptedMail},
};

/// Maximum number of mails in one transaction.
const MAX_MAILS: usize = 100;

/// The accepted mails that are not recorded yet.
pub(super) type Recording = Batches<AcceptedMail, ()>;

/// Records that the mail was accepted, together with those that wait. Returns whether it is recorded, or its claim has ended; otherwise
/// the database failed.
pub(super) async fn record(app: &App, recording: &Recording, mail: AcceptedMail) -> bool {
    let record_all = |mails: Vec<AcceptedMail>| async move {
        match commands::record_accepted(app, &mails).await {
            Ok(()) => vec![(); mails.len()],
            Err(error) => {
                tracing::warn!(%error, mails = mails.len(), "accepted mails were not recorded together; each is recorded alone");
                Vec::new()
            }
        }
    };
    recording.run(mail, MAX_MAILS, record_all).await.is_some()
}
