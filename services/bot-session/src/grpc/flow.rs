//! Flows, from the proto and back.

use frontdesk_proto::botsession::v1 as proto;

use crate::domain::{Action, Button, Check, Flow, Step};

/// The flow of a request whose fields have been checked: each step is of exactly one kind, and ids are UUIDs.
pub(super) fn from_proto(flow: proto::Flow) -> Flow {
    Flow { steps: flow.steps.into_iter().filter_map(step_from_proto).collect() }
}

fn step_from_proto(step: proto::Step) -> Option<Step> {
    let action = if let Some(say) = step.say {
        Action::Say { text: say.text }
    } else if let Some(ask) = step.ask {
        let check = check_from_proto(ask.check());
        Action::Ask { text: ask.text, property: ask.property, check, retry_text: ask.retry_text }
    } else if let Some(buttons) = step.buttons {
        let button = |button: proto::FlowButton| Button {
            id: button.id,
            label: button.label,
            next: optional(button.next_step_id),
        };
        Action::Buttons { text: buttons.text, buttons: buttons.buttons.into_iter().map(button).collect() }
    } else if let Some(off) = step.hand_off {
        Action::HandOff { text: off.text, reason: off.reason, agent: off.agent_id.parse().ok() }
    } else {
        Action::Close { text: step.close?.text }
    };
    Some(Step { id: step.id, action, next: optional(step.next_step_id) })
}

/// The flow as the proto shows it.
pub(super) fn to_proto(flow: Flow) -> proto::Flow {
    proto::Flow { steps: flow.steps.into_iter().map(step_to_proto).collect() }
}

fn step_to_proto(step: Step) -> proto::Step {
    let mut shown = proto::Step { id: step.id, next_step_id: step.next.unwrap_or_default(), ..proto::Step::default() };
    match step.action {
        Action::Say { text } => shown.say = Some(proto::SayStep { text }),
        Action::Ask { text, property, check, retry_text } => {
            let check = check_to_proto(check).into();
            shown.ask = Some(proto::AskStep { text, property, check, retry_text });
        }
        Action::Buttons { text, buttons } => {
            let buttons = buttons.into_iter().map(|button| proto::FlowButton {
                id: button.id,
                label: button.label,
                next_step_id: button.next.unwrap_or_default(),
            });
            shown.buttons = Some(proto::ButtonsStep { text, buttons: buttons.collect() });
        }
        Action::HandOff { text, reason, agent } => {
            let agent_id = agent.map(|agent| agent.to_string()).unwrap_or_default();
            shown.hand_off = Some(proto::HandOffStep { text, reason, agent_id });
        }
        Action::Close { text } => shown.close = Some(proto::CloseStep { text }),
    }
    shown
}

fn optional(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty())
}

fn check_from_proto(check: proto::AnswerCheck) -> Check {
    match check {
        proto::AnswerCheck::Unspecified => Check::Anything,
        proto::AnswerCheck::Email => Check::Email,
        proto::AnswerCheck::Phone => Check::Phone,
        proto::AnswerCheck::Number => Check::Number,
    }
}

fn check_to_proto(check: Check) -> proto::AnswerCheck {
    match check {
        Check::Anything => proto::AnswerCheck::Unspecified,
        Check::Email => proto::AnswerCheck::Email,
        Check::Phone => proto::AnswerCheck::Phone,
        Check::Number => proto::AnswerCheck::Number,
    }
}
