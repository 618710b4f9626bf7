//! A row of `engine_turns`.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Engine, EngineTurn, TurnState};

/// The number of a waiting turn in the column `state`.
pub const WAITING: i32 = 1;
/// The number of a leased turn.
pub const LEASED: i32 = 2;
/// The number of a late turn.
pub const LATE: i32 = 3;
/// The number of a turn that is over.
pub const OVER: i32 = 4;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "engine_turns")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub bot_id: Uuid,
    pub session_id: Uuid,
    pub conversation_id: Uuid,
    pub number: i64,
    pub previous_sequence: i64,
    pub last_sequence: i64,
    pub newest_sequence: i64,
    pub state: i32,
    pub attempt: i64,
    pub parts: i64,
    pub stream_id: Option<Uuid>,
    pub due_at: Option<Time>,
    pub created_at: Time,
    pub take_timeout_us: i64,
    pub answer_timeout_us: i64,
    pub max_attempts: i64,
    pub answered: Option<bool>,
    pub visitor_active_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&EngineTurn> for Model {
    fn from(turn: &EngineTurn) -> Self {
        Self {
            id: turn.id,
            account_id: turn.account,
            bot_id: turn.bot,
            session_id: turn.session,
            conversation_id: turn.conversation,
            number: turn.number,
            previous_sequence: turn.previous_sequence,
            last_sequence: turn.last_sequence,
            newest_sequence: turn.newest_sequence,
            state: from_state(turn.state),
            attempt: turn.attempt,
            parts: turn.parts,
            stream_id: turn.stream,
            due_at: turn.due_at,
            created_at: turn.created_at,
            take_timeout_us: micros(turn.engine.take_timeout),
            answer_timeout_us: micros(turn.engine.answer_timeout),
            max_attempts: turn.engine.max_attempts.into(),
            answered: Some(turn.is_answered),
            visitor_active_at: Some(turn.visitor_active_at),
        }
    }
}

impl From<Model> for EngineTurn {
    fn from(row: Model) -> Self {
        let engine = Engine {
            take_timeout: duration(row.take_timeout_us),
            answer_timeout: duration(row.answer_timeout_us),
            max_attempts: u32::try_from(row.max_attempts).unwrap_or(1),
        };
        Self {
            id: row.id,
            account: row.account_id,
            bot: row.bot_id,
            session: row.session_id,
            conversation: row.conversation_id,
            number: row.number,
            previous_sequence: row.previous_sequence,
            last_sequence: row.last_sequence,
            newest_sequence: row.newest_sequence,
            state: to_state(row.state),
            attempt: row.attempt,
            parts: row.parts,
            stream: row.stream_id,
            due_at: row.due_at,
            // Binaries before the migration 014 do not write these.
            is_answered: row.answered.unwrap_or(false),
            visitor_active_at: row.visitor_active_at.unwrap_or(row.created_at),
            created_at: row.created_at,
            engine,
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn from_state(state: TurnState) -> i32 {
    match state {
        TurnState::Waiting => WAITING,
        TurnState::Leased => LEASED,
        TurnState::Late => LATE,
        TurnState::Over => OVER,
    }
}

/// An unknown number, which only a newer version writes, counts as over.
fn to_state(number: i32) -> TurnState {
    match number {
        WAITING => TurnState::Waiting,
        LEASED => TurnState::Leased,
        LATE => TurnState::Late,
        _ => TurnState::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of existing databases and the indexes hold these numbers.
    #[test]
    fn a_row_holds_the_state_by_a_fixed_number() {
        let states = [TurnState::Waiting, TurnState::Leased, TurnState::Late, TurnState::Over];
        for (state, number) in states.into_iter().zip(1..) {
            assert_eq!((from_state(state), to_state(number)), (number, state));
        }
    }
}
