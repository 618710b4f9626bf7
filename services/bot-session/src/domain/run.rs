//! What a session does in a turn: pure, so that a turn that is run again does the same.

use uuid::Uuid;

use super::{Action, Button, Flow, Step};

const OFFER_AGAIN: &str = "Please choose one of these:";

/// One thing that the bot does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Posts a message.
    Say { text: String, buttons: Vec<Button> },
    /// Keeps an answer.
    RecordAnswer { property: String, value: String },
    /// Hands the chat to people.
    HandOff { reason: String, agent: Option<Uuid> },
    /// Closes the chat.
    Close,
}

/// What the bot does in a turn, and where it waits then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) acts: Vec<Act>,
    /// None: at the end of the flow.
    pub(crate) step: Option<String>,
}

/// What the visitor wrote, or which button they chose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) text: String,
    pub(crate) button: Option<String>,
}

impl Flow {
    /// The first turn: nobody has said anything yet.
    pub(crate) fn open(&self) -> Turn {
        self.go_on(Some(0).filter(|_| !self.steps.is_empty()), Vec::new())
    }

    /// The turn that answers a visitor who spoke while the session waited at `step`.
    pub(crate) fn advance(&self, step: Option<&str>, input: &Input) -> Turn {
        let Some((position, waiting)) = self.waiting(step) else { return Turn { acts: Vec::new(), step: None } };
        let accepted = match &waiting.action {
            // A button was offered with another question: its label is no answer to this one.
            Action::Ask { .. } if input.button.is_some() => None,
            Action::Ask { property, check, .. } => check.of(property).accept(&input.text).map(|answer| {
                let record = Act::RecordAnswer { property: property.clone(), value: answer.to_owned() };
                (self.following(position, waiting.next.as_deref()), vec![record])
            }),
            Action::Buttons { buttons, .. } => chosen(buttons, input).map(|button| {
                let next = button.next.as_deref().or(waiting.next.as_deref());
                (self.following(position, next), Vec::new())
            }),
            Action::Say { .. } | Action::HandOff { .. } | Action::Close { .. } => None,
        };
        match accepted {
            Some((next, acts)) => self.go_on(next, acts),
            None => self.retry(step),
        }
    }

    /// The turn that answers what does not fit: the bot says so and waits on.
    pub(crate) fn retry(&self, step: Option<&str>) -> Turn {
        let say = self.waiting(step).and_then(|(_, waiting)| match &waiting.action {
            Action::Ask { property, check, retry_text, .. } => {
                let plain = check.of(property).plain_sentence();
                let text = if retry_text.is_empty() { plain.to_owned() } else { retry_text.clone() };
                Some(Act::Say { text, buttons: Vec::new() })
            }
            Action::Buttons { buttons, .. } => {
                Some(Act::Say { text: OFFER_AGAIN.to_owned(), buttons: buttons.clone() })
            }
            Action::Say { .. } | Action::HandOff { .. } | Action::Close { .. } => None,
        });
        Turn { acts: say.into_iter().collect(), step: step.map(str::to_owned) }
    }

    fn waiting(&self, step: Option<&str>) -> Option<(usize, &Step)> {
        let position = self.position(step?)?;
        Some((position, &self.steps[position]))
    }

    /// Does steps until one waits, or ends the session, or the flow is over.
    fn go_on(&self, mut next: Option<usize>, mut acts: Vec<Act>) -> Turn {
        // A sound flow waits or ends before it comes to a step twice; the bound holds for any other.
        for _ in 0..self.steps.len() {
            let Some(step) = next.and_then(|at| self.steps.get(at)) else { break };
            let say = |text: &String, buttons: &[Button]| {
                (!text.is_empty()).then(|| Act::Say { text: text.clone(), buttons: buttons.to_vec() })
            };
            match &step.action {
                Action::Say { text } => acts.extend(say(text, &[])),
                Action::Ask { text, .. } => acts.extend(say(text, &[])),
                Action::Buttons { text, buttons } => acts.extend(say(text, buttons)),
                Action::HandOff { text, reason, agent } => {
                    acts.extend(say(text, &[]));
                    acts.push(Act::HandOff { reason: reason.clone(), agent: *agent });
                    break;
                }
                Action::Close { text } => {
                    acts.extend(say(text, &[]));
                    acts.push(Act::Close);
                    break;
                }
            }
            if step.waits() {
                return Turn { acts, step: Some(step.id.clone()) };
            }
            next = next.and_then(|at| self.following(at, step.next.as_deref()));
        }
        Turn { acts, step: None }
    }
}

/// The button that the visitor pressed or typed. One that was pressed counts by its id alone: another question's may have
/// the same label.
fn chosen<'a>(buttons: &'a [Button], input: &Input) -> Option<&'a Button> {
    let typed = input.text.trim().to_lowercase();
    buttons.iter().find(|button| match &input.button {
        Some(id) => button.id == *id,
        None => button.label.trim().to_lowercase() == typed,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Check, *};

    fn step(id: &str, action: Action) -> Step {
        Step { id: id.into(), action, next: None }
    }

    fn button(id: &str, label: &str, next: Option<&str>) -> Button {
        Button { id: id.into(), label: label.into(), next: next.map(Into::into) }
    }

    fn said(turn: &Turn) -> Vec<&str> {
        let text = |act: &'_ Act| matches!(act, Act::Say { .. });
        turn.acts
            .iter()
            .filter(|act| text(act))
            .map(|act| if let Act::Say { text, .. } = act { text.as_str() } else { "" })
            .collect()
    }

    /// hi, mail?, topic? (sales: bye, people: hand off)
    fn flow() -> Flow {
        let ask = Action::Ask {
            text: "mail?".into(),
            property: "email".into(),
            check: Check::Anything,
            retry_text: String::new(),
        };
        let buttons = vec![button("s", "Sales", Some("bye")), button("p", "People", None)];
        Flow {
            steps: vec![
                step("hi", Action::Say { text: "hi".into() }),
                step("mail", ask),
                step("topic", Action::Buttons { text: "topic?".into(), buttons }),
                step("people", Action::HandOff { text: "wait".into(), reason: "asked".into(), agent: None }),
                step("bye", Action::Close { text: String::new() }),
            ],
        }
    }

    fn typed(text: &str) -> Input {
        Input { text: text.into(), button: None }
    }

    #[test]
    fn b6_the_opening_says_until_it_has_to_wait() {
        let turn = flow().open();
        assert_eq!(said(&turn), ["hi", "mail?"]);
        assert_eq!(turn.step.as_deref(), Some("mail"));
    }

    #[test]
    fn b6_an_answer_that_does_not_fit_is_asked_again_and_one_that_fits_is_kept() {
        let retry = flow().advance(Some("mail"), &typed("no"));
        assert_eq!((said(&retry).len(), retry.step.as_deref()), (1, Some("mail")));
        let turn = flow().advance(Some("mail"), &typed(" a@b.co "));
        let record = Act::RecordAnswer { property: "email".into(), value: "a@b.co".into() };
        assert_eq!((turn.acts[0].clone(), turn.step.as_deref()), (record, Some("topic")));
    }

    #[test]
    fn b6_a_button_is_chosen_by_its_id_or_by_typing_its_label() {
        let by_id = Input { text: "whatever".into(), button: Some("s".into()) };
        for input in [by_id, typed("  sALES ")] {
            assert_eq!(flow().advance(Some("topic"), &input).acts, [Act::Close]);
        }
        let again = flow().advance(Some("topic"), &typed("hm"));
        assert_eq!(again.step.as_deref(), Some("topic"));
        assert!(matches!(&again.acts[..], [Act::Say { buttons, .. }] if buttons.len() == 2));
    }

    #[test]
    fn b6_a_button_of_another_question_is_no_answer_whatever_its_label() {
        let stray = |label: &str| Input { text: label.into(), button: Some("x".into()) };
        let again = flow().advance(Some("topic"), &stray("Sales"));
        assert_eq!(again.step.as_deref(), Some("topic"));
        assert!(matches!(&again.acts[..], [Act::Say { buttons, .. }] if buttons.len() == 2));
        let asked_again = flow().advance(Some("mail"), &stray("a@b.co"));
        assert_eq!((said(&asked_again).len(), asked_again.step.as_deref()), (1, Some("mail")));
    }

    #[test]
    fn b8_a_hand_off_says_its_text_and_ends_the_flow() {
        let turn = flow().advance(Some("topic"), &typed("people"));
        assert_eq!(said(&turn), ["wait"]);
        assert_eq!(turn.acts[1], Act::HandOff { reason: "asked".into(), agent: None });
        assert_eq!(turn.step, None);
    }

    #[test]
    fn b6_at_the_end_of_its_flow_a_bot_stays_silent() {
        assert_eq!(flow().advance(None, &typed("hello?")), Turn { acts: Vec::new(), step: None });
    }
}
