//! Conversion of flows.

use frontdesk_proto::botsession::v1::{self as proto, step::Action};
use uuid::Uuid;

use crate::domain::{AnswerCheck, Button, Flow, Step, StepAction};

/// Returns the flow of a request that passed the checks of its fields: each step has an action, and agent ids are UUIDs.
pub(super) fn flow_from_proto(flow: proto::Flow) -> Flow {
    Flow { steps: flow.steps.into_iter().filter_map(step_from_proto).collect() }
}

fn step_from_proto(step: proto::Step) -> Option<Step> {
    let action = match step.action? {
        Action::Say(say) => StepAction::Say { text: say.text },
        Action::Ask(ask) => {
            let check = check_from_proto(ask.check());
            StepAction::Ask { text: ask.text, property: ask.property, check, retry_text: ask.retry_text }
        }
        Action::Buttons(buttons) => {
            let button = |button: proto::FlowButton| Button {
                id: button.id,
                label: button.label,
                next: non_empty(button.next_step_id),
            };
            StepAction::Buttons { text: buttons.text, buttons: buttons.buttons.into_iter().map(button).collect() }
        }
        Action::HandOff(hand_off) => StepAction::HandOff {
            text: hand_off.text,
            reason: hand_off.reason,
            agent: hand_off.agent_id.parse().ok(),
            policy: hand_off.routing_policy_id.parse().ok(),
            team: hand_off.team_id.parse().ok(),
        },
        Action::Close(close) => StepAction::Close { text: close.text },
    };
    Some(Step { id: step.id, action, next: non_empty(step.next_step_id) })
}

pub(super) fn flow_to_proto(flow: Flow) -> proto::Flow {
    proto::Flow { steps: flow.steps.into_iter().map(step_to_proto).collect() }
}

fn step_to_proto(step: Step) -> proto::Step {
    let action = match step.action {
        StepAction::Say { text } => Action::Say(proto::SayStep { text }),
        StepAction::Ask { text, property, check, retry_text } => {
            Action::Ask(proto::AskStep { text, property, check: check_to_proto(check).into(), retry_text })
        }
        StepAction::Buttons { text, buttons } => {
            let buttons = buttons.into_iter().map(|button| proto::FlowButton {
                id: button.id,
                label: button.label,
                next_step_id: button.next.unwrap_or_default(),
            });
            Action::Buttons(proto::ButtonsStep { text, buttons: buttons.collect() })
        }
        StepAction::HandOff { text, reason, agent, policy, team } => {
            let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
            let (agent_id, routing_policy_id, team_id) = (id(agent), id(policy), id(team));
            Action::HandOff(proto::HandOffStep { text, reason, agent_id, routing_policy_id, team_id })
        }
        StepAction::Close { text } => Action::Close(proto::CloseStep { text }),
    };
    proto::Step { id: step.id, action: Some(action), next_step_id: step.next.unwrap_or_default() }
}

fn non_empty(id: String) -> Option<String> {
    Some(id).filter(|id| !id.is_empty())
}

fn check_from_proto(check: proto::AnswerCheck) -> AnswerCheck {
    match check {
        proto::AnswerCheck::Unspecified => AnswerCheck::Anything,
        proto::AnswerCheck::Email => AnswerCheck::Email,
        proto::AnswerCheck::Phone => AnswerCheck::Phone,
        proto::AnswerCheck::Number => AnswerCheck::Number,
    }
}

fn check_to_proto(check: AnswerCheck) -> proto::AnswerCheck {
    match check {
        AnswerCheck::Anything => proto::AnswerCheck::Unspecified,
        AnswerCheck::Email => proto::AnswerCheck::Email,
        AnswerCheck::Phone => proto::AnswerCheck::Phone,
        AnswerCheck::Number => proto::AnswerCheck::Number,
    }
}
