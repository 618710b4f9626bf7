//! Domain values as columns hold them.

use std::time::Duration;

use sea_orm::DbErr;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::domain::{Engine, Flow, InactivityTimeout, Program, Reminder, SessionStatus};

/// Text of each session status.
const STATUSES: [(SessionStatus, &str); 6] = [
    (SessionStatus::Open, OPEN),
    (SessionStatus::TimedOut, "TIMED_OUT"),
    (SessionStatus::HandedOff, "HANDED_OFF"),
    (SessionStatus::TakenOver, "TAKEN_OVER"),
    (SessionStatus::Completed, "COMPLETED"),
    (SessionStatus::Closed, "CLOSED"),
];

/// Text of [`SessionStatus::Open`], which the index of the next checks names.
pub(super) const OPEN: &str = "OPEN";

pub(super) fn status_text(status: SessionStatus) -> &'static str {
    STATUSES.iter().find(|(known, _)| *known == status).map_or(OPEN, |(_, text)| text)
}

pub(super) fn status(text: &str) -> Result<SessionStatus, DbErr> {
    let known = STATUSES.iter().find(|(_, known)| *known == text).map(|(status, _)| *status);
    known.ok_or_else(|| DbErr::Type(format!("bot_sessions.status holds an unknown status: {text}")))
}

/// Microseconds of a timeout.
pub(super) fn micros(timeout: InactivityTimeout) -> Option<i64> {
    timeout.map(|timeout| i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn timeout(micros: Option<i64>) -> InactivityTimeout {
    micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// A bot's program and its reminder as the columns `flow` hold them. A binary that knows no engines reads an engine as a flow without
/// steps, with which it hands each chat to the team.
#[derive(Serialize, Deserialize)]
struct StoredProgram {
    #[serde(flatten)]
    flow: Flow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<Engine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reminder: Option<Reminder>,
}

/// Returns a program and its reminder as JSON.
pub(super) fn program_json(program: &Program, reminder: Option<&Reminder>) -> Result<String, DbErr> {
    let reminder = reminder.cloned();
    let stored = match program {
        Program::Flow(flow) => StoredProgram { flow: flow.clone(), engine: None, reminder },
        Program::Engine(engine) => StoredProgram { flow: Flow::default(), engine: Some(*engine), reminder },
    };
    serde_json::to_string(&stored).map_err(|error| DbErr::Type(format!("a program cannot be written as JSON: {error}")))
}

pub(super) fn program(json: &str) -> Result<(Program, Option<Reminder>), DbErr> {
    let stored: StoredProgram = serde_json::from_str(json)
        .map_err(|error| DbErr::Type(format!("column flow does not hold a flow or engine: {error}")))?;
    Ok((stored.engine.map_or(Program::Flow(stored.flow), Program::Engine), stored.reminder))
}

/// Returns a value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, DbErr> {
    serde_json::to_string(value).map_err(|error| DbErr::Type(format!("a value cannot be written as JSON: {error}")))
}

/// Reads a value that [`json`] wrote.
pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, DbErr> {
    serde_json::from_str(json)
        .map_err(|error| DbErr::Type(format!("a column does not hold the JSON of its value: {error}")))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{AnswerCheck, Attempts, Button, Case, Condition, Question, Step, StepAction, Test};

    #[test]
    fn b6_a_stored_flow_is_read_by_every_later_version() {
        let stored = r#"{"steps":[
            {"id":"hi","action":{"say":{"text":"Hi"}},"next":"mail"},
            {"id":"mail","action":{"ask":{"text":"?","property":"email","check":"email","retry_text":""}}},
            {"id":"pick","action":{"buttons":{"text":"?","buttons":[{"id":"a","label":"A","next":"bye"},{"id":"b","label":"B"}]}}},
            {"id":"team","action":{"hand_off":{"text":"","reason":"r","agent":"00000000-0000-0000-0000-000000000007"}}},
            {"id":"bye","action":{"close":{"text":"Bye"}}}]}"#;
        let (Program::Flow(read), None) = program(stored).unwrap() else { panic!("no flow") };
        let actions = [
            StepAction::Say { text: "Hi".into(), inserts: Vec::new() },
            StepAction::Ask(Question {
                text: "?".into(),
                property: "email".into(),
                check: AnswerCheck::Email,
                retry_text: String::new(),
                choices: Vec::new(),
                attempts: None,
                takes_first_message: false,
            }),
            StepAction::Buttons {
                text: "?".into(),
                buttons: vec![
                    Button { id: "a".into(), label: "A".into(), next: Some("bye".into()) },
                    Button { id: "b".into(), label: "B".into(), next: None },
                ],
                attempts: None,
            },
            StepAction::HandOff {
                text: String::new(),
                reason: "r".into(),
                agent: Some(Uuid::from_u128(7)),
                policy: None,
                team: None,
            },
            StepAction::Close { text: "Bye".into() },
        ];
        assert_eq!(read.steps.iter().map(|step| step.action.clone()).collect::<Vec<_>>(), actions);
        assert_eq!(read.steps[0].next.as_deref(), Some("mail"));
        let read = Program::Flow(read);
        assert_eq!(program(&program_json(&read, None).unwrap()).unwrap(), (read, None));
    }

    #[test]
    fn b6_every_step_is_read_as_it_was_written() {
        let attempts = Some(Attempts { max: 2, fallback: "bye".into() });
        let question = Question {
            text: "?".into(),
            property: "size".into(),
            check: AnswerCheck::Anything,
            retry_text: String::new(),
            choices: vec!["S".into(), "L".into()],
            attempts: attempts.clone(),
            takes_first_message: true,
        };
        let id = Uuid::from_u128(3);
        let conditions = [
            Test::Answer { step: "ask".into(), values: vec!["S".into()] },
            Test::OpeningHours { id },
            Test::Property { name: "plan".into(), values: Vec::new() },
            Test::Language { languages: vec!["it".into()] },
        ];
        let conditions = conditions.map(|test| Condition { test, negated: true }).to_vec();
        let actions = [
            StepAction::Say { text: "Hi".into(), inserts: vec![id] },
            StepAction::Ask(question),
            StepAction::Buttons { text: "?".into(), buttons: Vec::new(), attempts },
            StepAction::Branch { cases: vec![Case { conditions, next: Some("bye".into()) }] },
            StepAction::SetProperty { property: "plan".into(), value: "gold".into() },
            StepAction::CreateTicket { subject: "Call".into() },
            StepAction::HandOff {
                text: String::new(),
                reason: String::new(),
                agent: None,
                policy: Some(id),
                team: Some(id),
            },
        ];
        let step = |action| Step { id: "a".into(), action, next: None };
        let flow = Program::Flow(Flow { steps: actions.into_iter().map(step).collect() });
        assert_eq!(program(&program_json(&flow, None).unwrap()).unwrap(), (flow, None));
    }

    #[test]
    fn b7_an_engine_is_read_as_it_was_written_and_as_an_empty_flow_by_an_earlier_version() {
        let timeout = Duration::from_millis(1_500);
        let engine = Program::Engine(Engine { take_timeout: timeout, answer_timeout: timeout, max_attempts: 3 });
        let reminder = Reminder { text: "Still there?".into(), before_end: timeout };
        let json = program_json(&engine, Some(&reminder)).unwrap();
        assert_eq!(program(&json).unwrap(), (engine, Some(reminder)));
        assert_eq!(serde_json::from_str::<Flow>(&json).unwrap(), Flow::default());
    }

    #[test]
    fn every_status_is_read_as_it_was_written() {
        for (expected, _) in STATUSES {
            assert_eq!(status(status_text(expected)).ok(), Some(expected));
        }
        assert!(status("PAUSED").is_err());
    }
}
