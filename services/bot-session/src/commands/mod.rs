//! What a caller can do, one file each.

mod answer_turn;
mod create_bot;
mod delete_bot;
mod end_session;
mod lease_turns;
mod send_reminders;
mod settle_timeouts;
mod signals;
mod start_session;
mod steps;
mod take_turns;
mod undelete_bot;
mod update_bot;

pub(crate) use answer_turn::{AnswerTurn, answer_turn};
pub(crate) use create_bot::{CreateBot, create_bot};
pub(crate) use delete_bot::delete_bot;
pub(crate) use end_session::end_session;
pub(crate) use lease_turns::{EndedLease, StreamTurns, TurnStream, lease_turns};
pub(crate) use send_reminders::send_reminders;
pub(crate) use settle_timeouts::settle_timeouts;
pub(crate) use signals::{Signals, Subscription};
pub(crate) use start_session::start_session;
pub(crate) use take_turns::{TurnError, TurnGuards, TurnRequest, take_turns};
pub(crate) use undelete_bot::undelete_bot;
pub(crate) use update_bot::{UpdateBot, update_bot};
