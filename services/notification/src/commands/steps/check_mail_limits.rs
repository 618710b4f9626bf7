//! Checks the limits of mails that callers request (rule S4).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};

use crate::{
    domain::{HOUR, MailLimit},
    error::NotificationError,
    store,
};

/// Rejects the mail for the first limit that is reached. The caller has locked the account's counts.
pub(crate) async fn check_mail_limits(
    tx: &Tx,
    account: AccountId,
    limits: &[MailLimit],
    now: Time,
) -> Result<(), NotificationError> {
    let since = now.minus(HOUR);
    for limit in limits {
        let oldest = store::mail_counts::oldest_within_limit(tx, account, limit, since).await?;
        limit.check(oldest, now)?;
    }
    Ok(())
}
