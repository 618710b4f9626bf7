//! A conversation was closed: decide about its transcript.

use frontdesk_bus::{Consumer, Outcome};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ConversationClosed, Event};
use prost::Name;
use uuid::Uuid;

use crate::{
    App,
    commands::{self, Close},
    domain::Facts,
};

const NAME: &str = "notification.decide";

/// See `commands/decide_transcript.rs`.
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
        match read(event) {
            Ok(close) => commands::decide_transcript(&self.0, NAME, event, &close).await.into(),
            Err(why) => Outcome::DeadLetter(why),
        }
    }
}

fn read(event: &Event) -> Result<Close, String> {
    let closed: ConversationClosed = frontdesk_bus::decode(event)?;
    let id = |name: &str, text: &str| text.parse::<Uuid>().map_err(|_| format!("{name} is not a UUID"));
    let optional = |name: &str, text: &str| if text.is_empty() { Ok(None) } else { id(name, text).map(Some) };
    id("id", &event.id)?;
    let contact = optional("contact_id", &closed.contact_id)?;
    Ok(Close {
        account: AccountId(id("account_id", &event.account_id)?),
        conversation: id("conversation_id", &closed.conversation_id)?,
        close_number: closed.close_number,
        channel: optional("channel_id", &closed.channel_id)?,
        contact,
        sender: optional("sender_id", &closed.sender_id)?,
        last_sequence: closed.last_sequence,
        closed_at: closed.close_time.as_ref().map_or(Time(0), Time::from_proto),
        facts: Facts {
            transcript_enabled: closed.transcript_enabled,
            had_bot_session: closed.had_bot_session,
            had_agent: closed.had_agent,
            had_ticket: closed.had_ticket,
            contact_known: contact.is_some(),
            address_usable: closed.address_usable,
            address_verified: closed.address_verified,
        },
    })
}

#[cfg(test)]
#[path = "decide_transcripts_tests.rs"]
mod tests;
