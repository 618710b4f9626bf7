//! Keeps which agents own which open conversations, and which conversations wait in the queue of routing (rules A6, A7): the load of an
//! agent is the number of theirs. Also the closes that end periods of the history (rule A8), which need no transaction of their own here.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_bus::{Consumer, Outcome};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{
    AssigneeChanged, ConversationClosed, ConversationHandedOff, ConversationReopened, ConversationStarted, Event,
};
use futures::{FutureExt, StreamExt, stream};
use prost::Name;
use uuid::Uuid;

use super::conversation_changes::change;
use crate::{
    App,
    commands::{self, LockWait},
    domain::ConversationChange,
};

/// Maximum number of events of one batch.
const MAX_BATCH: usize = 256;

/// Maximum number of accounts whose events of one batch are recorded at the same time.
const ACCOUNTS_AT_ONCE: usize = 8;

/// Records the owner and the status of conversations. Events may come in any order and repeatedly: the higher epoch has the owner, the
/// higher version of the conversation the status.
pub(crate) struct Load(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for Load {
    fn name(&self) -> &'static str {
        "assignment.load"
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![
            ConversationStarted::full_name(),
            AssigneeChanged::full_name(),
            ConversationHandedOff::full_name(),
            ConversationReopened::full_name(),
            ConversationClosed::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match change(event) {
            Ok(change) => commands::record_changes(&self.0, change.account, vec![&change], LockWait::Long).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    /// Those of each account have a transaction: one that fails has its events handled one by one, and holds up no other account.
    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let changes: Vec<Option<ConversationChange>> = events.iter().map(|event| change(event).ok()).collect();
        let closes = changes.iter().flatten().filter(|change| change.closes()).collect();
        let closed = commands::record_closes(&self.0, closes).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "closes are recorded with the other events of their accounts");
            BTreeSet::new()
        });
        let mut by_account: BTreeMap<AccountId, Vec<&ConversationChange>> = BTreeMap::new();
        for change in changes.iter().flatten().filter(|change| !is_of(&closed, change)) {
            by_account.entry(change.account).or_default().push(change);
        }
        let failed = self.record(by_account).await;
        let is_recorded = |change: &ConversationChange| is_of(&closed, change) || !failed.contains(&change.account);
        changes.iter().map(|change| change.as_ref().is_some_and(is_recorded)).collect()
    }
}

/// Whether the change is one of the closes of these conversations.
fn is_of(closed: &BTreeSet<(AccountId, Uuid)>, change: &ConversationChange) -> bool {
    change.closes() && closed.contains(&(change.account, change.conversation))
}

impl Load {
    /// Returns the accounts whose changes are not recorded.
    async fn record(&self, by_account: BTreeMap<AccountId, Vec<&ConversationChange>>) -> BTreeSet<AccountId> {
        let mut recording = Vec::new();
        for (account, changes) in by_account {
            recording.push(self.record_of(account, changes).boxed());
        }
        let failed: Vec<Option<AccountId>> = stream::iter(recording).buffer_unordered(ACCOUNTS_AT_ONCE).collect().await;
        failed.into_iter().flatten().collect()
    }

    /// None: they are recorded.
    async fn record_of(&self, account: AccountId, changes: Vec<&ConversationChange>) -> Option<AccountId> {
        let error = commands::record_changes(&self.0, account, changes, LockWait::Short).await.err()?;
        tracing::debug!(%error, account_id = %account, "the events of an account are recorded one by one");
        Some(account)
    }
}
