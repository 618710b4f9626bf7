//! What the conversation service answers about a session whose deadline has passed (rules B4, B5).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Session, SessionStatus};

/// A session whose deadline has passed as far as this service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueSession {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    pub(crate) conversation: Uuid,
}

/// What the conversation's row decided about a due session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdleOutcome {
    /// The row closed the conversation: the visitor was silent for the whole timeout.
    Closed,
    /// The visitor was active within the timeout, which ends at this time now.
    VisitorActive { deadline: Time },
    /// The session is no longer in charge. How it ended arrives as an event.
    NotInCharge,
}

impl Session {
    /// Applies the row's decision. Returns true when it ended the session.
    pub(crate) fn apply_idle_outcome(&mut self, outcome: IdleOutcome, now: Time) -> bool {
        match outcome {
            IdleOutcome::Closed => return self.end(SessionStatus::TimedOut, now),
            IdleOutcome::VisitorActive { deadline } => self.set_deadline(Some(deadline)),
            IdleOutcome::NotInCharge => self.set_deadline(None),
        }
        false
    }

    /// Sets the deadline of an open session, and with it the time of the next check. That is no event, and
    /// keeps the version.
    fn set_deadline(&mut self, deadline: Option<Time>) {
        if self.is_open() {
            self.deadline_at = deadline;
            self.next_check_at = deadline;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::tests::open_session;

    #[test]
    fn b4_a_closed_conversation_ends_its_session_as_timed_out() {
        let mut session = open_session();
        assert!(session.apply_idle_outcome(IdleOutcome::Closed, Time(9)));
        assert_eq!((session.status, session.ended_at), (SessionStatus::TimedOut, Some(Time(9))));
    }

    #[test]
    fn b5_an_active_visitor_moves_the_deadline_and_the_next_check() {
        let mut session = open_session();
        assert!(!session.apply_idle_outcome(IdleOutcome::VisitorActive { deadline: Time(8) }, Time(6)));
        assert_eq!((session.deadline_at, session.next_check_at), (Some(Time(8)), Some(Time(8))));
        assert_eq!(session.version, 1);
    }

    #[test]
    fn a3_a_session_that_is_not_in_charge_is_not_checked_again_and_stays_open_until_its_event() {
        let mut session = open_session();
        assert!(!session.apply_idle_outcome(IdleOutcome::NotInCharge, Time(6)));
        assert!(session.is_open() && session.next_check_at.is_none());
    }

    #[test]
    fn b4_an_outcome_that_arrives_after_the_end_changes_nothing() {
        let mut ended = open_session();
        ended.end(SessionStatus::TakenOver, Time(3));
        for outcome in [IdleOutcome::Closed, IdleOutcome::VisitorActive { deadline: Time(8) }, IdleOutcome::NotInCharge]
        {
            let mut session = ended.clone();
            assert!(!session.apply_idle_outcome(outcome, Time(6)));
            assert_eq!(session, ended);
        }
    }
}
