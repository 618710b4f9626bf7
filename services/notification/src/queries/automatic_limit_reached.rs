//! The limits of automatic transcripts (rules T2, S4).

use frontdesk_clock::Time;
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    domain::{AutomaticLimits, ConversationClose, SkipReason},
    store,
};

/// Returns the limit that allows no further transcript for this close, which would go to `recipient`. None: one may be sent.
pub(crate) async fn automatic_limit_reached<C: ConnectionTrait>(
    db: &C,
    limits: AutomaticLimits,
    close: &ConversationClose,
    recipient: &str,
    now: Time,
) -> Result<Option<SkipReason>, DbErr> {
    let counts = store::mail_counts::count_automatic(db, close.account, close.conversation, recipient, now).await?;
    Ok(limits.reached(counts, close.facts.email_verified))
}
