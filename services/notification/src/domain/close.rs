//! A close of a conversation, with the facts stored at it (rule T2).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

/// The facts of a close that decide whether its transcript is mailed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecisionFacts {
    /// The channel sends transcripts automatically.
    pub(crate) transcript_enabled: bool,
    pub(crate) had_bot_session: bool,
    /// An agent was assignee at some time before the close.
    pub(crate) had_agent: bool,
    /// A ticket was created for the contact.
    pub(crate) had_ticket: bool,
    pub(crate) contact_known: bool,
    /// The contact had an address that mail may go to.
    pub(crate) email_usable: bool,
    pub(crate) email_verified: bool,
    /// The visitor's token had an address that mail cannot go to, so that it was not used.
    pub(crate) token_email_unusable: bool,
}

/// One close of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct ConversationClose {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    /// Number of the close within its conversation: 1, 2, ...
    pub(crate) number: i32,
    pub(crate) channel: Option<Uuid>,
    pub(crate) contact: Option<Uuid>,
    /// The sender that the channel had chosen. None: it had chosen none.
    pub(crate) sender: Option<Uuid>,
    /// Sequence of the last entry of the thread.
    pub(crate) last_sequence: i32,
    pub(crate) closed_at: Time,
    pub(crate) facts: DecisionFacts,
}
