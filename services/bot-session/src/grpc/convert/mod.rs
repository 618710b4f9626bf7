//! Conversion between the domain and the contract.

mod condition;
mod flow;
mod program;
mod text_problems;
mod timeout;
mod turn;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_proto::botsession::v1 as proto;
use tonic::Status;

use flow::{find_unpaired_attempts, flow_from_proto, flow_to_proto};
pub(super) use program::{program_to_create, program_to_update, reminder_from_proto};
use program::{program_to_proto, reminder_to_proto};
use text_problems::find_text_problems;
use timeout::{inactivity_to_proto, timeout_to_proto};
pub(super) use timeout::{timeout_to_create, timeout_to_update};
pub(super) use turn::{actions_from_proto, turn_over_to_proto, turn_to_proto};

use crate::domain::{Answer, Bot, BotSummary, Flow, FlowProblem, Session, SessionStatus, validate};

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
    let (flow, engine) = program_to_proto(bot.program);
    let reminder = bot.reminder.map(reminder_to_proto);
    proto::Bot { flow, engine, reminder, ..summary_to_proto(bot.summary) }
}

/// A bot without its program.
pub(super) fn summary_to_proto(bot: BotSummary) -> proto::Bot {
    let etag = bot.etag();
    proto::Bot {
        id: bot.id.to_string(),
        name: bot.name,
        inactivity: Some(inactivity_to_proto(bot.timeout)),
        flow: None,
        create_time: Some(bot.created_at.to_proto()),
        update_time: Some(bot.updated_at.to_proto()),
        delete_time: bot.deleted_at.map(Time::to_proto),
        version: number(bot.version),
        etag,
        engine: None,
        reminder: None,
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
        version: number(session.version),
        answers: session.answers.into_iter().map(answer_to_proto).collect(),
        turn_count: number(session.turn),
    }
}

fn answer_to_proto(answer: Answer) -> proto::BotAnswer {
    let button_id = answer.button.unwrap_or_default();
    proto::BotAnswer { step_id: answer.step, sequence: number(answer.sequence), button_id }
}

pub(super) fn problem_to_proto(problem: FlowProblem) -> proto::FlowProblem {
    proto::FlowProblem { field: problem.field, description: problem.description }
}

fn status_to_proto(status: SessionStatus) -> proto::BotSessionStatus {
    STATUSES.iter().find(|(known, _)| *known == status).map(|(_, status)| *status).unwrap_or_default()
}

/// Returns the status of a filter. None: it is none.
pub(super) fn status_from_proto(status: proto::BotSessionStatus) -> Option<SessionStatus> {
    STATUSES.iter().find(|(_, known)| *known == status).map(|(status, _)| *status)
}

/// Returns the flow of a request, and all its problems.
pub(super) fn checked_flow(flow: proto::Flow) -> (Flow, Vec<FlowProblem>) {
    let mut problems = find_text_problems(&flow);
    problems.extend(find_unpaired_attempts(&flow));
    let flow = flow_from_proto(flow);
    problems.extend(validate(&flow));
    (flow, problems)
}

/// Returns the flow of a request. INVALID_ARGUMENT lists all its problems at once.
fn valid_flow(flow: proto::Flow) -> Result<Flow, Status> {
    let (flow, problems) = checked_flow(flow);
    if problems.is_empty() {
        return Ok(flow);
    }
    let fields = problems.into_iter().map(|problem| FieldError::new(problem.field, problem.description));
    Err(ApiError::fields(fields.collect()).into())
}

fn number(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
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
