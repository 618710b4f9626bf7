//! The events that this service publishes: one function for each.

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_outbox::{Aggregate, Events, append};
use frontdesk_proto::{
    botsession::v1::BotSessionStatus,
    event::v1::{
        BotCreated, BotDeleted, BotSessionEnded, BotSessionStarted, BotSessionStepReached, BotUndeleted, BotUpdated,
        ContactErasureConfirmed,
    },
};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    NAME,
    domain::{Bot, BotSummary, Session, SessionStatus},
};

pub(crate) async fn append_bot_created(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotCreated { bot_id: bot_id(bot) }).await
}

pub(crate) async fn append_bot_updated(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotUpdated { bot_id: bot_id(bot) }).await
}

pub(crate) async fn append_bot_deleted(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotDeleted { bot_id: bot_id(bot) }).await
}

pub(crate) async fn append_bot_undeleted(tx: &mut Tx, bot: &Bot) -> Result<(), DbErr> {
    append(tx, bot_aggregate(bot), &BotUndeleted { bot_id: bot_id(bot) }).await
}

/// Appends the only event that this service has of a job.
pub(crate) async fn append_contact_erasure_confirmed(
    tx: &mut Tx,
    account: AccountId,
    contact: Uuid,
    job: Uuid,
) -> Result<(), DbErr> {
    let aggregate = Aggregate { source: NAME, account, kind: "contact_job", id: job, version: 1 };
    let confirmed = ContactErasureConfirmed { contact_id: contact.to_string(), contact_job_id: job.to_string() };
    append(tx, aggregate, &confirmed).await
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
    append(tx, session_aggregate(session), &bot_session_ended(session, None)).await
}

/// Appends the ends of sessions that ended at the same time, each with the deadline that it reached, with one statement.
pub(crate) async fn append_bot_sessions_ended<'a>(
    tx: &mut Tx,
    sessions: impl Iterator<Item = (&'a Session, Option<Time>)>,
    now: Time,
) -> Result<(), DbErr> {
    let (mut events, traceparent) = (Events::new(now), frontdesk_telemetry::traceparent());
    sessions.for_each(|(session, deadline)| {
        events.push(session_aggregate(session), &bot_session_ended(session, deadline), &traceparent);
    });
    events.insert(tx).await
}

/// `deadline`: the time of the timeout that the session reached, where it is known.
fn bot_session_ended(session: &Session, deadline: Option<Time>) -> BotSessionEnded {
    let lateness = deadline.zip(session.ended_at).map(|(deadline, ended_at)| ended_at.since(deadline));
    BotSessionEnded {
        bot_session_id: session.id.to_string(),
        conversation_id: session.conversation.to_string(),
        bot_id: session.bot.to_string(),
        status: status(session.status).into(),
        deadline_time: deadline.map(Time::to_proto),
        lateness: lateness.and_then(|lateness| lateness.try_into().ok()),
    }
}

fn status(status: SessionStatus) -> BotSessionStatus {
    match status {
        SessionStatus::Open => BotSessionStatus::Open,
        SessionStatus::TimedOut => BotSessionStatus::TimedOut,
        SessionStatus::HandedOff => BotSessionStatus::HandedOff,
        SessionStatus::TakenOver => BotSessionStatus::TakenOver,
        SessionStatus::Completed => BotSessionStatus::Completed,
        SessionStatus::Closed => BotSessionStatus::Closed,
    }
}

fn bot_id(bot: &Bot) -> String {
    bot.summary.id.to_string()
}

fn bot_aggregate(bot: &Bot) -> Aggregate {
    let BotSummary { account, id, version, .. } = bot.summary;
    Aggregate { source: NAME, account, kind: "bot", id, version }
}

fn session_aggregate(session: &Session) -> Aggregate {
    let Session { account, id, version, .. } = *session;
    Aggregate { source: NAME, account, kind: "bot_session", id, version }
}
