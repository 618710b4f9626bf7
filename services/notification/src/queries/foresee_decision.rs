//! The decision that is not made yet (rules T3, T9).

use frontdesk_db::AccountId;
use uuid::Uuid;

use super::reason_to_skip;
use crate::{
    App,
    conversation::{ClosingFacts, Conversation},
    domain::{ConversationClose, TranscriptDecision, decide},
    error::NotificationError,
};

/// Returns the decision that a close now would bring, or that the last close will bring when its event arrives.
pub(crate) async fn foresee_decision(
    app: &App,
    account: AccountId,
    conversation: &Conversation,
    id: Uuid,
    facts: &ClosingFacts,
) -> Result<TranscriptDecision, NotificationError> {
    let now = app.db.now().await?;
    let close = ConversationClose {
        account,
        conversation: id,
        number: if conversation.closed { conversation.close_number } else { conversation.close_number + 1 },
        channel: Some(conversation.channel_id),
        contact: facts.contact_id,
        sender: facts.sender_id,
        last_sequence: facts.last_sequence,
        closed_at: conversation.closed_at.unwrap_or(now),
        facts: facts.decision_facts,
    };
    let read = app.db.read_for(account).await?;
    let limits = app.settings.automatic_limits();
    let recipient = facts.recipient.as_deref().unwrap_or_default();
    let barred = reason_to_skip(&read.conn(), limits, &close, recipient, now).await?;
    let skip_reason = decide(&close.facts, barred);
    Ok(TranscriptDecision { id: Uuid::nil(), close, skip_reason, delivery: None, created_at: now })
}
