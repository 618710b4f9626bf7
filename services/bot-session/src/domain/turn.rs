//! What a session does in a turn. Pure: running a turn again with the same choices yields the same actions.

use uuid::Uuid;

use super::{
    Answer, Attempts, Button, Case, Flow, Question, Reference, Step, StepAction, label::label_key,
    placeholders::has_placeholders,
};

/// What the bot says above the buttons when it offers them again.
const OFFER_AGAIN: &str = "Please choose one of these:";

/// One action of a bot in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BotAction {
    /// Posts a message.
    Say { text: String, buttons: Vec<Button> },
    /// Posts a message with copies of inserts, after its placeholders were filled.
    SayFilled { text: String, buttons: Vec<Button>, inserts: Vec<Uuid> },
    /// Records an answer as a property of the contact.
    RecordAnswer { property: String, value: String },
    /// Stores a property of the contact.
    SetProperty { property: String, value: String },
    /// Creates a ticket for the contact.
    CreateTicket { subject: String },
    /// Hands the chat to the team.
    HandOff { reason: String, to: HandOffTarget },
    /// Closes the chat.
    Close,
}

/// Whom a hand-off is meant for. Nobody is named: routing decides by the policy of the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandOffTarget {
    pub(crate) agent: Option<Uuid>,
    /// The routing policy by which it waits. None: the channel's.
    pub(crate) policy: Option<Uuid>,
    /// The team whose members get it. None: the policy says who does.
    pub(crate) team: Option<Uuid>,
}

impl HandOffTarget {
    /// Returns what it names of the assignment service, each with the path of its field in a step or a part.
    pub(crate) fn references(self) -> impl Iterator<Item = (&'static str, Reference)> {
        let agent = self.agent.map(|id| ("hand_off.agent_id", Reference::Agent(id)));
        let policy = self.policy.map(|id| ("hand_off.routing_policy_id", Reference::RoutingPolicy(id)));
        let team = self.team.map(|id| ("hand_off.team_id", Reference::Team(id)));
        [agent, policy, team].into_iter().flatten()
    }
}

/// The actions of a turn, and the step where the bot waits after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) actions: Vec<BotAction>,
    /// Id of the step. None: the flow has ended.
    pub(crate) step: Option<String>,
    /// Whether the bot asks the question of the step again, where it waited before.
    pub(crate) asks_again: bool,
    /// The answer that the visitor gave.
    pub(crate) answer: Option<Answer>,
}

/// A turn, or the branch that is to be decided before it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Turn(Turn),
    Branch(PendingBranch),
}

/// A branch that a turn reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PendingBranch {
    pub(crate) cases: Vec<Case>,
    /// Properties that the turn stores before it.
    pub(crate) stored: Vec<(String, String)>,
    /// The answer of this turn, and its step.
    pub(crate) answer: Option<(String, String)>,
}

/// Where a session waits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting<'a> {
    /// Id of the step. None: nowhere.
    pub(crate) step: Option<&'a str>,
    /// Visitor sequence of the message that asked the question of the step. None: it is not known.
    pub(crate) question: Option<i64>,
    /// Number of wrong answers to it.
    pub(crate) wrong_answers: u32,
}

/// A message of the visitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VisitorInput {
    /// Its sequence in the thread.
    pub(crate) sequence: i64,
    pub(crate) text: String,
    /// The text as one line without invisible characters, which people paste with addresses and numbers.
    pub(crate) line: String,
    /// The button that the visitor pressed. None: the visitor typed the text.
    pub(crate) button: Option<PressedButton>,
}

/// A button that a visitor pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PressedButton {
    pub(crate) id: String,
    /// Visitor sequence of the message that offered it. None: it is not known.
    pub(crate) offered_in: Option<i64>,
}

impl PressedButton {
    /// Returns whether the message that offered the button asked this question, or asked it again.
    fn answers(&self, question: Option<i64>) -> bool {
        match (self.offered_in, question) {
            (Some(offered_in), Some(question)) => offered_in >= question,
            _ => true,
        }
    }
}

/// An answer that fits the question of a step.
struct Accepted {
    /// The button, of a step that has some.
    button: Option<String>,
    /// What conditions compare: the text, or the id of the button of a `buttons` step.
    value: String,
    /// Id of the step that follows. None: the next in the list.
    next: Option<String>,
    /// The property that receives the value.
    property: Option<String>,
}

impl Flow {
    /// Returns the first turn, which answers no message, or the visitor's first one, where a question takes it. `choices`: those of the
    /// branches that the turn reaches, in their order, as far as they are made: the index of a case, or another number for none.
    pub(crate) fn open(&self, first: Option<&VisitorInput>, choices: &[usize]) -> Plan {
        Run { first, ..Run::new(self, choices) }.until_wait(Some(0))
    }

    /// Returns whether a session that waits at `step` can continue: the flow has steps, and that one is among them.
    pub(crate) fn can_continue(&self, step: Option<&str>) -> bool {
        !self.steps.is_empty() && step.is_none_or(|step| self.position(step).is_some())
    }

    /// Returns the turn that answers a message which the visitor sent while the session waited.
    pub(crate) fn advance(&self, waiting: Waiting<'_>, input: &VisitorInput, choices: &[usize]) -> Plan {
        let Some((position, step)) = self.waiting_step(waiting.step) else { return Plan::Turn(Turn::default()) };
        // A button of another question does not answer this one, whatever its id and label.
        let is_stray = input.button.as_ref().is_some_and(|button| !button.answers(waiting.question));
        let accepted = if is_stray { None } else { step.accept(input) };
        let Some(accepted) = accepted else { return self.refuse(waiting, choices) };
        let next = self.following(position, accepted.next.as_deref());
        let mut run = Run::new(self, choices);
        run.take_answer(step, accepted, input.sequence);
        run.until_wait(next)
    }

    /// Returns the turn that answers a message which does not fit: the bot says so and keeps waiting at the same step, or goes on with
    /// the fallback of the step.
    pub(crate) fn refuse(&self, waiting: Waiting<'_>, choices: &[usize]) -> Plan {
        let step = self.waiting_step(waiting.step).map(|(_, step)| step);
        let attempts = step.and_then(Step::attempts);
        if let Some(Attempts { fallback, .. }) = attempts.filter(|attempts| waiting.wrong_answers + 1 >= attempts.max) {
            return Run::new(self, choices).until_wait(self.position(fallback));
        }
        let say = step.and_then(|step| match &step.action {
            StepAction::Ask(question) => Some(say_again(question)),
            StepAction::Buttons { buttons, .. } => Some(message(OFFER_AGAIN, buttons.clone(), &[])),
            _ => None,
        });
        let step = waiting.step.map(str::to_owned);
        Plan::Turn(Turn { actions: say.into_iter().collect(), step, asks_again: true, answer: None })
    }

    fn waiting_step(&self, step: Option<&str>) -> Option<(usize, &Step)> {
        let position = self.position(step?)?;
        Some((position, &self.steps[position]))
    }
}

impl Step {
    /// Returns the answer of the message. None: it does not fit, or the step does not wait.
    fn accept(&self, input: &VisitorInput) -> Option<Accepted> {
        match &self.action {
            StepAction::Ask(question) => {
                let (button, value) = question.accept(input)?;
                Some(Accepted { button, value, next: self.next.clone(), property: Some(question.property.clone()) })
            }
            StepAction::Buttons { buttons, .. } => {
                let button = chosen_button(buttons, input)?;
                let next = button.next.clone().or_else(|| self.next.clone());
                Some(Accepted { button: Some(button.id.clone()), value: button.id.clone(), next, property: None })
            }
            _ => None,
        }
    }
}

impl Question {
    /// Returns the chosen button, of a question with choices, and the answer as it is recorded.
    fn accept(&self, input: &VisitorInput) -> Option<(Option<String>, String)> {
        if !self.choices.is_empty() {
            let buttons = self.buttons();
            return chosen_button(&buttons, input).map(|button| (Some(button.id.clone()), button.label.clone()));
        }
        if input.button.is_some() {
            return None;
        }
        self.check.for_property(&self.property).accept(input).map(|value| (None, value))
    }
}

/// The steps of a turn that is being planned.
struct Run<'a> {
    flow: &'a Flow,
    choices: std::slice::Iter<'a, usize>,
    /// The visitor's first message, until a question takes it.
    first: Option<&'a VisitorInput>,
    actions: Vec<BotAction>,
    answer: Option<Answer>,
    /// The answer's step and value.
    answered: Option<(String, String)>,
}

impl<'a> Run<'a> {
    fn new(flow: &'a Flow, choices: &'a [usize]) -> Self {
        Self { flow, choices: choices.iter(), first: None, actions: Vec::new(), answer: None, answered: None }
    }

    /// Runs steps, beginning with the one at `next`, until one waits for the visitor, one ends the session, or the flow ends.
    fn until_wait(mut self, mut next: Option<usize>) -> Plan {
        let flow = self.flow;
        // A valid flow waits or ends before it reaches a step twice, or three times where the first message answers a question. The
        // bound protects against any other.
        for _ in 0..2 * flow.steps.len() {
            let Some((at, step)) = next.and_then(|at| Some((at, flow.steps.get(at)?))) else { break };
            next = flow.following(at, step.next.as_deref());
            match &step.action {
                StepAction::Say { text, inserts } => self.actions.extend(say(text, inserts)),
                StepAction::Ask(question) => {
                    let first = self.first.take().filter(|_| question.takes_first_message);
                    let taken = first.and_then(|input| Some((step.accept(input)?, input.sequence)));
                    let Some((accepted, sequence)) = taken else {
                        self.actions.push(message(&question.text, question.buttons(), &[]));
                        return self.waits_at(step);
                    };
                    self.take_answer(step, accepted, sequence);
                }
                StepAction::Buttons { text, buttons, .. } => {
                    self.actions.push(message(text, buttons.clone(), &[]));
                    return self.waits_at(step);
                }
                StepAction::Branch { cases } => match self.choices.next() {
                    Some(choice) => {
                        if let Some(case) = cases.get(*choice) {
                            next = flow.following(at, case.next.as_deref());
                        }
                    }
                    None => return Plan::Branch(self.pending(cases)),
                },
                StepAction::SetProperty { property, value } => {
                    let (property, value) = (property.clone(), value.clone());
                    self.actions.push(BotAction::SetProperty { property, value });
                }
                StepAction::CreateTicket { subject } => {
                    self.actions.push(BotAction::CreateTicket { subject: subject.clone() });
                }
                StepAction::HandOff { text, reason, agent, policy, team } => {
                    self.actions.extend(say(text, &[]));
                    let to = HandOffTarget { agent: *agent, policy: *policy, team: *team };
                    self.actions.push(BotAction::HandOff { reason: reason.clone(), to });
                    break;
                }
                StepAction::Close { text } => {
                    self.actions.extend(say(text, &[]));
                    self.actions.push(BotAction::Close);
                    break;
                }
            }
        }
        Plan::Turn(Turn { actions: self.actions, answer: self.answer, ..Turn::default() })
    }

    fn waits_at(self, step: &Step) -> Plan {
        let (actions, answer) = (self.actions, self.answer);
        Plan::Turn(Turn { actions, step: Some(step.id.clone()), asks_again: false, answer })
    }

    fn take_answer(&mut self, step: &Step, accepted: Accepted, sequence: i64) {
        let Accepted { button, value, property, .. } = accepted;
        if let Some(property) = property {
            self.actions.push(BotAction::RecordAnswer { property, value: value.clone() });
        }
        self.answer = Some(Answer { step: step.id.clone(), sequence, button });
        self.answered = Some((step.id.clone(), value));
    }

    fn pending(self, cases: &[Case]) -> PendingBranch {
        let stored = self.actions.into_iter().filter_map(|action| match action {
            BotAction::RecordAnswer { property, value } | BotAction::SetProperty { property, value } => {
                Some((property, value))
            }
            _ => None,
        });
        PendingBranch { cases: cases.to_vec(), stored: stored.collect(), answer: self.answered }
    }
}

/// Returns the message to post; None when there is nothing to say. Flows that were stored before blank texts were refused have
/// them.
fn say(text: &str, inserts: &[Uuid]) -> Option<BotAction> {
    (!is_blank(text)).then(|| message(text, Vec::new(), inserts))
}

/// Returns a message. That of a question is never left out: without it the visitor would wait for nothing they know of.
fn message(text: &str, buttons: Vec<Button>, inserts: &[Uuid]) -> BotAction {
    let text = text.to_owned();
    if inserts.is_empty() && !has_placeholders(&text) {
        return BotAction::Say { text, buttons };
    }
    BotAction::SayFilled { text, buttons, inserts: inserts.to_vec() }
}

/// Returns what the bot says after a wrong answer.
fn say_again(question: &Question) -> BotAction {
    let text = match is_blank(&question.retry_text) {
        false => question.retry_text.as_str(),
        true if question.choices.is_empty() => question.check.for_property(&question.property).default_retry_text(),
        true => OFFER_AGAIN,
    };
    message(text, question.buttons(), &[])
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Returns the button that the visitor pressed, or whose label they typed. A pressed button counts by its id only: a
/// button of another step may have the same label.
fn chosen_button<'a>(buttons: &'a [Button], input: &VisitorInput) -> Option<&'a Button> {
    let typed = label_key(&input.line);
    buttons.iter().find(|button| match &input.button {
        Some(pressed) => button.id == pressed.id,
        None => label_key(&button.label) == typed,
    })
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
