//! Bots, flows, and what a session does next. No I/O and no clock.

mod answer_check;
mod bot;
mod condition;
mod engine;
mod engine_turn;
mod flow;
mod flow_paths;
mod flow_validation;
mod label;
mod opening_hours;
mod placeholders;
mod session;
mod timeout;
mod turn;

pub(crate) use bot::{Bot, BotChange, BotSummary, DEFAULT_TIMEOUT, EtagMismatch, InactivityTimeout};
pub(crate) use condition::{Condition, Known, Test, choose};
pub(crate) use engine::{DEFAULT_ATTEMPTS, DEFAULT_ENGINE_TIMEOUT, Engine, Program, Reminder};
pub(crate) use engine_turn::{EngineTurn, LeaseEnd, TurnOver, TurnState};
pub(crate) use flow::{AnswerCheck, Attempts, Button, Case, Flow, Question, Reference, Step, StepAction};
pub(crate) use flow_validation::{FlowProblem, validate};
pub(crate) use opening_hours::OpeningHours;
pub(crate) use placeholders::{placeholder_problem, without_values};
pub(crate) use session::{Answer, Choices, NewSession, Session, SessionStatus};
pub(crate) use timeout::{DueReminder, DueSession, IdleOutcome, MAX_RETRY_PAUSE};
pub(crate) use turn::{BotAction, HandOffTarget, PendingBranch, Plan, PressedButton, Turn, VisitorInput, Waiting};
