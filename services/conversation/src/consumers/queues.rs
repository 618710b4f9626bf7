//! Keeps how conversations wait in the queues of routing (rules A6, C9).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ConversationQueueChanged, Event};
use prost::Name;
use sea_orm::DbErr;

use crate::{
    App,
    domain::QueuedConversation,
    store::queued_conversations::{self, QueuedConversations},
};

/// Maximum number of events of one batch.
const MAX_BATCH: usize = 64;

/// The version of the event decides: a repeated or older one changes nothing.
pub(crate) struct Queues(pub(crate) App);

impl Queues {
    async fn save(&self, queued: QueuedConversations) -> Result<(), DbErr> {
        let mut tx = self.0.db.begin().await?;
        let now = tx.now().await?;
        let written = queued_conversations::save(&tx, &queued, now).await?;
        // The rows of inboxes change, and the place that the visitor is shown.
        let notifier = self.0.notifier.clone();
        tx.on_commit(move || written.into_iter().for_each(|conversation| notifier.notify(conversation)));
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
            Ok(queued) => self.save(newest([queued])).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let read = |event| account_id(event).and_then(|account| read(account, event)).ok();
        let queued: Vec<Option<QueuedConversation>> = events.iter().map(read).collect();
        let readable: Vec<bool> = queued.iter().map(Option::is_some).collect();
        let saved = match self.save(newest(queued.into_iter().flatten())).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "queues are saved one by one");
                false
            }
        };
        readable.into_iter().map(|readable| readable && saved).collect()
    }
}

/// How each of the conversations waits by the highest version.
fn newest(queued: impl IntoIterator<Item = QueuedConversation>) -> QueuedConversations {
    let mut newest = QueuedConversations::new();
    for queued in queued {
        let key = (queued.conversation, queued.account);
        if newest.get(&key).is_none_or(|known| known.version < queued.version) {
            newest.insert(key, queued);
        }
    }
    newest
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
