//! What a caller or a fact makes the service do, one file each.

mod create_bot;
mod delete_bot;
mod end_session;
mod start_session;
mod take_turn;
mod update_bot;

pub(crate) use create_bot::{CreateBot, create_bot};
pub(crate) use delete_bot::delete_bot;
pub(crate) use end_session::{end_session, ended};
pub(crate) use start_session::{StartSession, start_session};
pub(crate) use take_turn::{TurnError, has_to_answer, take_turns};
pub(crate) use update_bot::{UpdateBot, update_bot};

use frontdesk_outbox::Aggregate;

use crate::{
    SOURCE,
    domain::{Bot, Session},
};

/// The bot as its events name it.
fn bot_aggregate(bot: &Bot) -> Aggregate {
    Aggregate { source: SOURCE, account: bot.account, kind: "bot", id: bot.id, version: bot.version }
}

/// The session as its events name it.
fn session_aggregate(session: &Session) -> Aggregate {
    let Session { account, id, version, .. } = *session;
    Aggregate { source: SOURCE, account, kind: "bot_session", id, version }
}
