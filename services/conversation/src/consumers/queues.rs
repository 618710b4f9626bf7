//! Keeps how conversations wait in the queues of routing (rules A6, C9).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ConversationQueueChanged, Event};
use prost::Name;
use sea_orm::DbErr;

use crate::{App, domain::QueuedConversation, store::queued_conversations};

/// The version of the event decides: a repeated or older one changes nothing.
pub(crate) struct Queues(pub(crate) App);

impl Queues {
    async fn save(&self, queued: QueuedConversation) -> Result<(), DbErr> {
        let mut tx = self.0.db.begin().await?;
        let now = tx.now().await?;
        if queued_conversations::save(&tx, &queued, now).await? {
            // The rows of inboxes change, and the place that the visitor is shown.
            let notifier = self.0.notifier.clone();
            tx.on_commit(move || notifier.notify(queued.conversation));
        }
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for Queues {
    fn name(&self) -> &'static str {
        "conversation.queues"
    }

    fn source(&self) -> &'static str {
        "assignment"
    }

    fn types(&self) -> Vec<String> {
        vec![ConversationQueueChanged::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match account_id(event).and_then(|account| read(account, event)) {
            Ok(queued) => self.save(queued).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

fn read(account: AccountId, event: &Event) -> Result<QueuedConversation, String> {
    let changed: ConversationQueueChanged = decode(event)?;
    Ok(QueuedConversation {
        conversation: uuid("conversation_id", &changed.conversation_id)?,
        account,
        epoch: changed.epoch.into(),
        waiting: changed.waiting,
        teams: changed.team_ids.iter().map(|team| uuid("team_ids", team)).collect::<Result<_, _>>()?,
        version: event.version.into(),
    })
}
