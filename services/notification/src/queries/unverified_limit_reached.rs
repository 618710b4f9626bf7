//! The limit of automatic transcripts to unverified addresses (rule T2).

use frontdesk_clock::Time;
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    domain::{COUNTED_UNVERIFIED, ConversationClose, UnverifiedLimits},
    store,
};

/// Returns whether the limit allows no further transcript for this close. False also where no limit applies.
pub(crate) async fn unverified_limit_reached<C: ConnectionTrait>(
    db: &C,
    limits: UnverifiedLimits,
    close: &ConversationClose,
    now: Time,
) -> Result<bool, DbErr> {
    let Some(contact) = close.unverified_contact() else { return Ok(false) };
    let since = now.minus(COUNTED_UNVERIFIED);
    let counts = store::mail_counts::count_unverified(db, close.account, contact, since).await?;
    Ok(limits.unverified_limit_reached(counts))
}
