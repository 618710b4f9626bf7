//! Rows that are inserted beside the rows of conversations: entries, events, closing snapshots.

use std::collections::BTreeMap;

use frontdesk_bus::ChangeNotifier;
use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::Events;
use sea_orm::DbErr;
use uuid::Uuid;

use super::{closing_snapshots, entity::entry, entries, events};
use crate::domain::{ClosingSnapshot, Conversation, ConversationEvent};

/// Taken from loaded conversations, in the order in which they happened.
pub(crate) struct NewRows {
    pub(super) entries: Vec<entry::Model>,
    pub(super) events: Events,
    pub(super) snapshots: Vec<ClosingSnapshot>,
    /// The conversations that changed, with the version of the row that was loaded.
    pub(super) changed: BTreeMap<(AccountId, Uuid), i64>,
}

impl NewRows {
    /// No rows. `now`: time by the database's clock.
    pub(crate) fn new(now: Time) -> Self {
        Self { entries: Vec::new(), events: Events::new(now), snapshots: Vec::new(), changed: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }

    /// The conversations that changed, with the version that each had before.
    pub(crate) fn changed(&self) -> &BTreeMap<(AccountId, Uuid), i64> {
        &self.changed
    }

    /// Takes the entries and events that were added to the conversation, and numbers its events. `traceparent`: trace of the
    /// call that added them.
    pub(crate) fn take_from(&mut self, conversation: &mut Conversation, traceparent: &str) -> Result<(), DbErr> {
        if !conversation.has_changed() {
            return Ok(());
        }
        self.changed.entry((conversation.account, conversation.id)).or_insert(conversation.version);
        for new in conversation.new_entries.drain(..) {
            self.entries.push(entry::Model::new(conversation.account, new)?);
        }
        let happened = std::mem::take(&mut conversation.new_events);
        let first_version = conversation.version + 1;
        conversation.version += happened.len() as i64;
        for (version, event) in (first_version..).zip(happened) {
            events::push(&mut self.events, conversation, version, &event, traceparent);
            if let ConversationEvent::Closed(closed) = event {
                self.snapshots.push(ClosingSnapshot::new(conversation, closed.facts));
            }
        }
        Ok(())
    }

    /// Inserts the rows.
    pub(super) async fn insert(self, tx: &mut Tx, notifier: &ChangeNotifier) -> Result<(), DbErr> {
        notify_on_commit(tx, notifier, self.changed.into_keys().map(|(_, id)| id).collect());
        entries::insert(tx, self.entries).await?;
        closing_snapshots::insert(tx, self.snapshots).await?;
        self.events.insert(tx).await
    }
}

/// Notifies the watchers of the conversations once the transaction has committed.
pub(super) fn notify_on_commit(tx: &mut Tx, notifier: &ChangeNotifier, changed: Vec<Uuid>) {
    let notifier = notifier.clone();
    tx.on_commit(move || changed.into_iter().for_each(|id| notifier.notify(id)));
}
