//! Flows of the tests.

use frontdesk_proto::botsession::v1::{
    AskStep, ButtonsStep, CloseStep, Flow, FlowButton, HandOffStep, SayStep, Step, step::Action,
};

/// The text that a bot says before it offers its buttons again.
pub const OFFER_AGAIN: &str = "Please choose one of these:";

/// `hi`, `mail` (asks for the address), `topic` (button `p` People: `people`, button `b` Bye: `bye`), `people` (hands
/// off), `bye` (closes).
pub fn flow() -> Flow {
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let ask = AskStep { text: "mail?".into(), property: "email".into(), retry_text: "again?".into(), check: 0 };
    let buttons = vec![button("p", "People", ""), button("b", "Bye", "bye")];
    let hand_off = HandOffStep { text: "wait".into(), reason: "asked".into(), agent_id: String::new() };
    Flow {
        steps: vec![
            step("hi", Action::Say(SayStep { text: "hi".into() })),
            step("mail", Action::Ask(ask)),
            step("topic", Action::Buttons(ButtonsStep { text: "topic?".into(), buttons })),
            step("people", Action::HandOff(hand_off)),
            step("bye", Action::Close(CloseStep { text: "bye".into() })),
        ],
    }
}

/// One step that says `hi`.
pub fn valid_flow() -> Flow {
    Flow { steps: vec![say("hi", "")] }
}

/// Two steps with the same id, of which the second leads to a step that is not there.
pub fn invalid_flow() -> Flow {
    Flow { steps: vec![say("a", ""), say("a", "nowhere")] }
}

/// A step that is followed by the next in the list.
pub fn step(id: &str, action: Action) -> Step {
    Step { id: id.into(), action: Some(action), next_step_id: String::new() }
}

fn say(id: &str, next: &str) -> Step {
    Step { next_step_id: next.into(), ..step(id, Action::Say(SayStep { text: "hi".into() })) }
}
