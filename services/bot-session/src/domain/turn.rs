//! What a session does in a turn. Pure: running a turn again yields the same actions.

use uuid::Uuid;

use super::{Button, Flow, Step, StepAction, label::label_key};

/// What the bot says above the buttons when it offers them again.
const OFFER_AGAIN: &str = "Please choose one of these:";

/// One action of a bot in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BotAction {
    /// Posts a message.
    Say { text: String, buttons: Vec<Button> },
    /// Records an answer as a property of the contact.
    RecordAnswer { property: String, value: String },
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

/// The actions of a turn, and the step where the bot waits after them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) actions: Vec<BotAction>,
    /// Id of the step. None: the flow has ended.
    pub(crate) step: Option<String>,
    /// Whether the bot asks the question of the step again, where it waited before.
    pub(crate) asks_again: bool,
}

/// A message of the visitor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VisitorInput {
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

impl Flow {
    /// Returns the first turn, which answers no message.
    pub(crate) fn open(&self) -> Turn {
        self.run_until_wait(Some(0), Vec::new())
    }

    /// Returns whether a session that waits at `step` can continue: the flow has steps, and that one is among them.
    pub(crate) fn can_continue(&self, step: Option<&str>) -> bool {
        !self.steps.is_empty() && step.is_none_or(|step| self.position(step).is_some())
    }

    /// Returns the turn that answers a message which the visitor sent while the session waited at `step` for the answer to
    /// `question`, the visitor sequence of the message that asked it.
    pub(crate) fn advance(&self, step: Option<&str>, question: Option<i64>, input: &VisitorInput) -> Turn {
        let Some((position, waiting)) = self.waiting_step(step) else { return Turn::default() };
        let accepted = match &waiting.action {
            // The button belongs to another question: it does not answer this one, whatever its id and label.
            _ if input.button.as_ref().is_some_and(|button| !button.answers(question)) => None,
            StepAction::Ask { .. } if input.button.is_some() => None,
            StepAction::Ask { property, check, .. } => check.for_property(property).accept(input).map(|value| {
                let record = BotAction::RecordAnswer { property: property.clone(), value };
                (self.following(position, waiting.next.as_deref()), vec![record])
            }),
            StepAction::Buttons { buttons, .. } => chosen_button(buttons, input).map(|button| {
                let next = button.next.as_deref().or(waiting.next.as_deref());
                (self.following(position, next), Vec::new())
            }),
            StepAction::Say { .. } | StepAction::HandOff { .. } | StepAction::Close { .. } => None,
        };
        match accepted {
            Some((next, actions)) => self.run_until_wait(next, actions),
            None => self.retry(step),
        }
    }

    /// Returns the turn that answers a message which does not fit: the bot says so and keeps waiting at the same step.
    pub(crate) fn retry(&self, step: Option<&str>) -> Turn {
        let say = self.waiting_step(step).and_then(|(_, waiting)| match &waiting.action {
            StepAction::Ask { property, check, retry_text, .. } => {
                let default = check.for_property(property).default_retry_text();
                let text = if is_blank(retry_text) { default.to_owned() } else { retry_text.clone() };
                Some(BotAction::Say { text, buttons: Vec::new() })
            }
            StepAction::Buttons { buttons, .. } => {
                Some(BotAction::Say { text: OFFER_AGAIN.to_owned(), buttons: buttons.clone() })
            }
            StepAction::Say { .. } | StepAction::HandOff { .. } | StepAction::Close { .. } => None,
        });
        Turn { actions: say.into_iter().collect(), step: step.map(str::to_owned), asks_again: true }
    }

    fn waiting_step(&self, step: Option<&str>) -> Option<(usize, &Step)> {
        let position = self.position(step?)?;
        Some((position, &self.steps[position]))
    }

    /// Runs steps, beginning with the one at `next`, until one waits for the visitor, one ends the session, or the flow
    /// ends.
    fn run_until_wait(&self, mut next: Option<usize>, mut actions: Vec<BotAction>) -> Turn {
        // A valid flow waits or ends before it reaches a step twice. The bound protects against any other.
        for _ in 0..self.steps.len() {
            let Some(step) = next.and_then(|at| self.steps.get(at)) else { break };
            match &step.action {
                StepAction::Say { text } => actions.extend(say(text)),
                StepAction::Ask { text, .. } => actions.push(ask(text, &[])),
                StepAction::Buttons { text, buttons } => actions.push(ask(text, buttons)),
                StepAction::HandOff { text, reason, agent, policy, team } => {
                    actions.extend(say(text));
                    let to = HandOffTarget { agent: *agent, policy: *policy, team: *team };
                    actions.push(BotAction::HandOff { reason: reason.clone(), to });
                    break;
                }
                StepAction::Close { text } => {
                    actions.extend(say(text));
                    actions.push(BotAction::Close);
                    break;
                }
            }
            if step.waits() {
                return Turn { actions, step: Some(step.id.clone()), asks_again: false };
            }
            next = next.and_then(|at| self.following(at, step.next.as_deref()));
        }
        Turn { actions, ..Turn::default() }
    }
}

/// Returns the message to post; None when there is nothing to say. Flows that were stored before blank texts were refused have
/// them.
fn say(text: &str) -> Option<BotAction> {
    (!is_blank(text)).then(|| ask(text, &[]))
}

/// Returns the message that asks a question. Without it the visitor would wait for nothing they know of, so it is never left out.
fn ask(text: &str, buttons: &[Button]) -> BotAction {
    BotAction::Say { text: text.to_owned(), buttons: buttons.to_vec() }
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
mod tests {
    use super::{super::AnswerCheck, *};

    fn step(id: &str, action: StepAction) -> Step {
        Step { id: id.into(), action, next: None }
    }

    fn hand_off(text: &str, reason: &str) -> StepAction {
        StepAction::HandOff { text: text.into(), reason: reason.into(), agent: None, policy: None, team: None }
    }

    fn button(id: &str, label: &str, next: Option<&str>) -> Button {
        Button { id: id.into(), label: label.into(), next: next.map(Into::into) }
    }

    fn said(turn: &Turn) -> Vec<&str> {
        let texts = turn.actions.iter().filter_map(|action| match action {
            BotAction::Say { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// hi, mail?, topic? (sales: bye, people: hand off)
    fn flow() -> Flow {
        let ask = StepAction::Ask {
            text: "mail?".into(),
            property: "email".into(),
            check: AnswerCheck::Anything,
            retry_text: String::new(),
        };
        let buttons = vec![button("s", "Sales", Some("bye")), button("p", "People", None)];
        Flow {
            steps: vec![
                step("hi", StepAction::Say { text: "hi".into() }),
                step("mail", ask),
                step("topic", StepAction::Buttons { text: "topic?".into(), buttons }),
                step("people", hand_off("wait", "asked")),
                step("bye", StepAction::Close { text: String::new() }),
            ],
        }
    }

    fn typed(text: &str) -> VisitorInput {
        VisitorInput { text: text.into(), line: text.trim().into(), button: None }
    }

    fn pressed(id: &str, offered_in: Option<i64>) -> VisitorInput {
        VisitorInput { button: Some(PressedButton { id: id.into(), offered_in }), ..typed("Sales") }
    }

    #[test]
    fn b6_the_first_turn_runs_until_a_step_waits() {
        let turn = flow().open();
        assert_eq!(said(&turn), ["hi", "mail?"]);
        assert_eq!(turn.step.as_deref(), Some("mail"));
    }

    #[test]
    fn b6_an_answer_that_fails_the_check_is_asked_again_and_one_that_passes_is_recorded() {
        let retry = flow().advance(Some("mail"), None, &typed("no"));
        assert_eq!((said(&retry).len(), retry.step.as_deref()), (1, Some("mail")));
        let turn = flow().advance(Some("mail"), None, &typed(" a@b.co "));
        let record = BotAction::RecordAnswer { property: "email".into(), value: "a@b.co".into() };
        assert_eq!((turn.actions[0].clone(), turn.step.as_deref()), (record, Some("topic")));
    }

    #[test]
    fn b6_a_button_is_chosen_by_its_id_or_by_typing_its_label() {
        for input in [pressed("s", None), pressed("s", Some(7)), typed("  sALES ")] {
            assert_eq!(flow().advance(Some("topic"), None, &input).actions, [BotAction::Close]);
        }
        let again = flow().advance(Some("topic"), None, &typed("hm"));
        assert_eq!(again.step.as_deref(), Some("topic"));
        assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
    }

    #[test]
    fn b6_a_button_of_another_step_answers_nothing_even_with_the_same_label() {
        let stray = |text: &str| VisitorInput { button: pressed("x", None).button, ..typed(text) };
        let again = flow().advance(Some("topic"), None, &stray("Sales"));
        assert_eq!(again.step.as_deref(), Some("topic"));
        assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
        let asked_again = flow().advance(Some("mail"), None, &stray("a@b.co"));
        assert_eq!((said(&asked_again).len(), asked_again.step.as_deref()), (1, Some("mail")));
    }

    #[test]
    fn b6_a_pressed_button_answers_only_the_question_that_offered_it() {
        let at = |offered_in| flow().advance(Some("topic"), Some(5), &pressed("s", Some(offered_in)));
        for question_or_its_repeat in [5, 9] {
            assert_eq!(at(question_or_its_repeat).actions, [BotAction::Close]);
        }
        let again = at(3);
        assert_eq!((again.step.as_deref(), again.asks_again), (Some("topic"), true));
        assert!(matches!(&again.actions[..], [BotAction::Say { buttons, .. }] if buttons.len() == 2));
    }

    #[test]
    fn b7_a_blank_text_of_an_older_flow_is_left_out_unless_it_asks() {
        let blank = |text: &str| StepAction::Say { text: text.into() };
        let flow = Flow { steps: vec![step("a", blank(" ")), step("b", hand_off("\n", "r"))] };
        assert_eq!(flow.open().actions, [BotAction::HandOff { reason: "r".into(), to: HandOffTarget::default() }]);
        let property = "name".into();
        let ask = StepAction::Ask { text: " ".into(), property, check: AnswerCheck::Anything, retry_text: "\n".into() };
        let flow = Flow { steps: vec![step("ask", ask)] };
        assert_eq!(said(&flow.open()), [" "]);
        assert_eq!(said(&flow.retry(Some("ask"))), [AnswerCheck::Anything.default_retry_text()]);
    }

    #[test]
    fn b7_a_flow_without_the_step_of_its_session_cannot_continue() {
        assert!(flow().can_continue(None) && flow().can_continue(Some("topic")));
        assert!(!flow().can_continue(Some("gone")) && !Flow::default().can_continue(None));
    }

    #[test]
    fn b8_a_hand_off_says_its_text_and_ends_the_flow() {
        let turn = flow().advance(Some("topic"), None, &typed("people"));
        assert_eq!(said(&turn), ["wait"]);
        assert_eq!(turn.actions[1], BotAction::HandOff { reason: "asked".into(), to: HandOffTarget::default() });
        assert_eq!(turn.step, None);
    }

    #[test]
    fn b8_a_hand_off_names_whom_its_step_names() {
        let id = |number| Some(Uuid::from_u128(number));
        let (agent, policy, team) = (id(1), id(2), id(3));
        let to = StepAction::HandOff { text: String::new(), reason: String::new(), agent, policy, team };
        let flow = Flow { steps: vec![step("team", to)] };
        let to = HandOffTarget { agent, policy, team };
        assert_eq!(flow.open().actions, [BotAction::HandOff { reason: String::new(), to }]);
        assert_eq!(
            flow.routing_targets().map(|(at, target)| (at, target.field())).collect::<Vec<_>>(),
            [(0, "hand_off.routing_policy_id"), (0, "hand_off.team_id"),]
        );
    }

    #[test]
    fn b6_a_bot_stays_silent_after_the_end_of_its_flow() {
        assert_eq!(flow().advance(None, None, &typed("hello?")), Turn::default());
    }
}
