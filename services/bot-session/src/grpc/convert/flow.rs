//! Conversion of flows.

use frontdesk_proto::botsession::v1::{self as proto, step::Action};
use uuid::Uuid;

use super::condition::{case_from_proto, case_to_proto};
use crate::domain::{AnswerCheck, Attempts, Button, Flow, FlowProblem, Question, Step, StepAction};

/// Returns the flow of a request that passed the checks of its fields: each step has an action, and ids are UUIDs.
pub(super) fn flow_from_proto(flow: proto::Flow) -> Flow {
    Flow { steps: flow.steps.into_iter().filter_map(step_from_proto).collect() }
}

fn step_from_proto(step: proto::Step) -> Option<Step> {
    let action = match step.action? {
        Action::Say(say) => StepAction::Say { text: say.text, inserts: ids_from_proto(&say.insert_ids) },
        Action::Ask(ask) => {
            let check = check_from_proto(ask.check());
            StepAction::Ask(Question {
                text: ask.text,
                property: ask.property,
                check,
                retry_text: ask.retry_text,
                choices: ask.choices,
                attempts: attempts_from_proto(ask.max_attempts, ask.fallback_step_id),
                takes_first_message: ask.accepts_first_message,
            })
        }
        Action::Buttons(buttons) => {
            let button = |button: proto::FlowButton| Button {
                id: button.id,
                label: button.label,
                next: non_empty(button.next_step_id),
            };
            StepAction::Buttons {
                text: buttons.text,
                buttons: buttons.buttons.into_iter().map(button).collect(),
                attempts: attempts_from_proto(buttons.max_attempts, buttons.fallback_step_id),
            }
        }
        Action::Branch(branch) => StepAction::Branch { cases: branch.cases.into_iter().map(case_from_proto).collect() },
        Action::SetProperty(set) => StepAction::SetProperty { property: set.property, value: set.value },
        Action::CreateTicket(ticket) => StepAction::CreateTicket { subject: ticket.subject },
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
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let action = match step.action {
        StepAction::Say { text, inserts } => {
            Action::Say(proto::SayStep { text, insert_ids: inserts.iter().map(Uuid::to_string).collect() })
        }
        StepAction::Ask(question) => Action::Ask(question_to_proto(question)),
        StepAction::Buttons { text, buttons, attempts } => {
            let buttons = buttons.into_iter().map(|button| proto::FlowButton {
                id: button.id,
                label: button.label,
                next_step_id: button.next.unwrap_or_default(),
            });
            let (max_attempts, fallback_step_id) = attempts_to_proto(attempts);
            let buttons = buttons.collect();
            Action::Buttons(proto::ButtonsStep { text, buttons, max_attempts, fallback_step_id })
        }
        StepAction::Branch { cases } => {
            Action::Branch(proto::BranchStep { cases: cases.into_iter().map(case_to_proto).collect() })
        }
        StepAction::SetProperty { property, value } => Action::SetProperty(proto::SetPropertyStep { property, value }),
        StepAction::CreateTicket { subject } => Action::CreateTicket(proto::CreateTicketStep { subject }),
        StepAction::HandOff { text, reason, agent, policy, team } => {
            let (agent_id, routing_policy_id, team_id) = (id(agent), id(policy), id(team));
            Action::HandOff(proto::HandOffStep { text, reason, agent_id, routing_policy_id, team_id })
        }
        StepAction::Close { text } => Action::Close(proto::CloseStep { text }),
    };
    proto::Step { id: step.id, action: Some(action), next_step_id: step.next.unwrap_or_default() }
}

fn question_to_proto(question: Question) -> proto::AskStep {
    let (max_attempts, fallback_step_id) = attempts_to_proto(question.attempts);
    proto::AskStep {
        text: question.text,
        property: question.property,
        check: check_to_proto(question.check).into(),
        retry_text: question.retry_text,
        choices: question.choices,
        max_attempts,
        fallback_step_id,
        accepts_first_message: question.takes_first_message,
    }
}

/// Returns the steps that have a number of attempts without a fallback, or a fallback without it.
pub(super) fn find_unpaired_attempts(flow: &proto::Flow) -> Vec<FlowProblem> {
    let problem = |(at, step): (usize, &proto::Step)| {
        let (kind, max, fallback) = match step.action.as_ref()? {
            Action::Ask(ask) => ("ask", ask.max_attempts, &ask.fallback_step_id),
            Action::Buttons(buttons) => ("buttons", buttons.max_attempts, &buttons.fallback_step_id),
            _ => return None,
        };
        let (field, description) = match (max > 0, fallback.is_empty()) {
            (true, true) => ("fallback_step_id", "name the step that follows max_attempts wrong answers"),
            (false, false) => ("max_attempts", "say after how many wrong answers the fallback follows"),
            _ => return None,
        };
        let description = description.to_owned();
        Some(FlowProblem { field: format!("flow.steps[{at}].{kind}.{field}"), description })
    };
    flow.steps.iter().enumerate().filter_map(problem).collect()
}

fn attempts_from_proto(max: i32, fallback: String) -> Option<Attempts> {
    let max = u32::try_from(max).ok().filter(|max| *max > 0)?;
    non_empty(fallback).map(|fallback| Attempts { max, fallback })
}

fn attempts_to_proto(attempts: Option<Attempts>) -> (i32, String) {
    attempts.map(|attempts| (i32::try_from(attempts.max).unwrap_or(i32::MAX), attempts.fallback)).unwrap_or_default()
}

fn ids_from_proto(ids: &[String]) -> Vec<Uuid> {
    ids.iter().filter_map(|id| id.parse().ok()).collect()
}

pub(super) fn non_empty(id: String) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_a_flow_is_returned_as_it_was_set() {
        let id = || Uuid::from_u128(7).to_string();
        let ask = proto::AskStep {
            text: "?".into(),
            property: "size".into(),
            check: proto::AnswerCheck::Number.into(),
            retry_text: "again".into(),
            choices: vec!["S".into(), "L".into()],
            max_attempts: 2,
            fallback_step_id: "bye".into(),
            accepts_first_message: true,
        };
        let conditions = [
            proto::condition::Test::Answer(proto::AnswerCondition { step_id: "ask".into(), values: vec!["S".into()] }),
            proto::condition::Test::OpeningHours(proto::OpeningHoursCondition { opening_hours_id: id() }),
            proto::condition::Test::ContactProperty(proto::PropertyCondition {
                property: "plan".into(),
                values: vec!["gold".into()],
            }),
            proto::condition::Test::Language(proto::LanguageCondition { languages: vec!["it".into()] }),
        ];
        let conditions = conditions.map(|test| proto::Condition { test: Some(test), negated: true }).to_vec();
        let cases = vec![proto::BranchCase { conditions, next_step_id: "bye".into() }];
        let actions = [
            Action::Say(proto::SayStep { text: "hi".into(), insert_ids: vec![id()] }),
            Action::Ask(ask),
            Action::Branch(proto::BranchStep { cases }),
            Action::SetProperty(proto::SetPropertyStep { property: "plan".into(), value: "gold".into() }),
            Action::CreateTicket(proto::CreateTicketStep { subject: "Call".into() }),
            Action::HandOff(proto::HandOffStep {
                routing_policy_id: id(),
                team_id: id(),
                ..proto::HandOffStep::default()
            }),
        ];
        let step = |action| proto::Step { id: "a".into(), action: Some(action), next_step_id: "b".into() };
        let flow = proto::Flow { steps: actions.into_iter().map(step).collect() };
        assert_eq!(flow_to_proto(flow_from_proto(flow.clone())), flow);
    }

    #[test]
    fn b6_attempts_and_a_fallback_come_together() {
        let fields = |max_attempts, fallback: &str| {
            let ask = proto::AskStep { max_attempts, fallback_step_id: fallback.into(), ..proto::AskStep::default() };
            let step = proto::Step { action: Some(Action::Ask(ask)), ..proto::Step::default() };
            let problems = find_unpaired_attempts(&proto::Flow { steps: vec![step] });
            problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
        };
        assert!(fields(0, "").is_empty() && fields(2, "bye").is_empty());
        assert_eq!(fields(2, ""), ["flow.steps[0].ask.fallback_step_id"]);
        assert_eq!(fields(0, "bye"), ["flow.steps[0].ask.max_attempts"]);
    }
}
