//! What a bot is: a flow, or a program of the customer's, its engine (rule B7), and its message before the timeout (rule B4).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Flow, Reference};

/// How long a turn waits for a stream, and an answer may take, unless the bot says (seconds).
pub(crate) const DEFAULT_ENGINE_TIMEOUT: Duration = Duration::from_secs(30);

/// Number of times that a turn is sent, unless the bot says.
pub(crate) const DEFAULT_ATTEMPTS: u32 = 3;

/// When a bot that is a program of the customer's counts as gone. Its JSON form is what the database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// How long a turn may wait for a stream.
    pub(crate) take_timeout: Duration,
    /// How long an answer, or its next part, may take.
    pub(crate) answer_timeout: Duration,
    /// Number of times that a turn is sent.
    pub(crate) max_attempts: u32,
}

/// A message of a bot before the timeout (rule B4). Its JSON form is what the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reminder {
    pub(crate) text: String,
    /// How long before the end of the timeout it is sent.
    pub(crate) before_end: Duration,
}

/// What decides a bot's turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A flow, which Frontdesk runs.
    Flow(Flow),
    /// A program of the customer's.
    Engine(Engine),
}

impl Program {
    /// Returns what steps of a flow name of other services, each with the path of its field.
    pub(crate) fn references(&self) -> Vec<(String, Reference)> {
        self.flow().map(Flow::references).unwrap_or_default()
    }

    /// Returns the flow. None: a program of the customer's is the bot.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Flow(flow) => Some(flow),
            Self::Engine(_) => None,
        }
    }
}
