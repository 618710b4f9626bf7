//! A flow: what a bot does, as data (rule B6). Its JSON form is what the database holds.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Condition, HandOffTarget};

/// How the ids of the buttons of choices begin; their number follows.
const CHOICE: &str = "choice-";

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
        /// Inserts of the library that the message gets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inserts: Vec<Uuid>,
    },
    /// Asks a question, waits, and records the answer.
    Ask(Question),
    /// Offers buttons and waits.
    Buttons {
        /// The text above the buttons.
        text: String,
        /// The buttons.
        buttons: Vec<Button>,
        /// How often another message is tolerated. None: always.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempts: Option<Attempts>,
    },
    /// Chooses the next step: the one of the first case that holds, or else the step's own.
    Branch {
        /// The cases, in the order in which they are tested.
        cases: Vec<Case>,
    },
    /// Stores a value as a property of the contact.
    SetProperty { property: String, value: String },
    /// Creates a ticket for the contact.
    CreateTicket { subject: String },
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

/// What an `ask` step asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The question.
    pub(crate) text: String,
    /// The contact's property that receives the answer.
    pub(crate) property: String,
    /// The check that an answer must pass.
    pub(crate) check: AnswerCheck,
    /// What the bot says after an answer that does not pass. Empty: the check's default text.
    pub(crate) retry_text: String,
    /// The answers to choose from, in place of the check. Empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<String>,
    /// How often an answer that does not pass is tolerated. None: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempts: Option<Attempts>,
    /// Whether what the visitor wrote before the bot did may answer it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) takes_first_message: bool,
}

/// After how many wrong answers the bot goes on, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// Number of wrong answers.
    pub(crate) max: u32,
    /// Id of the step that follows them.
    pub(crate) fallback: String,
}

/// A case of a branch, and the step it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// All of them must hold.
    pub(crate) conditions: Vec<Condition>,
    /// Id of the step that follows. None: the next in the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
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

/// Something that belongs to another service, and that a step, or a hand-off of an engine, names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    Agent(Uuid),
    RoutingPolicy(Uuid),
    Team(Uuid),
    OpeningHours(Uuid),
    Insert(Uuid),
}

impl Flow {
    /// Returns the index of a step in the list.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.steps.iter().position(|step| step.id == id)
    }

    /// Returns the index of each step by its id; of steps with one id, that of the first.
    pub(super) fn positions(&self) -> HashMap<&str, usize> {
        self.steps.iter().enumerate().rev().map(|(at, step)| (step.id.as_str(), at)).collect()
    }

    /// Returns the index of the step that follows the one at `position`: the step named by `next`, or else the next in the
    /// list. None: the flow ends.
    pub(crate) fn following(&self, position: usize, next: Option<&str>) -> Option<usize> {
        match next {
            Some(id) => self.position(id),
            None => Some(position + 1).filter(|next| *next < self.steps.len()),
        }
    }

    /// Returns whether a question may be answered by what the visitor wrote before the bot did.
    pub(crate) fn takes_first_message(&self) -> bool {
        self.steps.iter().any(|step| matches!(&step.action, StepAction::Ask(question) if question.takes_first_message))
    }

    /// Returns what steps name of other services, each with the path of its field.
    pub(crate) fn references(&self) -> Vec<(String, Reference)> {
        let mut references = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let mut add = |field: String, reference| references.push((format!("flow.steps[{at}].{field}"), reference));
            match &step.action {
                StepAction::HandOff { agent, policy, team, .. } => {
                    let to = HandOffTarget { agent: *agent, policy: *policy, team: *team };
                    to.references().for_each(|(field, reference)| add(field.to_owned(), reference));
                }
                StepAction::Say { inserts, .. } => {
                    let numbered = inserts.iter().enumerate();
                    numbered.for_each(|(n, id)| add(format!("say.insert_ids[{n}]"), Reference::Insert(*id)));
                }
                StepAction::Branch { cases } => {
                    for (n, case) in cases.iter().enumerate() {
                        let hours = case.conditions.iter().enumerate();
                        for (m, id) in hours.filter_map(|(m, condition)| Some((m, condition.opening_hours()?))) {
                            let field = format!("branch.cases[{n}].conditions[{m}].opening_hours.opening_hours_id");
                            add(field, Reference::OpeningHours(id));
                        }
                    }
                }
                StepAction::Ask(_)
                | StepAction::Buttons { .. }
                | StepAction::SetProperty { .. }
                | StepAction::CreateTicket { .. }
                | StepAction::Close { .. } => {}
            }
        }
        references
    }
}

impl Step {
    /// Returns whether the bot waits for the visitor at this step.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.action, StepAction::Ask(_) | StepAction::Buttons { .. })
    }

    /// Returns whether the flow ends with this step.
    pub(super) fn ends(&self) -> bool {
        matches!(self.action, StepAction::HandOff { .. } | StepAction::Close { .. })
    }

    /// Returns after how many wrong answers the bot goes on. None: never, or it does not wait.
    pub(super) fn attempts(&self) -> Option<&Attempts> {
        match &self.action {
            StepAction::Ask(question) => question.attempts.as_ref(),
            StepAction::Buttons { attempts, .. } => attempts.as_ref(),
            _ => None,
        }
    }
}

impl Question {
    /// Returns the text of the choice that this button offers.
    pub(crate) fn choice(&self, button: &str) -> Option<&str> {
        let number: usize = button.strip_prefix(CHOICE)?.parse().ok()?;
        self.choices.get(number.checked_sub(1)?).map(String::as_str)
    }

    /// Returns the buttons of its choices.
    pub(super) fn buttons(&self) -> Vec<Button> {
        let button = |(at, choice): (usize, &String)| Button {
            id: format!("{CHOICE}{}", at + 1),
            label: choice.clone(),
            next: None,
        };
        self.choices.iter().enumerate().map(button).collect()
    }
}
