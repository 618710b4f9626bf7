//! Adds an entry to the thread for each transcript that was sent (rule C3).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_outbox::mark_handled;
use frontdesk_proto::{
    actor::v1::ActorKind as PbActorKind,
    event::v1::{DeliverySent, Event},
};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    App,
    domain::{Actor, ActorKind, Content},
    store::conversations,
};

const NAME: &str = "conversation.sent_transcripts";

pub(crate) struct SentTranscripts(pub(crate) App);

impl SentTranscripts {
    async fn add_entry(
        &self,
        event: &Event,
        account: AccountId,
        conversation: Uuid,
        author: Actor,
        content: Content,
    ) -> Result<(), DbErr> {
        let mut tx = self.0.db.begin().await?;
        if !mark_handled(&tx, NAME, event).await? {
            return Ok(());
        }
        if let Some(mut conversation) = conversations::find_for_update(&tx, account, conversation).await? {
            let now = tx.now().await?;
            conversation.add_system_entry(author, content, now);
            conversations::save(&mut tx, &self.0.notifier, &mut conversation).await?;
        }
        tx.commit().await
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
        match read(event) {
            Ok(Some((account, conversation, author, content))) => {
                self.add_entry(event, account, conversation, author, content).await.into()
            }
            Ok(None) => Outcome::Ack,
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

/// The conversation, and the author and content of its entry. None: the mail was about no conversation.
fn read(event: &Event) -> Result<Option<(AccountId, Uuid, Actor, Content)>, String> {
    let sent: DeliverySent = decode(event)?;
    if sent.conversation_id.is_empty() {
        return Ok(None);
    }
    let conversation = uuid("conversation_id", &sent.conversation_id)?;
    let delivery_id = uuid("delivery_id", &sent.delivery_id)?;
    let content = Content::TranscriptSent { delivery_id, manual: sent.manual };
    Ok(Some((account_id(event)?, conversation, author(sent), content)))
}

/// Who sent the transcript: Frontdesk itself, where the event names no agent or administrator, as events of earlier releases do.
fn author(sent: DeliverySent) -> Actor {
    let Some(requested_by) = sent.requested_by else { return Actor::system() };
    let kind = match requested_by.kind() {
        PbActorKind::Agent => ActorKind::Agent,
        PbActorKind::Admin => ActorKind::Admin,
        PbActorKind::Bot | PbActorKind::Visitor | PbActorKind::System | PbActorKind::Unspecified => {
            return Actor::system();
        }
    };
    Actor { kind, id: requested_by.id }
}
