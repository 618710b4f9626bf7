//! Conversion between the domain and the contract.

mod flow;

use std::time::Duration;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_proto::botsession::v1 as proto;
use tonic::Status;

pub(super) use flow::flow_from_proto;
use flow::flow_to_proto;

use crate::domain::{Bot, DEFAULT_TIMEOUT, Flow, FlowProblem, InactivityTimeout, Session, SessionStatus, validate};

/// Each session status and its value in the contract.
const STATUSES: [(SessionStatus, proto::BotSessionStatus); 6] = [
    (SessionStatus::Open, proto::BotSessionStatus::Open),
    (SessionStatus::TimedOut, proto::BotSessionStatus::TimedOut),
    (SessionStatus::HandedOff, proto::BotSessionStatus::HandedOff),
    (SessionStatus::TakenOver, proto::BotSessionStatus::TakenOver),
    (SessionStatus::Completed, proto::BotSessionStatus::Completed),
    (SessionStatus::Closed, proto::BotSessionStatus::Closed),
];

pub(super) fn bot_to_proto(bot: Bot) -> proto::Bot {
    let etag = bot.etag();
    proto::Bot {
        id: bot.id.to_string(),
        name: bot.name,
        inactivity_timeout: timeout_to_proto(bot.timeout),
        flow: Some(flow_to_proto(bot.flow)),
        deleted: bot.deleted,
        create_time: Some(bot.created_at.to_proto()),
        etag,
    }
}

pub(super) fn session_to_proto(session: Session) -> proto::BotSession {
    proto::BotSession {
        id: session.id.to_string(),
        bot_id: session.bot.to_string(),
        conversation_id: session.conversation.to_string(),
        status: status_to_proto(session.status).into(),
        step_id: session.step.unwrap_or_default(),
        inactivity_timeout: timeout_to_proto(session.timeout),
        start_time: Some(session.started_at.to_proto()),
        check_time: session.deadline_at.map(Time::to_proto),
        end_time: session.ended_at.map(Time::to_proto),
    }
}

pub(super) fn problem_to_proto(problem: FlowProblem) -> proto::FlowProblem {
    proto::FlowProblem { field: problem.field, description: problem.description }
}

fn status_to_proto(status: SessionStatus) -> proto::BotSessionStatus {
    STATUSES.iter().find(|(known, _)| *known == status).map(|(_, status)| *status).unwrap_or_default()
}

/// Returns the status of a filter. None: any.
pub(super) fn status_from_proto(status: proto::BotSessionStatus) -> Option<SessionStatus> {
    STATUSES.iter().find(|(_, known)| *known == status).map(|(status, _)| *status)
}

/// Returns the timeout and the flow of a request that creates or edits a bot. None: the request does not set it.
/// INVALID_ARGUMENT lists all problems at once.
pub(super) fn settings_from_proto(
    timeout: Option<prost_types::Duration>,
    off: bool,
    flow: Option<proto::Flow>,
) -> Result<(Option<InactivityTimeout>, Option<Flow>), Status> {
    let mut fields = Vec::new();
    if off && timeout.is_some() {
        let description = "not together with inactivity_timeout: set one of them";
        fields.push(FieldError::new("inactivity_timeout_off", description));
    }
    let flow = flow.map(flow_from_proto);
    let problems = flow.as_ref().map(validate).unwrap_or_default();
    fields.extend(problems.into_iter().map(|problem| FieldError::new(problem.field, problem.description)));
    if !fields.is_empty() {
        return Err(ApiError::fields(fields).into());
    }
    let timeout = match timeout {
        _ if off => Some(None),
        Some(timeout) => Some(Some(Duration::try_from(timeout).unwrap_or(DEFAULT_TIMEOUT))),
        None => None,
    };
    Ok((timeout, flow))
}

fn timeout_to_proto(timeout: InactivityTimeout) -> Option<prost_types::Duration> {
    timeout.and_then(|timeout| prost_types::Duration::try_from(timeout).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_as_it_was_written() {
        for (status, _) in STATUSES {
            assert_eq!(status_from_proto(status_to_proto(status)), Some(status));
        }
        assert_eq!(status_from_proto(proto::BotSessionStatus::Unspecified), None);
    }
}
