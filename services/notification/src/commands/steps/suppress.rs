//! Adds an address to those that are not mailed.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    domain::{Suppression, SuppressionReason},
    store,
};

/// Why an address is added.
pub(crate) struct Cause {
    pub(crate) reason: SuppressionReason,
    pub(crate) status_code: String,
    pub(crate) delivery: Option<Uuid>,
}

/// Adds the address, or for a complaint its mailbox, unless it is suppressed already. Returns its suppression. Locks the account's row.
pub(crate) async fn suppress(
    tx: &Tx,
    account: AccountId,
    email: &str,
    cause: Cause,
    now: Time,
) -> Result<Suppression, DbErr> {
    let email = cause.reason.address(email);
    let address_hash = store::suppressions::hash_for_update(tx, account, &email).await?;
    if let Some(first) = store::suppressions::find_by_address(tx.conn(), account, &email).await? {
        return Ok(first);
    }
    let Cause { reason, status_code, delivery } = cause;
    let suppression = Suppression {
        id: tx.new_id(),
        account,
        address_hash,
        reason,
        status_code,
        delivery,
        created_at: now,
        removed_at: None,
    };
    store::suppressions::insert(tx, &suppression).await?;
    Ok(suppression)
}
