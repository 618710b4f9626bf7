//! The visitor's answer to the bot becomes a property of their contact (rules B6, X1).

use frontdesk_api::FieldError;
use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use super::steps::{Begun, ConversationChange, VisitorAnswer, VisitorInChat, give_language, record_visitor_answer};
use crate::{
    App,
    domain::{Actor, Conversation},
    error::ConversationError,
    store::conversations,
};

pub(crate) struct RecordAnswer {
    pub(crate) conversation: Uuid,
    pub(crate) session: Uuid,
    pub(crate) property: String,
    pub(crate) value: String,
    /// None: the caller is of a release that sends no request id.
    pub(crate) key: Option<Key>,
}

pub(crate) async fn record_answer(
    app: &App,
    caller: &Caller,
    command: RecordAnswer,
) -> Result<Conversation, ConversationError> {
    let RecordAnswer { conversation, session, property, value, key } = command;
    let Some(answer) = VisitorAnswer::try_new(property, value) else {
        let remedy = "must be an address that mail can go to, such as ada@example.com";
        return Err(ConversationError::Fields(vec![FieldError::new("value", remedy)]));
    };
    let tx = app.db.begin_for(caller.account).await?;
    let visitor = conversations::find(tx.conn(), caller.account, conversation).await?;
    let visitor = visitor.ok_or(ConversationError::NotFound("conversation"))?.visitor_id;
    let locked = answer.lock(&tx, caller.account, &visitor, conversation).await?;
    let mut begun = match ConversationChange::begin_in(app, tx, caller, conversation, key).await? {
        Begun::First(begun) => begun,
        Begun::Repeat(begun, ()) => return Ok(begun.conversation),
    };
    let bot = match begun.conversation.require_in_charge(session) {
        Ok(bot) => bot,
        Err(rejection) => return Err(begun.reject(rejection).await),
    };
    let whose = VisitorInChat::from(&begun.conversation);
    let contact = record_visitor_answer(app, &mut begun.tx, whose, answer, locked, begun.now).await?;
    begun.conversation.link_contact(contact, Actor::bot(bot), begun.now);
    give_language(&mut begun.tx, &begun.conversation, begun.now).await?;
    begun.finish(Ok(())).await
}
