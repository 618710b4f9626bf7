//! Bots, flows, and what a session does next. No I/O, no clock.

mod answer;
mod bot;
mod flow;
mod run;
mod session;
mod soundness;

pub(crate) use bot::{Bot, BotChange, DEFAULT_TIMEOUT, Timeout};
pub(crate) use flow::{Action, Button, Check, Flow, Step};
pub(crate) use run::{Act, Input, Turn};
pub(crate) use session::{Session, Status};
pub(crate) use soundness::{Problem, problems};
