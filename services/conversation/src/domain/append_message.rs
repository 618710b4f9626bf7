//! A message that is to be appended to a conversation: plain data, so that it can queue at the message writer and be applied
//! again when a batch is retried.

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Agent, Content, Conversation, Entry, Message, Rejection, TeamMember};

/// A message, by the actor who writes it.
#[derive(Clone, Debug)]
pub(crate) enum AppendMessage {
    /// An agent or administrator writes (rules C4, C5, C6, C11). None as epoch: at any.
    Team { author: TeamMember, message: Message, request_id: String, expected_epoch: Option<i64> },
    /// The bot in charge writes (rule A3).
    Bot {
        session: Uuid,
        message: Message,
        /// Only if the visitor was not active after this time. None: in any case.
        silent_since: Option<Time>,
    },
    /// The visitor writes (rules C4, C5, E2a, E3).
    Visitor { visitor: String, message: Message, request_id: String },
}

/// What the decision needs besides the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Time by the database's clock, read after the row was locked.
    pub(crate) now: Time,
    /// The writing agent. None: this service does not know them.
    pub(crate) agent: Option<&'a Agent>,
}

impl AppendMessage {
    /// The agent who writes, if one does.
    pub(crate) fn agent(&self) -> Option<Uuid> {
        match self {
            Self::Team { author, .. } => author.agent(),
            Self::Bot { .. } | Self::Visitor { .. } => None,
        }
    }

    /// Whether the conversation exists for the author: a visitor has only their own (rule S3).
    pub(crate) fn may_address(&self, conversation: &Conversation) -> bool {
        match self {
            Self::Visitor { visitor, .. } => *visitor == conversation.visitor_id,
            Self::Team { .. } | Self::Bot { .. } => true,
        }
    }

    /// The message.
    pub(crate) fn message_mut(&mut self) -> &mut Message {
        match self {
            Self::Team { message, .. } | Self::Bot { message, .. } | Self::Visitor { message, .. } => message,
        }
    }

    /// Appends the message to the locked conversation and returns its entry.
    pub(crate) fn apply(&self, conversation: &mut Conversation, context: Context<'_>) -> Result<Entry, Rejection> {
        let content = |message: &Message| Content::Message(message.clone());
        match self {
            Self::Team { author, message, request_id, expected_epoch } => {
                if author.agent().is_some() {
                    Agent::require_active(context.agent)?;
                }
                let request_id = Some(request_id.clone());
                conversation.append_team_message(author, content(message), request_id, *expected_epoch, context.now)
            }
            Self::Bot { session, message, silent_since } => {
                conversation.require_silent_since(*session, *silent_since)?;
                conversation.append_bot_message(*session, content(message), context.now)
            }
            Self::Visitor { message, request_id, .. } => {
                conversation.append_visitor_message(content(message), Some(request_id.clone()), context.now)
            }
        }
    }
}
