//! What the visitor answered the bot becomes a property of the contact (rules B6, X1).

use frontdesk_api::FieldError;
use frontdesk_auth::Caller;
use uuid::Uuid;

use super::{contact_of_visitor, explain};
use crate::{
    App,
    domain::{Author, AuthorKind, Conversation, usable_address},
    error::ConversationError,
    store::conversations,
};

pub(crate) struct RecordAnswer {
    pub conversation: Uuid,
    pub session: Uuid,
    pub property: String,
    pub value: String,
}

pub(crate) async fn record_answer(
    app: &App,
    caller: &Caller,
    command: RecordAnswer,
) -> Result<Conversation, ConversationError> {
    if command.property == "email" && usable_address(&command.value).is_none() {
        let remedy = "must be an address that mail can go to, such as ada@example.com";
        return Err(ConversationError::Fields(vec![FieldError::new("value", remedy)]));
    }
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    let bot = match conversation.must_have_in_charge(command.session) {
        Ok(bot) => bot,
        Err(refused) => return Err(explain(tx.conn(), conversation, refused).await),
    };

    let now = tx.now().await?;
    let visitor = conversation.row.visitor_id.clone();
    let contact =
        contact_of_visitor::answered(&mut tx, caller.account, &visitor, &command.property, &command.value, now).await?;
    contact_of_visitor::belongs_to(&mut conversation, contact, Author::new(AuthorKind::Bot, bot), now);
    conversations::save(&mut tx, &app.hints, &mut conversation).await?;
    tx.commit().await?;
    Ok(conversation)
}
