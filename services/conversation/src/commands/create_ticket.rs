//! A ticket is created for the contact of a conversation (rules X3, T2).

use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use uuid::Uuid;

use crate::{
    App,
    domain::{Author, AuthorKind, Content, TicketStatus},
    error::ConversationError,
    store::{conversations, entity::tickets::Model, names, tickets},
};

pub(crate) struct CreateTicket {
    pub conversation: Uuid,
    pub agent: Uuid,
    pub subject: String,
    pub url: String,
    pub key: Key,
}

pub(crate) async fn create_ticket(
    app: &App,
    caller: &Caller,
    command: CreateTicket,
) -> Result<Model, ConversationError> {
    let mut tx = app.db.begin_for(caller.account).await?;
    let conversation = conversations::find_for_update(&tx, caller.account, command.conversation).await?;
    let mut conversation = conversation.ok_or(ConversationError::NotFound("conversation"))?;
    if let Some(id) = command.key.claim(&tx).await? {
        return tickets::find(tx.conn(), caller.account, id).await?.ok_or(ConversationError::NotFound("ticket"));
    }

    let now = tx.now().await?;
    let ticket = Model {
        id: tx.new_id(),
        account_id: caller.account,
        conversation_id: conversation.row.id,
        contact_id: conversation.row.contact_id.ok_or(ConversationError::ContactUnknown)?,
        subject: command.subject,
        status: TicketStatus::Open,
        url: command.url,
        created_at: now,
        version: 1,
    };
    names::mention_agent(&tx, caller.account, command.agent, caller.name.as_deref().unwrap_or_default()).await?;
    conversation.note(
        Author::new(AuthorKind::Agent, command.agent),
        Content::TicketCreated { ticket_id: ticket.id },
        now,
    );
    tickets::insert(&mut tx, &ticket).await?;
    conversations::save(&mut tx, &app.hints, &mut conversation).await?;
    command.key.store_result(&tx, &ticket.id).await?;
    tx.commit().await?;
    Ok(ticket)
}
