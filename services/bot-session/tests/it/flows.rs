//! Flows of the tests.

use frontdesk_proto::botsession::v1::{AskStep, ButtonsStep, CloseStep, Flow, FlowButton, HandOffStep, SayStep, Step};

/// The text that a bot says before it offers its buttons again.
pub const OFFER_AGAIN: &str = "Please choose one of these:";

/// `hi`, `mail` (asks for the address), `topic` (button `p` People: `people`, button `b` Bye: `bye`), `people` (hands
/// off), `bye` (closes).
pub fn flow() -> Flow {
    let step = |id: &str| Step { id: id.into(), ..Step::default() };
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
            Step { say: Some(SayStep { text: "hi".into() }), ..step("hi") },
            Step { ask: Some(ask), ..step("mail") },
            Step { buttons: Some(ButtonsStep { text: "topic?".into(), buttons }), ..step("topic") },
            Step { hand_off: Some(hand_off), ..step("people") },
            Step { close: Some(CloseStep { text: "bye".into() }), ..step("bye") },
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

fn say(id: &str, next: &str) -> Step {
    let (id, next_step_id) = (id.into(), next.into());
    Step { id, next_step_id, say: Some(SayStep { text: "hi".into() }), ..Step::default() }
}
