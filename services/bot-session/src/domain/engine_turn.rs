//! A turn of a bot that is a program of the customer's (rule B7): it waits for a stream, is leased to one, and is answered, or handed
//! to the team. A session has one at a time.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Engine, Session};

/// Interval between two attempts to hand a late turn to the team (seconds).
const HAND_OFF_INTERVAL: Duration = Duration::from_secs(5);

/// The state of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TurnState {
    /// No stream has it.
    Waiting,
    /// A stream has it until its time.
    Leased,
    /// The engine is gone or too slow: the chat is being handed to the team.
    Late,
    /// It was answered, the session ended, or the team has the chat.
    Over,
}

/// A turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EngineTurn {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) bot: Uuid,
    pub(crate) session: Uuid,
    pub(crate) conversation: Uuid,
    /// 1, 2, … within the session.
    pub(crate) number: i64,
    /// The visitor's messages up to this sequence were answered before.
    pub(crate) previous_sequence: i64,
    /// The visitor's messages up to this sequence are to be answered.
    pub(crate) last_sequence: i64,
    /// Sequence of the visitor's newest message. After `last_sequence`: the next turn answers it.
    pub(crate) newest_sequence: i64,
    pub(crate) state: TurnState,
    /// Number of times that it was leased.
    pub(crate) attempt: i64,
    /// Number of parts that were sent.
    pub(crate) parts: i64,
    /// The stream that has it, or had it last.
    pub(crate) stream: Option<Uuid>,
    /// When it is late in its state. None: it is over.
    pub(crate) due_at: Option<Time>,
    /// Whether it ended with the engine's answer.
    pub(crate) is_answered: bool,
    /// When the visitor wrote last, or the session started.
    pub(crate) visitor_active_at: Time,
    pub(crate) created_at: Time,
    /// The session's engine.
    pub(crate) engine: Engine,
}

/// The turn is over for this answer: it was answered or is handed off, its lease has expired, or another attempt has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnOver;

/// Why a stream does not have a turn any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEnd {
    /// The engine answered.
    Answered,
    /// A person took over, the chat was closed, or the bot handed it off.
    SessionEnded,
    /// The answer, or its next part, did not come before the deadline.
    Expired,
}

impl EngineTurn {
    /// Returns the session's next turn, which answers the visitor's messages up to this sequence, the last of which was posted at
    /// `visitor_active_at`.
    pub(crate) fn start(
        id: Uuid,
        session: &Session,
        last_sequence: i64,
        engine: Engine,
        visitor_active_at: Time,
        now: Time,
    ) -> Self {
        Self {
            id,
            account: session.account,
            bot: session.bot,
            session: session.id,
            conversation: session.conversation,
            number: session.turn + 1,
            previous_sequence: session.last_sequence,
            last_sequence,
            newest_sequence: last_sequence,
            state: TurnState::Waiting,
            attempt: 0,
            parts: 0,
            stream: None,
            due_at: Some(now.plus(engine.take_timeout)),
            is_answered: false,
            visitor_active_at,
            created_at: now,
            engine,
        }
    }

    /// Returns whether it is not over.
    pub(crate) fn is_open(&self) -> bool {
        self.state != TurnState::Over
    }

    /// Notes a message of the visitor. Returns false when it is known. A turn that no stream has seen answers it too.
    pub(crate) fn note(&mut self, sequence: i64, posted_at: Time) -> bool {
        if sequence <= self.newest_sequence {
            return false;
        }
        self.newest_sequence = sequence;
        self.visitor_active_at = self.visitor_active_at.max(posted_at);
        if self.attempt == 0 {
            self.last_sequence = sequence;
        }
        true
    }

    /// Leases the turn to a stream.
    pub(crate) fn lease(&mut self, stream: Uuid, now: Time) {
        self.state = TurnState::Leased;
        self.attempt += 1;
        self.stream = Some(stream);
        self.due_at = Some(now.plus(self.engine.answer_timeout));
    }

    /// Returns whether this attempt may answer the turn.
    pub(crate) fn require_leased(&self, attempt: i64, now: Time) -> Result<(), TurnOver> {
        let in_time = self.due_at.is_some_and(|due| now < due);
        if self.state == TurnState::Leased && self.attempt == attempt && in_time { Ok(()) } else { Err(TurnOver) }
    }

    /// Takes a number of parts of this attempt's answer, and extends the lease. Returns the number of the first.
    pub(crate) fn take_parts(&mut self, attempt: i64, parts: usize, now: Time) -> Result<i64, TurnOver> {
        self.require_leased(attempt, now)?;
        let first = self.parts;
        self.parts += i64::try_from(parts).unwrap_or(i64::MAX);
        self.due_at = Some(now.plus(self.engine.answer_timeout));
        Ok(first)
    }

    /// Moves on a turn whose time has come: it waits again, or is late.
    pub(crate) fn expire(&mut self, now: Time) {
        if self.state == TurnState::Leased && self.attempt < i64::from(self.engine.max_attempts) {
            self.state = TurnState::Waiting;
            self.due_at = Some(now.plus(self.engine.take_timeout));
        } else if self.is_open() {
            self.state = TurnState::Late;
            self.due_at = Some(now.plus(HAND_OFF_INTERVAL));
        }
    }

    /// Ends the turn.
    pub(crate) fn end(&mut self) {
        self.state = TurnState::Over;
        self.due_at = None;
    }

    /// Ends the turn with the engine's answer.
    pub(crate) fn end_by_answer(&mut self) {
        self.is_answered = true;
        self.end();
    }

    /// Returns why the stream that had this attempt does not have it any more.
    pub(crate) fn lease_end(&self, attempt: i64, session_is_open: bool) -> LeaseEnd {
        if self.is_answered && self.attempt == attempt {
            LeaseEnd::Answered
        } else if session_is_open {
            LeaseEnd::Expired
        } else {
            LeaseEnd::SessionEnded
        }
    }

    /// Returns why a late turn goes to the team.
    pub(crate) fn hand_off_reason(&self) -> &'static str {
        if self.attempt == 0 {
            "The bot's program is not connected."
        } else {
            "The bot's program did not answer in time."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::open_session;

    const SECOND: i64 = 1_000_000;

    fn turn() -> EngineTurn {
        let (take_timeout, answer_timeout) = (Duration::from_secs(5), Duration::from_secs(10));
        let engine = Engine { take_timeout, answer_timeout, max_attempts: 2 };
        EngineTurn::start(Uuid::from_u128(9), &open_session(), 3, engine, Time(0), Time(0))
    }

    #[test]
    fn b7_a_lease_admits_its_attempt_until_it_expires_and_each_part_extends_it() {
        let mut turn = turn();
        assert_eq!(turn.take_parts(0, 1, Time(0)), Err(TurnOver));
        turn.lease(Uuid::from_u128(1), Time(0));
        assert_eq!(turn.take_parts(2, 1, Time(1)), Err(TurnOver));
        assert_eq!(turn.take_parts(1, 2, Time(9 * SECOND)), Ok(0));
        assert_eq!(turn.take_parts(1, 1, Time(18 * SECOND)), Ok(2));
        assert_eq!(turn.take_parts(1, 1, Time(28 * SECOND)), Err(TurnOver));
        turn.end();
        assert_eq!(turn.take_parts(1, 1, Time(18 * SECOND)), Err(TurnOver));
    }

    #[test]
    fn b7_a_turn_is_sent_again_until_its_attempts_are_used_up_and_is_late_then() {
        let mut turn = turn();
        for attempt in [1, 2] {
            turn.lease(Uuid::from_u128(1), Time(0));
            assert_eq!(turn.attempt, attempt);
            turn.expire(Time(20 * SECOND));
        }
        assert_eq!(turn.state, TurnState::Late);
        assert!(turn.hand_off_reason().contains("did not answer"));
        turn.expire(Time(25 * SECOND));
        assert_eq!((turn.state, turn.due_at), (TurnState::Late, Some(Time(30 * SECOND))));
    }

    #[test]
    fn b7_a_turn_that_no_stream_takes_is_late() {
        let mut turn = turn();
        turn.expire(Time(5 * SECOND));
        assert_eq!(turn.state, TurnState::Late);
        assert!(turn.hand_off_reason().contains("not connected"));
        turn.end();
        turn.expire(Time(6 * SECOND));
        assert_eq!((turn.state, turn.due_at), (TurnState::Over, None));
    }

    #[test]
    fn b7_what_the_visitor_writes_after_the_lease_is_for_the_next_turn() {
        let mut turn = turn();
        assert!(!turn.note(3, Time(9)) && turn.note(4, Time(2)));
        assert_eq!((turn.last_sequence, turn.newest_sequence), (4, 4));
        turn.lease(Uuid::from_u128(1), Time(0));
        assert!(turn.note(6, Time(5)) && !turn.note(5, Time(4)));
        assert_eq!((turn.last_sequence, turn.newest_sequence, turn.visitor_active_at), (4, 6, Time(5)));
    }

    #[test]
    fn b7_a_stream_loses_a_turn_by_an_answer_an_end_of_the_session_or_its_deadline() {
        let mut turn = turn();
        turn.lease(Uuid::from_u128(1), Time(0));
        assert_eq!(turn.lease_end(1, false), LeaseEnd::SessionEnded);
        turn.expire(Time(20 * SECOND));
        turn.lease(Uuid::from_u128(2), Time(20 * SECOND));
        assert_eq!(turn.lease_end(1, true), LeaseEnd::Expired);
        turn.end_by_answer();
        assert_eq!((turn.lease_end(1, true), turn.lease_end(2, true)), (LeaseEnd::Expired, LeaseEnd::Answered));
        assert_eq!(turn.lease_end(2, false), LeaseEnd::Answered);
    }
}
