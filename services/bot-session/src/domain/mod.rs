//! Bots, flows, and what a session does next. No I/O and no clock.

mod answer_check;
mod bot;
mod engine;
mod engine_turn;
mod flow;
mod flow_validation;
mod label;
mod session;
mod timeout;
mod turn;

pub(crate) use bot::{Bot, BotChange, BotSummary, DEFAULT_TIMEOUT, EtagMismatch, InactivityTimeout};
pub(crate) use engine::{DEFAULT_ATTEMPTS, DEFAULT_ENGINE_TIMEOUT, Engine, Program, Reminder};
pub(crate) use engine_turn::{EngineTurn, LeaseEnd, TurnOver, TurnState};
pub(crate) use flow::{AnswerCheck, Button, Flow, RoutingTarget, Step, StepAction};
pub(crate) use flow_validation::{FlowProblem, UNKNOWN_TARGET, inactive_agent, unknown_target, validate};
pub(crate) use session::{NewSession, Session, SessionStatus};
pub(crate) use timeout::{DueReminder, DueSession, IdleOutcome, MAX_RETRY_PAUSE};
pub(crate) use turn::{BotAction, HandOffTarget, PressedButton, Turn, VisitorInput};
