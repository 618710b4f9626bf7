//! A flow: what a bot does, as data (rule B6). Its JSON form is what the database holds.

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
    pub(crate) action: StepAction,
    /// Id of the step that follows. None: the next in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StepAction {
    /// Says something and continues with the next step.
    Say {
        /// What the bot says.
        text: String,
    },
    /// Asks a question, waits, and records the answer.
    Ask {
        /// The question.
        text: String,
        /// The contact's property that receives the answer.
        property: String,
        /// The check that an answer must pass.
        check: AnswerCheck,
        /// What the bot says after an answer that does not pass. Empty: the check's default text.
        retry_text: String,
    },
    /// Offers buttons and waits.
    Buttons {
        /// The text above the buttons.
        text: String,
        /// The buttons.
        buttons: Vec<Button>,
    },
    /// Hands the chat to the team.
    HandOff {
        /// What the bot says first. Empty: nothing.
        text: String,
        /// Why, for the team.
        reason: String,
        /// The agent it is meant for. None: routing decides.
        agent: Option<Uuid>,
        /// The routing policy by which it waits. None: the channel's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<Uuid>,
        /// The team whose members get it. None: the policy says who does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        team: Option<Uuid>,
    },
    /// Closes the chat.
    Close {
        /// What the bot says first. Empty: nothing.
        text: String,
    },
}

/// A button and the step it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Button {
    pub(crate) id: String,
    pub(crate) label: String,
    /// Id of the step that follows. None: the one that follows the buttons' own step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

/// What an answer must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AnswerCheck {
    /// Any text that is not empty.
    Anything,
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// A whole number.
    Number,
}

impl Flow {
    /// Returns the index of a step in the list.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }

    /// Returns the index of the step that follows the one at `position`: the step named by `next`, or else the next in the
    /// list. None: the flow ends.
    pub(crate) fn following(&self, position: usize, next: Option<&str>) -> Option<usize> {
        match next {
            Some(id) => self.position(id),
            None => Some(position + 1).filter(|next| *next < self.steps.len()),
        }
    }

    /// Returns the agents whom hand-off steps name, each with the index of the step.
    pub(crate) fn agents(&self) -> impl Iterator<Item = (usize, Uuid)> {
        self.steps.iter().enumerate().filter_map(|(at, step)| match step.action {
            StepAction::HandOff { agent, .. } => agent.map(|agent| (at, agent)),
            _ => None,
        })
    }

    /// Returns the routing policies and teams that hand-off steps name, each with the index of the step.
    pub(crate) fn routing_targets(&self) -> impl Iterator<Item = (usize, RoutingTarget)> {
        self.steps.iter().enumerate().flat_map(|(at, step)| {
            let (policy, team) = match step.action {
                StepAction::HandOff { policy, team, .. } => (policy, team),
                _ => (None, None),
            };
            RoutingTarget::named_by(policy, team).map(move |target| (at, target))
        })
    }
}

/// A routing policy or a team that a hand-off names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RoutingTarget {
    Policy(Uuid),
    Team(Uuid),
}

impl RoutingTarget {
    pub(crate) fn named_by(policy: Option<Uuid>, team: Option<Uuid>) -> impl Iterator<Item = Self> {
        policy.map(Self::Policy).into_iter().chain(team.map(Self::Team))
    }

    /// Returns the field of a hand-off that names it.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Policy(_) => "hand_off.routing_policy_id",
            Self::Team(_) => "hand_off.team_id",
        }
    }
}

impl Step {
    /// Returns whether the bot waits for the visitor at this step.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.action, StepAction::Ask { .. } | StepAction::Buttons { .. })
    }
}
