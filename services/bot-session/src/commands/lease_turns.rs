//! Leases turns to a stream of an engine, and finds those that it has no more (rule B7).

use std::collections::HashMap;

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use crate::{
    App,
    domain::{EngineTurn, LeaseEnd},
    error::BotSessionError,
    queries,
    store::{self, engine_turns},
};

/// A stream of an engine.
#[derive(Clone, Debug)]
pub(crate) struct TurnStream {
    pub(crate) account: AccountId,
    pub(crate) bot: Uuid,
    /// Its id, under which turns are leased to it.
    pub(crate) id: Uuid,
    /// Maximum number of turns that it has at a time.
    pub(crate) max_turns: u64,
}

/// A lease of a stream that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedLease {
    pub(crate) turn: Uuid,
    pub(crate) attempt: i64,
    pub(crate) end: LeaseEnd,
}

/// What happened to the turns of a stream.
#[derive(Debug)]
pub(crate) struct StreamTurns {
    /// Leases that it has no more.
    pub(crate) ended: Vec<EndedLease>,
    /// Turns that it got now, the oldest first.
    pub(crate) leased: Vec<EngineTurn>,
}

/// Leases waiting turns of the bot to the stream, so that it has its maximum of them at most. `held`: the attempts of the turns that
/// the stream had at the last call. With `checks_bot` it fails where the bot has no engine any more.
pub(crate) async fn lease_turns(
    app: &App,
    stream: &TurnStream,
    held: HashMap<Uuid, i64>,
    checks_bot: bool,
) -> Result<StreamTurns, BotSessionError> {
    if checks_bot {
        queries::require_engine(app, stream.account, stream.bot).await?;
    }
    let read = app.db.read_for(stream.account).await?;
    let ended = find_ended(&read.conn(), stream, &held).await?;
    // Only the stream itself leases turns to it.
    let room = stream.max_turns.saturating_sub((held.len() - ended.len()) as u64);
    let may_lease = room > 0 && engine_turns::has_waiting(&read.conn(), stream.account, stream.bot).await?;
    drop(read);
    let leased = if may_lease { lease(app, stream, room).await? } else { Vec::new() };
    Ok(StreamTurns { ended, leased })
}

/// Returns those of the held leases that have ended.
async fn find_ended<C: ConnectionTrait>(
    conn: &C,
    stream: &TurnStream,
    held: &HashMap<Uuid, i64>,
) -> Result<Vec<EndedLease>, DbErr> {
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let current = engine_turns::list_leased(conn, stream.account, stream.id).await?;
    let mut ended = Vec::new();
    for (&turn, &attempt) in held {
        if current.contains(&(turn, attempt)) {
            continue;
        }
        let end = match engine_turns::find(conn, stream.account, stream.bot, turn).await? {
            Some(turn) => {
                let session = store::sessions::find(conn, stream.account, turn.session).await?;
                turn.lease_end(attempt, session.is_some_and(|session| session.is_open()))
            }
            None => LeaseEnd::SessionEnded,
        };
        ended.push(EndedLease { turn, attempt, end });
    }
    Ok(ended)
}

async fn lease(app: &App, stream: &TurnStream, room: u64) -> Result<Vec<EngineTurn>, DbErr> {
    let tx = app.db.begin_for(stream.account).await?;
    let mut turns = engine_turns::list_waiting_for_update(&tx, stream.account, stream.bot, room).await?;
    let now = tx.now().await?;
    for turn in &mut turns {
        turn.lease(stream.id, now);
        engine_turns::save(&tx, turn).await?;
    }
    tx.commit().await?;
    Ok(turns)
}
