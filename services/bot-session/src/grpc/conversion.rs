//! Between our words and the proto's.

use std::time::Duration;

use frontdesk_api::FieldError;
use frontdesk_clock::Time;
use frontdesk_proto::botsession::v1 as proto;
use tonic::Status;

use super::flow;
use crate::{
    domain::{Bot, DEFAULT_TIMEOUT, Flow, Problem, Session, Timeout, problems},
    error::BotSessionError,
};

pub(super) fn bot(bot: Bot) -> proto::Bot {
    let etag = bot.etag();
    proto::Bot {
        id: bot.id.to_string(),
        name: bot.name,
        inactivity_timeout: duration(bot.timeout),
        flow: Some(flow::to_proto(bot.flow)),
        deleted: bot.deleted,
        create_time: Some(bot.created_at.to_proto()),
        etag,
    }
}

pub(super) fn session(session: Session) -> proto::BotSession {
    proto::BotSession {
        id: session.id.to_string(),
        bot_id: session.bot.to_string(),
        conversation_id: session.conversation.to_string(),
        status: session.status.to_proto().into(),
        step_id: session.step.unwrap_or_default(),
        inactivity_timeout: duration(session.timeout),
        start_time: Some(session.started_at.to_proto()),
        check_time: session.deadline_at.map(Time::to_proto),
        end_time: session.ended_at.map(Time::to_proto),
    }
}

pub(super) fn problem(problem: Problem) -> proto::FlowProblem {
    proto::FlowProblem { field: problem.field, description: problem.description }
}

/// What a request that makes or edits a bot says of timeout and flow; everything that is wrong with it at once. None: it
/// says nothing.
pub(super) fn settings(
    timeout: Option<prost_types::Duration>,
    off: bool,
    flow: Option<proto::Flow>,
) -> Result<(Option<Timeout>, Option<Flow>), Status> {
    let mut fields = Vec::new();
    if off && timeout.is_some() {
        let what = "not together with inactivity_timeout: set one of them";
        fields.push(FieldError::new("inactivity_timeout_off", what));
    }
    let flow = flow.map(flow::from_proto);
    let unsound = flow.as_ref().map(problems).unwrap_or_default();
    fields.extend(unsound.into_iter().map(|problem| FieldError::new(problem.field, problem.description)));
    if !fields.is_empty() {
        return Err(BotSessionError::Fields(fields).into());
    }
    let timeout = match timeout {
        _ if off => Some(None),
        Some(timeout) => Some(Some(Duration::try_from(timeout).unwrap_or(DEFAULT_TIMEOUT))),
        None => None,
    };
    Ok((timeout, flow))
}

fn duration(timeout: Timeout) -> Option<prost_types::Duration> {
    timeout.and_then(|timeout| prost_types::Duration::try_from(timeout).ok())
}
