//! The unit of work of most commands: one conversation changes, with its entries and events, in one transaction.

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_db::Tx;
use frontdesk_idempotency::Key;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::reject;
use crate::{
    App,
    domain::{Conversation, Rejection},
    error::ConversationError,
    store::conversations,
};

/// A conversation that is locked and about to change. Dropping it rolls back.
pub(crate) struct ConversationChange<'a> {
    app: &'a App,
    pub(crate) tx: Tx,
    pub(crate) conversation: Conversation,
    /// Time by the database's clock, read after the lock.
    pub(crate) now: Time,
    key: Option<Key>,
}

/// How a change begins.
pub(crate) enum Begun<'a, T> {
    /// The first request: decide, and finish the change.
    First(ConversationChange<'a>),
    /// A repeat: the conversation as it is now, and what the first request stored (rule C12).
    Repeat(ConversationChange<'a>, T),
}

impl<'a> ConversationChange<'a> {
    /// Begins with a conversation of the caller's account. None as key: the request has no id.
    pub(crate) async fn begin<T: DeserializeOwned>(
        app: &'a App,
        caller: &Caller,
        conversation: Uuid,
        key: Option<Key>,
    ) -> Result<Begun<'a, T>, ConversationError> {
        let tx = app.db.begin_for(caller.account).await?;
        Self::begin_in(app, tx, caller, conversation, key).await
    }

    /// The same in a transaction that has locked what comes before conversations: addresses and visitors.
    pub(crate) async fn begin_in<T: DeserializeOwned>(
        app: &'a App,
        tx: Tx,
        caller: &Caller,
        conversation: Uuid,
        key: Option<Key>,
    ) -> Result<Begun<'a, T>, ConversationError> {
        let conversation = conversations::find_for_update(&tx, caller.account, conversation).await?;
        let conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
        Self::claim(app, tx, conversation, key).await
    }

    /// Begins with a chat of the calling visitor (rule S3).
    pub(crate) async fn begin_chat<T: DeserializeOwned>(
        app: &'a App,
        caller: &Caller,
        chat: Uuid,
        key: Option<Key>,
    ) -> Result<Begun<'a, T>, ConversationError> {
        let tx = app.db.begin_for(caller.account).await?;
        Self::begin_chat_in(app, tx, caller, chat, key).await
    }

    /// The same in a transaction that has locked what comes before conversations: addresses and visitors.
    pub(crate) async fn begin_chat_in<T: DeserializeOwned>(
        app: &'a App,
        tx: Tx,
        caller: &Caller,
        chat: Uuid,
        key: Option<Key>,
    ) -> Result<Begun<'a, T>, ConversationError> {
        let own = conversations::find_of_visitor_for_update(&tx, caller.account, chat, &caller.actor.id).await?;
        let conversation = own.ok_or(ConversationError::NotFound("chat"))?;
        Self::claim(app, tx, conversation, key).await
    }

    async fn claim<T: DeserializeOwned>(
        app: &'a App,
        tx: Tx,
        conversation: Conversation,
        key: Option<Key>,
    ) -> Result<Begun<'a, T>, ConversationError> {
        let first_result = match &key {
            Some(key) => key.claim::<T>(&tx).await?,
            None => None,
        };
        let now = tx.now().await?;
        let change = Self { app, tx, conversation, now, key };
        Ok(match first_result {
            Some(result) => Begun::Repeat(change, result),
            None => Begun::First(change),
        })
    }

    /// Commits what the domain decided, or explains its rejection. Repeats get the conversation as it is then.
    pub(crate) async fn finish(self, decision: Result<(), Rejection>) -> Result<Conversation, ConversationError> {
        match decision {
            Ok(()) => self.commit(&()).await,
            Err(rejection) => Err(self.reject(rejection).await),
        }
    }

    /// Saves the conversation, stores the result for repeats, and commits.
    pub(crate) async fn commit<T: Serialize>(mut self, result: &T) -> Result<Conversation, ConversationError> {
        conversations::save(&mut self.tx, &self.app.notifier, &mut self.conversation).await?;
        if let Some(key) = &self.key {
            key.store_result(&self.tx, result).await?;
        }
        self.tx.commit().await?;
        Ok(self.conversation)
    }

    /// Rolls back. Returns the error with the current state.
    pub(crate) async fn reject(self, rejection: Rejection) -> ConversationError {
        reject(self.tx.conn(), self.conversation, rejection).await
    }
}
