//! What may keep an automatic transcript from its recipient, besides the facts of the close (rules T2, S4).

use frontdesk_clock::Time;
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    domain::{AutomaticLimits, ConversationClose, SkipReason},
    store,
};

/// Returns why no transcript of this close may go to `recipient`: the address is suppressed, or a limit is reached. None: one may be sent.
pub(crate) async fn reason_to_skip<C: ConnectionTrait>(
    db: &C,
    limits: AutomaticLimits,
    close: &ConversationClose,
    recipient: &str,
    now: Time,
) -> Result<Option<SkipReason>, DbErr> {
    if store::suppressions::is_suppressed(db, close.account, recipient).await? {
        return Ok(Some(SkipReason::Suppressed));
    }
    let (account, conversation) = (close.account, close.conversation);
    let counts =
        store::mail_counts::count_automatic(db, account, conversation, recipient, limits.interval, now).await?;
    Ok(limits.reached(counts, close.facts.email_verified))
}
