//! How many open conversations routing lets an agent have.

/// Maximum number of open conversations of an agent for whom nothing else is set.
const DEFAULT_CONVERSATIONS: i32 = 5;

/// How many open conversations routing lets an agent have. By hand an agent may get more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// At most this many. 0: routing assigns none.
    Conversations(i32),
    /// Any number.
    Unlimited,
}

impl Default for Capacity {
    fn default() -> Self {
        Self::Conversations(DEFAULT_CONVERSATIONS)
    }
}
