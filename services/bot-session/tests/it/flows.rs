//! Flows of the tests.

use frontdesk_proto::botsession::v1::{
    AskStep, ButtonsStep, CloseStep, Flow, FlowButton, HandOffStep, SayStep, Step, step::Action,
};
use uuid::Uuid;

/// The text that a bot says before it offers its buttons again.
pub const OFFER_AGAIN: &str = "Please choose one of these:";

/// Reason of the hand-off of a bot that cannot take its turn.
pub const GAVE_UP: &str = "The bot could not continue.";

/// `hi`, `mail` (asks for the address), `topic` (button `p` People: `people`, button `b` Bye: `bye`), `people` (hands
/// off), `bye` (closes).
pub fn flow() -> Flow {
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let ask =
        AskStep { text: "mail?".into(), property: "email".into(), retry_text: "again?".into(), ..AskStep::default() };
    let buttons = vec![button("p", "People", ""), button("b", "Bye", "bye")];
    let hand_off = HandOffStep { text: "wait".into(), reason: "asked".into(), ..HandOffStep::default() };
    Flow {
        steps: vec![
            step("hi", Action::Say(SayStep { text: "hi".into(), ..SayStep::default() })),
            step("mail", Action::Ask(ask)),
            step("topic", Action::Buttons(offer("topic?", buttons))),
            step("people", Action::HandOff(hand_off)),
            step("bye", Action::Close(CloseStep { text: "bye".into() })),
        ],
    }
}

/// `q1` and `q2`, whose buttons have the same ids (`yes`, `no`); `q2` leads to `bye` (closes) or `people` (hands off).
pub fn two_questions() -> Flow {
    let button = |id: &str, label: &str, next: &str| FlowButton {
        id: id.into(),
        label: label.into(),
        next_step_id: next.into(),
    };
    let ask = |text: &str, yes: &str, no: &str| {
        let buttons = vec![button("yes", "Yes", yes), button("no", "No", no)];
        Action::Buttons(offer(text, buttons))
    };
    Flow {
        steps: vec![
            step("q1", ask("About an order?", "", "")),
            step("q2", ask("May we close this chat?", "bye", "people")),
            step("bye", Action::Close(CloseStep::default())),
            step("people", Action::HandOff(HandOffStep::default())),
        ],
    }
}

/// A flow that hands off to one of these agents: a button for each.
pub fn flow_to(agents: &[Uuid]) -> Flow {
    let button = |at: usize| {
        let id = format!("to-{at}");
        FlowButton { id: id.clone(), label: id.clone(), next_step_id: id }
    };
    let buttons = (0..agents.len()).map(button).collect();
    let mut steps = vec![step("whom", Action::Buttons(offer("whom?", buttons)))];
    steps.extend(agents.iter().enumerate().map(|(at, agent)| {
        let hand_off = HandOffStep { agent_id: agent.to_string(), ..HandOffStep::default() };
        step(&format!("to-{at}"), Action::HandOff(hand_off))
    }));
    Flow { steps }
}

/// A flow whose texts are all blank, in ways that remain after normalisation.
pub fn blank_flow() -> Flow {
    let ask = AskStep { text: "\n".into(), property: "name".into(), retry_text: " ".into(), ..AskStep::default() };
    let label = FlowButton { id: "a".into(), label: "A".into(), next_step_id: String::new() };
    Flow {
        steps: vec![
            step("say", Action::Say(SayStep { text: " ".into(), ..SayStep::default() })),
            step("ask", Action::Ask(ask)),
            step("pick", Action::Buttons(offer("\u{200b}", vec![label]))),
            step("people", Action::HandOff(HandOffStep { text: "\t".into(), ..HandOffStep::default() })),
        ],
    }
}

/// Paths of the blank texts of [`blank_flow`].
pub const BLANK_TEXTS: [&str; 5] = [
    "flow.steps[0].say.text",
    "flow.steps[1].ask.text",
    "flow.steps[1].ask.retry_text",
    "flow.steps[2].buttons.text",
    "flow.steps[3].hand_off.text",
];

/// Says `hi` and hands off.
pub fn valid_flow() -> Flow {
    Flow { steps: vec![say("hi", ""), step("team", Action::HandOff(HandOffStep::default()))] }
}

/// Two steps with the same id, of which the second leads to a step that is not there.
pub fn invalid_flow() -> Flow {
    Flow { steps: vec![say("a", ""), say("a", "nowhere")] }
}

/// A step that is followed by the next in the list.
pub fn step(id: &str, action: Action) -> Step {
    Step { id: id.into(), action: Some(action), next_step_id: String::new() }
}

pub fn offer(text: &str, buttons: Vec<FlowButton>) -> ButtonsStep {
    ButtonsStep { text: text.into(), buttons, ..ButtonsStep::default() }
}

fn say(id: &str, next: &str) -> Step {
    let say = SayStep { text: "hi".into(), ..SayStep::default() };
    Step { next_step_id: next.into(), ..step(id, Action::Say(say)) }
}
