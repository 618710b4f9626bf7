//! Forgets the text of deliveries that failed long ago.

use crate::{App, error::NotificationError, store};

/// Maximum number of mails deleted in one transaction.
const PART: u64 = 200;

/// Deletes the mails of failed and parked deliveries whose last attempt ended longer ago than the setting `keep_failed_mails`.
/// Returns their number.
pub(crate) async fn forget_mails(app: &App) -> Result<u64, NotificationError> {
    let mut forgotten = 0;
    loop {
        let tx = app.db.begin().await?;
        let before = tx.now().await?.minus(app.settings.keep_failed_mails);
        let part = store::deliveries::delete_mails_of_failed(&tx, before, PART).await?;
        tx.commit().await?;
        forgotten += part;
        if part < PART {
            return Ok(forgotten);
        }
    }
}
