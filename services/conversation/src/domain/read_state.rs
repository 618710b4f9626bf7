//! How far an agent has read a conversation.

/// The state of an agent who reads a conversation (rule C13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadState {
    /// The read mark: the highest sequence that is read.
    pub(crate) read: i64,
    /// Number of messages and comments after it that are not the agent's own, up to a maximum.
    pub(crate) unread: i64,
}
