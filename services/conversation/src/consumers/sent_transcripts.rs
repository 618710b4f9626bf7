//! Sent transcripts become entries of their thread (rule C3).

use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_outbox::mark_handled;
use frontdesk_proto::event::v1::{DeliverySent, Event};
use prost::Name;
use uuid::Uuid;

use super::account;
use crate::{
    App,
    domain::{Author, Content},
    error::ConversationError,
    store::conversations,
};

const NAME: &str = "conversation.sent_transcripts";

/// Notes sent transcripts.
pub(crate) struct SentTranscripts(pub App);

impl SentTranscripts {
    async fn note(
        &self,
        event: &Event,
        conversation: Uuid,
        delivery_id: Uuid,
        manual: bool,
    ) -> Result<(), ConversationError> {
        let Ok(account) = account(event) else { return Ok(()) };
        let mut tx = self.0.db.begin().await?;
        if !mark_handled(&tx, NAME, event).await? {
            return Ok(());
        }
        if let Some(mut conversation) = conversations::find_for_update(&tx, account, conversation).await? {
            let now = tx.now().await?;
            conversation.note(Author::system(), Content::TranscriptSent { delivery_id, manual }, now);
            conversations::save(&mut tx, &self.0.hints, &mut conversation).await?;
        }
        Ok(tx.commit().await?)
    }
}

#[async_trait::async_trait]
impl Consumer for SentTranscripts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "notification"
    }

    fn types(&self) -> Vec<String> {
        vec![DeliverySent::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let sent: DeliverySent = match decode(event) {
            Ok(sent) => sent,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        if sent.conversation_id.is_empty() {
            return Outcome::Ack;
        }
        match (sent.conversation_id.parse(), sent.delivery_id.parse()) {
            (Ok(conversation), Ok(delivery)) => self.note(event, conversation, delivery, sent.manual).await.into(),
            _ => Outcome::DeadLetter("an id in the event is not a UUID".into()),
        }
    }
}
