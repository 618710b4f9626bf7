//! What happened to conversations, on its way into the tables: new entries, events, frozen closes.

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::Events;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{closes, conversation_events, entity, entries};
use crate::domain::Conversation;

/// Taken from conversations whose rows are locked, in the order in which it happened.
pub(crate) struct Changes {
    pub entries: Vec<entity::entries::Model>,
    pub events: Events,
    pub closes: Vec<entity::closes::Model>,
    /// The conversations that changed, each once or more.
    pub of: Vec<(AccountId, Uuid)>,
}

impl Changes {
    /// None yet. `now`: by the database's clock.
    pub(crate) fn new(now: Time) -> Self {
        Self { entries: Vec::new(), events: Events::new(now), closes: Vec::new(), of: Vec::new() }
    }

    /// Takes what happened to the conversation, caused by the call that `traceparent` names, and numbers its events.
    pub(crate) fn take(&mut self, conversation: &mut Conversation, traceparent: &str) -> Result<(), DbErr> {
        if conversation.entries.is_empty() && conversation.events.is_empty() {
            return Ok(());
        }
        self.of.push((conversation.row.account_id, conversation.row.id));
        for entry in conversation.entries.drain(..) {
            self.entries.push(entries::row(conversation.row.account_id, entry)?);
        }
        let happened = std::mem::take(&mut conversation.events);
        let first = conversation.row.version + 1;
        conversation.row.version += happened.len() as i64;
        for (version, event) in (first..).zip(happened) {
            let close = conversation_events::push(&mut self.events, &conversation.row, version, event, traceparent);
            self.closes.extend(close);
        }
        Ok(())
    }

    /// Writes all but the rows of the conversations.
    pub(crate) async fn insert(self, tx: &mut Tx, hints: &ChangeNotifier) -> Result<(), DbErr> {
        hint_on_commit(tx, hints, self.of.into_iter().map(|(_, id)| id).collect());
        entries::insert(tx, self.entries).await?;
        closes::insert(tx, self.closes).await?;
        self.events.insert(tx).await
    }
}

/// Tells who watches the conversations once the transaction has committed.
pub(crate) fn hint_on_commit(tx: &mut Tx, hints: &ChangeNotifier, changed: Vec<Uuid>) {
    let hints = hints.clone();
    tx.on_commit(move || changed.into_iter().for_each(|id| hints.notify(id)));
}
