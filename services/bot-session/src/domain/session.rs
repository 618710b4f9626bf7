//! A bot's session with a visitor.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{botsession::v1::BotSessionStatus, event::v1::BotSessionOutcome};
use uuid::Uuid;

use super::{Flow, Timeout};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    TimedOut,
    HandedOff,
    TakenOver,
    Completed,
    Closed,
}

/// Each status, as it is stored, as the proto shows it, as the event tells it.
const STATUSES: [(Status, &str, BotSessionStatus, BotSessionOutcome); 6] = [
    (Status::Open, "OPEN", BotSessionStatus::Open, BotSessionOutcome::Unspecified),
    (Status::TimedOut, "TIMED_OUT", BotSessionStatus::TimedOut, BotSessionOutcome::TimedOut),
    (Status::HandedOff, "HANDED_OFF", BotSessionStatus::HandedOff, BotSessionOutcome::HandedOff),
    (Status::TakenOver, "TAKEN_OVER", BotSessionStatus::TakenOver, BotSessionOutcome::TakenOver),
    (Status::Completed, "COMPLETED", BotSessionStatus::Completed, BotSessionOutcome::Completed),
    (Status::Closed, "CLOSED", BotSessionStatus::Closed, BotSessionOutcome::Closed),
];

impl Status {
    fn row(self) -> &'static (Status, &'static str, BotSessionStatus, BotSessionOutcome) {
        STATUSES.iter().find(|row| row.0 == self).unwrap_or(&STATUSES[0])
    }

    /// As it is stored.
    pub(crate) fn as_str(self) -> &'static str {
        self.row().1
    }

    /// As the proto shows it.
    pub(crate) fn to_proto(self) -> BotSessionStatus {
        self.row().2
    }

    /// How an ended session's event tells it.
    pub(crate) fn outcome(self) -> BotSessionOutcome {
        self.row().3
    }

    /// From how it is stored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        STATUSES.iter().find(|row| row.1 == text).map(|row| row.0)
    }

    /// From a filter; None: any.
    pub(crate) fn from_proto(status: BotSessionStatus) -> Option<Self> {
        STATUSES.iter().find(|row| row.2 == status).map(|row| row.0)
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) bot: Uuid,
    pub(crate) conversation: Uuid,
    pub(crate) status: Status,
    /// The bot's flow when the session began.
    pub(crate) flow: Flow,
    /// The step that it waits at; None: it has not opened yet, or is at the end of its flow.
    pub(crate) step: Option<String>,
    /// What the visitor said up to this sequence of the thread has been answered.
    pub(crate) last_sequence: i64,
    /// So many turns were taken. 0: it has not opened yet.
    pub(crate) turn: i64,
    /// The timeout that the conversation's row keeps too (rule B2).
    pub(crate) timeout: Timeout,
    pub(crate) started_at: Time,
    /// When the visitor will have been silent for too long, as far as this service knows.
    pub(crate) deadline_at: Option<Time>,
    /// When the row is next asked: at the deadline, or a little later while a replica asks just now.
    pub(crate) ask_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
    /// Counts the session's events.
    pub(crate) version: i64,
}

impl Session {
    /// True: the bot is in charge, as far as this service heard.
    pub(crate) fn is_open(&self) -> bool {
        self.status == Status::Open
    }

    /// Ends the session. False: it was over, and stays as it ended first.
    pub(crate) fn end(&mut self, status: Status, now: Time) -> bool {
        if !self.is_open() {
            return false;
        }
        self.status = status;
        self.ended_at = Some(now);
        self.deadline_at = None;
        self.ask_at = None;
        self.version += 1;
        true
    }

    /// Notes that a turn was taken and which messages it answered. True: it waits at another step now.
    pub(crate) fn took_turn(&mut self, step: Option<String>, last_sequence: i64) -> bool {
        let moved = self.step != step;
        self.step = step;
        self.last_sequence = self.last_sequence.max(last_sequence);
        self.turn += 1;
        self.version += i64::from(moved);
        moved
    }

    /// Sets when the row is next asked, from what it answered.
    pub(crate) fn ask_again_at(&mut self, deadline: Option<Time>) {
        self.deadline_at = deadline;
        self.ask_at = deadline;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_session_ends_once_and_stays_as_it_ended_first() {
        let mut session = Session {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            bot: Uuid::from_u128(3),
            conversation: Uuid::from_u128(4),
            status: Status::Open,
            flow: Flow::default(),
            step: None,
            last_sequence: 0,
            turn: 0,
            timeout: None,
            started_at: Time(0),
            deadline_at: Some(Time(5)),
            ask_at: Some(Time(5)),
            ended_at: None,
            version: 1,
        };
        assert!(session.end(Status::TakenOver, Time(3)));
        assert!(!session.end(Status::TimedOut, Time(5)));
        assert_eq!((session.status, session.ended_at, session.deadline_at), (Status::TakenOver, Some(Time(3)), None));
        assert_eq!(session.version, 2);
    }

    #[test]
    fn every_status_is_read_back_as_it_was_stored() {
        for (status, ..) in STATUSES {
            assert_eq!(Status::parse(status.as_str()), Some(status));
            assert_eq!(Status::from_proto(status.to_proto()), Some(status));
        }
    }
}
