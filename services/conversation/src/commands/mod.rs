//! What a caller can do: one file each. A command begins a transaction, loads the row locked, lets the domain decide, saves
//! and commits.

mod change_assignee;
mod choose_button;
mod close_conversation;
mod close_idle_conversations;
mod contact_of_visitor;
mod create_channel;
mod create_contact;
mod create_ticket;
mod hand_off;
mod link_contact;
mod post_comment;
mod post_message;
mod record_answer;
mod reopen_conversation;
mod rotate_visitor_key;
mod send_message;
mod start_chat;
mod update_channel;
mod update_contact;
mod update_ticket;

pub(crate) use change_assignee::{ChangeAssignee, change_assignee};
pub(crate) use choose_button::{ChooseButton, choose_button};
pub(crate) use close_conversation::{CloseConversation, Closer, close_conversation};
pub(crate) use close_idle_conversations::{Idle, IdleOutcome, close_idle_conversations};
pub(crate) use create_channel::{CreateChannel, create_channel};
pub(crate) use create_contact::{CreateContact, create_contact};
pub(crate) use create_ticket::{CreateTicket, create_ticket};
pub(crate) use hand_off::{HandOff, hand_off};
pub(crate) use link_contact::link_contact;
pub(crate) use post_comment::{PostComment, post_comment};
pub(crate) use post_message::{PostMessage, Poster, post_message};
pub(crate) use record_answer::{RecordAnswer, record_answer};
pub(crate) use reopen_conversation::reopen_conversation;
pub(crate) use rotate_visitor_key::{RotateVisitorKey, rotate_visitor_key};
pub(crate) use send_message::{SendMessage, send_message};
pub(crate) use start_chat::{StartChat, start_chat};
pub(crate) use update_channel::{UpdateChannel, delete_channel, update_channel};
pub(crate) use update_contact::{UpdateContact, update_contact};
pub(crate) use update_ticket::{UpdateTicket, update_ticket};

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    App,
    domain::{Conversation, Entry, Refused},
    error::{ConversationError, Explained},
    store::{
        entries,
        names::{self, Names},
        writer::{No, Unwritten, Wanted, Written},
    },
};

/// The refusal with what is true now.
async fn explain<C: ConnectionTrait>(conn: &C, conversation: Conversation, refused: Refused) -> ConversationError {
    match names::owner(conn, &conversation).await {
        Ok(owner) => ConversationError::Refused(Box::new(Explained::new(refused, conversation, owner))),
        Err(error) => error.into(),
    }
}

/// The entry that the first try of a request made.
async fn made_before<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    conversation: Uuid,
    sequence: i64,
) -> Result<Entry, ConversationError> {
    let entry = entries::find(conn, account, conversation, sequence).await?;
    Ok(entry.ok_or_else(|| DbErr::RecordNotFound("the entry of a repeated request".into()))?)
}

/// Has it written with whatever else waits. `kind`: what a caller calls a conversation.
async fn write(app: &App, kind: &'static str, wanted: Wanted) -> Result<(Entry, Names), ConversationError> {
    let (account, conversation) = (wanted.account, wanted.conversation);
    match app.writer.write(wanted).await {
        Ok(Written::Now(entry, names)) => Ok((*entry, names)),
        Ok(Written::Before(sequence)) => {
            let read = app.db.read_for(account).await?;
            let entry = made_before(&read.conn(), account, conversation, sequence).await?;
            let names = names::find_named(&read.conn(), account, std::slice::from_ref(&entry)).await?;
            Ok((entry, names))
        }
        Err(Unwritten::NotFound) => Err(ConversationError::NotFound(kind)),
        Err(Unwritten::Reused) => Err(ConversationError::RequestIdReused),
        Err(Unwritten::No(No::Refused(refused), conversation)) => {
            let read = app.db.read_for(account).await?;
            Err(explain(&read.conn(), *conversation, refused).await)
        }
        Err(Unwritten::No(No::AgentUnknown, _)) => Err(ConversationError::AgentUnknown),
        Err(Unwritten::No(No::AgentNotActive, _)) => Err(ConversationError::AgentNotActive),
        Err(Unwritten::Lost) => Err(ConversationError::DatabaseLost),
        Err(Unwritten::Db(error)) => Err(error.into()),
    }
}
