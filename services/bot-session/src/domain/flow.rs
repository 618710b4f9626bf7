//! A flow: what a bot does, as data (rule B6). Stored as JSON.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The steps of a bot. A session begins at the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) action: Action,
    /// None: the next in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// Says something and goes on.
    Say {
        /// What.
        text: String,
    },
    /// Asks, waits, and keeps the answer.
    Ask {
        /// The question.
        text: String,
        /// The contact's property.
        property: String,
        /// What an answer has to look like.
        check: Check,
        /// What to say to one that does not; empty: a plain sentence.
        retry_text: String,
    },
    /// Offers buttons and waits.
    Buttons {
        /// Said above them.
        text: String,
        /// The buttons.
        buttons: Vec<Button>,
    },
    /// Hands the chat to people.
    HandOff {
        /// Said before; empty: nothing.
        text: String,
        /// Why, for the team.
        reason: String,
        /// For whom; None: routing decides.
        agent: Option<Uuid>,
    },
    /// Closes the chat.
    Close {
        /// Said before; empty: nothing.
        text: String,
    },
}

/// A button and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
    /// None: the step after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What an answer has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    /// Anything but silence.
    Anything,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A whole number.
    Number,
}

impl Flow {
    /// The place of a step in the list.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }

    /// The place of the step that follows the one at `position`, by `next` or else by the list; None: the end.
    pub(crate) fn following(&self, position: usize, next: Option<&str>) -> Option<usize> {
        match next {
            Some(id) => self.position(id),
            None => Some(position + 1).filter(|next| *next < self.steps.len()),
        }
    }
}

impl Step {
    /// True: the bot waits for the visitor there.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.action, Action::Ask { .. } | Action::Buttons { .. })
    }
}
