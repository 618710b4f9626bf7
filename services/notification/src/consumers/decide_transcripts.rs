//! Decides about the transcript when a conversation is closed.

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_clock::Time;
use frontdesk_proto::event::v1::{ConversationClosed, Event};
use prost::Name;

use crate::{
    App, commands,
    domain::{ConversationClose, DecisionFacts, decide},
};

const NAME: &str = "notification.decide";
/// Maximum number of closes that one transaction decides about.
const MAX_BATCH: usize = 64;

/// Consumes `ConversationClosed`.
pub(crate) struct DecideTranscripts(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for DecideTranscripts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![ConversationClosed::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match close(event) {
            Ok(close) => commands::decide_transcript(&self.0, NAME, event, close).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let by_facts = |event| {
            let close = close(event).ok()?;
            let reason = decide(&close.facts, None)?;
            Some((close, reason, event))
        };
        let closes: Vec<_> = events.iter().map(by_facts).collect();
        let by_facts: Vec<bool> = closes.iter().map(Option::is_some).collect();
        let decided = commands::decide_by_facts(&self.0, NAME, closes.into_iter().flatten().collect()).await;
        let decided = decided.unwrap_or_else(|error| {
            tracing::debug!(%error, "closes are decided one by one");
            false
        });
        by_facts.into_iter().map(|by_facts| by_facts && decided).collect()
    }
}

fn close(event: &Event) -> Result<ConversationClose, String> {
    let closed: ConversationClosed = frontdesk_bus::decode(event)?;
    let optional = |name: &str, text: &str| if text.is_empty() { Ok(None) } else { uuid(name, text).map(Some) };
    uuid("id", &event.id)?;
    let contact = optional("contact_id", &closed.contact_id)?;
    Ok(ConversationClose {
        account: account_id(event)?,
        conversation: uuid("conversation_id", &closed.conversation_id)?,
        number: closed.close_number,
        channel: optional("channel_id", &closed.channel_id)?,
        contact,
        sender: optional("sender_id", &closed.sender_id)?,
        last_sequence: closed.last_sequence,
        closed_at: closed.close_time.as_ref().map_or(Time(0), Time::from_proto),
        facts: DecisionFacts {
            transcript_enabled: closed.transcript_enabled,
            had_bot_session: closed.had_bot_session,
            had_agent: closed.had_agent,
            had_ticket: closed.had_ticket,
            contact_known: contact.is_some(),
            email_usable: closed.email_usable,
            email_verified: closed.email_verified,
            token_email_unusable: closed.token_email_unusable,
        },
    })
}
