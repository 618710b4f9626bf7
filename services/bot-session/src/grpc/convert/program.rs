//! Conversion of what a bot is: a flow, or a program of the customer's.

use std::time::Duration;

use frontdesk_api::{ApiError, FieldError};
use frontdesk_proto::{botsession::v1 as proto, says_something};
use tonic::Status;

use super::{flow_to_proto, valid_flow};
use crate::domain::{DEFAULT_ATTEMPTS, DEFAULT_ENGINE_TIMEOUT, Engine, Program, Reminder};

/// How long before the end of the timeout a reminder is sent, unless the bot says (minutes).
const DEFAULT_REMINDER_TIME: Duration = Duration::from_secs(60);

/// Returns the program of a bot to create. INVALID_ARGUMENT: the request has none, or two.
pub(in crate::grpc) fn program_to_create(
    flow: Option<proto::Flow>,
    engine: Option<proto::BotEngine>,
) -> Result<Program, Status> {
    program_to_update(flow, engine)?.ok_or_else(|| invalid("flow", "is required, unless the bot has an engine"))
}

/// Returns the new program of a bot. None: the request sets none.
pub(in crate::grpc) fn program_to_update(
    flow: Option<proto::Flow>,
    engine: Option<proto::BotEngine>,
) -> Result<Option<Program>, Status> {
    match (flow, engine) {
        (Some(_), Some(_)) => Err(invalid("engine", "must be left out with a flow: a bot has one or the other")),
        (Some(flow), None) => Ok(Some(Program::Flow(valid_flow(flow)?))),
        (None, engine) => Ok(engine.map(|engine| Program::Engine(engine_from_proto(&engine)))),
    }
}

/// Returns the flow and the engine of a bot, one of which is set.
pub(super) fn program_to_proto(program: Program) -> (Option<proto::Flow>, Option<proto::BotEngine>) {
    match program {
        Program::Flow(flow) => (Some(flow_to_proto(flow)), None),
        Program::Engine(engine) => (None, Some(engine_to_proto(engine))),
    }
}

/// Returns the reminder of a request. None: its text says nothing.
pub(in crate::grpc) fn reminder_from_proto(reminder: proto::BotReminder) -> Option<Reminder> {
    let before_end = reminder.before_end.and_then(|before| Duration::try_from(before).ok());
    let before_end = before_end.unwrap_or(DEFAULT_REMINDER_TIME);
    says_something(&reminder.text).then_some(Reminder { text: reminder.text, before_end })
}

pub(super) fn reminder_to_proto(reminder: Reminder) -> proto::BotReminder {
    let before_end = prost_types::Duration::try_from(reminder.before_end).ok();
    proto::BotReminder { text: reminder.text, before_end }
}

fn engine_from_proto(engine: &proto::BotEngine) -> Engine {
    let timeout = |timeout: Option<prost_types::Duration>| {
        timeout.and_then(|timeout| Duration::try_from(timeout).ok()).unwrap_or(DEFAULT_ENGINE_TIMEOUT)
    };
    Engine {
        take_timeout: timeout(engine.take_timeout),
        answer_timeout: timeout(engine.answer_timeout),
        max_attempts: u32::try_from(engine.max_attempts).ok().filter(|max| *max > 0).unwrap_or(DEFAULT_ATTEMPTS),
    }
}

fn engine_to_proto(engine: Engine) -> proto::BotEngine {
    let timeout = |timeout: Duration| prost_types::Duration::try_from(timeout).ok();
    proto::BotEngine {
        take_timeout: timeout(engine.take_timeout),
        answer_timeout: timeout(engine.answer_timeout),
        max_attempts: i32::try_from(engine.max_attempts).unwrap_or(i32::MAX),
    }
}

fn invalid(field: &str, description: &str) -> Status {
    ApiError::fields(vec![FieldError::new(field, description)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b7_a_bot_has_a_flow_or_an_engine_and_an_engine_has_defaults() {
        let engine = || Some(proto::BotEngine::default());
        let by_default = Engine {
            take_timeout: DEFAULT_ENGINE_TIMEOUT,
            answer_timeout: DEFAULT_ENGINE_TIMEOUT,
            max_attempts: DEFAULT_ATTEMPTS,
        };
        assert_eq!(program_to_create(None, engine()).unwrap(), Program::Engine(by_default));
        assert!(program_to_create(None, None).is_err());
        assert!(program_to_update(Some(proto::Flow::default()), engine()).is_err());
        assert_eq!(program_to_update(None, None).unwrap(), None);
    }
}
