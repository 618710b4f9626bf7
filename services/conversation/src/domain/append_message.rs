//! A message that is to be appended to a conversation: plain data, so that it can queue at the message writer and be applied
//! again when a batch is retried.

use frontdesk_clock::Time;
use uuid::Uuid;

use super::{Agent, Button, Content, Conversation, Entry, Rejection, RichText, SentAttachment, SentInsert, TeamMember};

/// A message, by the actor who writes it.
#[derive(Clone, Debug)]
pub(crate) enum AppendMessage {
    /// An agent or administrator writes (rules C4, C6, C11). None as epoch: at any.
    Team {
        author: TeamMember,
        text: String,
        rich_text: Option<RichText>,
        inserts: Vec<SentInsert>,
        request_id: String,
        expected_epoch: Option<i64>,
    },
    /// The bot in charge writes (rule A3).
    Bot { session: Uuid, text: String, buttons: Vec<Button> },
    /// The visitor writes (rules C4, E2a, E3).
    Visitor { visitor: String, text: String, request_id: String },
}

/// What the decision needs besides the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// Time by the database's clock, read after the row was locked.
    pub(crate) now: Time,
    /// The writing agent. None: this service does not know them.
    pub(crate) agent: Option<&'a Agent>,
    /// Attachments that are sent with the message (rule C5).
    pub(crate) attachments: &'a [SentAttachment],
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

    /// Appends the message to the locked conversation and returns its entry.
    pub(crate) fn apply(&self, conversation: &mut Conversation, context: Context<'_>) -> Result<Entry, Rejection> {
        match self {
            Self::Team { author, text, rich_text, inserts, request_id, expected_epoch } => {
                if author.agent().is_some() {
                    Agent::require_active(context.agent)?;
                }
                let request_id = Some(request_id.clone());
                let (text, rich_text, inserts) = (text.clone(), rich_text.clone(), inserts.clone());
                let attachments = context.attachments.to_vec();
                let content =
                    Content::Message { text, buttons: Vec::new(), chosen: None, inserts, attachments, rich_text };
                conversation.append_team_message(author, content, request_id, *expected_epoch, context.now)
            }
            Self::Bot { session, text, buttons } => {
                let (text, buttons) = (text.clone(), buttons.clone());
                let content = Content::Message {
                    text,
                    buttons,
                    chosen: None,
                    inserts: Vec::new(),
                    attachments: Vec::new(),
                    rich_text: None,
                };
                conversation.append_bot_message(*session, content, context.now)
            }
            Self::Visitor { text, request_id, .. } => {
                let request_id = Some(request_id.clone());
                let content = Content::Message {
                    text: text.clone(),
                    buttons: Vec::new(),
                    chosen: None,
                    inserts: Vec::new(),
                    attachments: context.attachments.to_vec(),
                };
                conversation.append_visitor_message(content, request_id, context.now)
            }
        }
    }
}
