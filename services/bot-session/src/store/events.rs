//! The events that this service publishes: one function for each.

use frontdesk_db::Tx;
use frontdesk_outbox::{Aggregate, append};
use frontdesk_proto::event::v1::{
    BotCreated, BotDeactivated, BotSessionEnded, BotSessionOutcome, BotSessionStarted, BotSessionStepReached,
    BotUpdated,
};
use sea_orm::DbErr;

use crate::{
    NAME,
    domain::{Bot, Session, SessionStatus},
};

pub(crate) async fn append_bot_created(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotCreated { bot_id: bot.id.to_string() }).await
}

pub(crate) async fn append_bot_updated(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotUpdated { bot_id: bot.id.to_string() }).await
}

/// Appends the event of a deleted bot. Its name on the wire is `BotDeactivated`; code and API say that the bot is deleted.
pub(crate) async fn append_bot_deactivated(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotDeactivated { bot_id: bot.id.to_string() }).await
}

pub(crate) async fn append_bot_session_started(tx: &mut Tx, session: &Session) -> Result<(), DbErr> {
    let event = BotSessionStarted {
        bot_session_id: session.id.to_string(),
        conversation_id: session.conversation.to_string(),
        bot_id: session.bot.to_string(),
    };
    append(tx, session_aggregate(session), &event).await
}

/// Appends the step where the session waits now; empty at the end of the flow.
pub(crate) async fn append_bot_session_step_reached(tx: &mut Tx, session: &Session) -> Result<(), DbErr> {
    let event = BotSessionStepReached {
        bot_session_id: session.id.to_string(),
        conversation_id: session.conversation.to_string(),
        step_id: session.step.clone().unwrap_or_default(),
    };
    append(tx, session_aggregate(session), &event).await
}

pub(crate) async fn append_bot_session_ended(tx: &mut Tx, session: &Session) -> Result<(), DbErr> {
    let event = BotSessionEnded {
        bot_session_id: session.id.to_string(),
        conversation_id: session.conversation.to_string(),
        bot_id: session.bot.to_string(),
        outcome: outcome(session.status).into(),
    };
    append(tx, session_aggregate(session), &event).await
}

fn outcome(status: SessionStatus) -> BotSessionOutcome {
    match status {
        SessionStatus::Open => BotSessionOutcome::Unspecified,
        SessionStatus::TimedOut => BotSessionOutcome::TimedOut,
        SessionStatus::HandedOff => BotSessionOutcome::HandedOff,
        SessionStatus::TakenOver => BotSessionOutcome::TakenOver,
        SessionStatus::Completed => BotSessionOutcome::Completed,
        SessionStatus::Closed => BotSessionOutcome::Closed,
    }
}

fn bot_aggregate(bot: &Bot) -> Aggregate {
    Aggregate { source: NAME, account: bot.account, kind: "bot", id: bot.id, version: bot.version }
}

fn session_aggregate(session: &Session) -> Aggregate {
    let Session { account, id, version, .. } = *session;
    Aggregate { source: NAME, account, kind: "bot_session", id, version }
}
