//! Why the domain rejects a change. The current state is read from the conversation.

use frontdesk_clock::Time;

/// Why a change of a conversation is rejected. A rejected change leaves the conversation as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The conversation is closed (rule E3).
    Closed,
    /// A bot is in charge: an agent takes over first (rule C11).
    BotInCharge,
    /// The bot session is not in charge, or no longer (rule A3).
    SessionNotInCharge,
    /// The visitor was active since the bot looked.
    VisitorActive,
    /// The visitor has an answer, or never wrote.
    VisitorNotWaiting,
    /// The owner changed since the expected epoch (rule A1).
    OwnerChanged,
    /// The agent is not on the roster, as far as this service knows.
    AgentUnknown,
    /// The agent was deactivated.
    AgentInactive,
    /// The newest question is another one, or does not offer the button.
    ButtonNotOffered,
    /// The visitor has a newer open conversation on the channel (rule E4).
    NewerConversationOpen,
    /// The conversation has no contact yet.
    ContactUnknown,
    /// The contact of the conversation was erased (rule X2).
    ContactErased,
}

/// Why a session's timeout does not close the conversation (rules B4, B5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdleRejection {
    /// The visitor was active: the timeout expires at `idle_at`.
    VisitorActive { idle_at: Time },
    /// The session is not in charge, has no timeout, or the conversation was closed for another reason.
    NotInCharge,
}

/// Why a code that a visitor entered does not verify their address (rule X1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeRefusal {
    Wrong {
        /// Number of attempts that are left.
        remaining: i32,
    },
    /// No code was mailed to the address for the visitor within the time that it is valid.
    Expired,
    /// Too many wrong codes were entered.
    UsedUp,
}
