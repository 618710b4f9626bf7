//! What the conversation service answers about a session whose deadline has passed (rules B4, B5).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{Session, SessionStatus};

/// Minimum pause before a session is checked again whose visitor was active (milliseconds). The clocks of two databases may
/// differ: the other one's deadline may have passed by this one's.
const MIN_CHECK_PAUSE: Duration = Duration::from_millis(250);

/// How long a reminder that is being sent may take before it is sent again (seconds).
const REMINDER_RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Pause after a first failed check (milliseconds). It doubles with each further one.
const FIRST_RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause after a failed check (seconds).
pub(crate) const MAX_RETRY_PAUSE: Duration = Duration::from_secs(64);

/// Maximum number of failed checks that a failure of the whole call counts for: after an outage the sessions are checked again
/// within the five seconds of rule B4.
const MAX_FAILED_CALLS: u32 = 4;

/// A session whose deadline has passed as far as this service knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueSession {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    pub(crate) conversation: Uuid,
    /// The time of the check, where the clock was moved past it: what would have happened then happens. None: now.
    pub(crate) as_of: Option<Time>,
}

/// A reminder that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DueReminder {
    pub(crate) account: AccountId,
    pub(crate) session: Uuid,
    /// The deadline of which the visitor is reminded.
    pub(crate) deadline: Time,
    /// When the visitor was last active.
    pub(crate) silent_since: Time,
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
    /// This conversation could not be decided now; others could.
    Failed,
    /// The call failed for all conversations.
    CallFailed,
}

impl Session {
    /// Applies the row's decision. Returns true when it ended the session.
    pub(crate) fn apply_idle_outcome(&mut self, outcome: IdleOutcome, now: Time) -> bool {
        if !self.is_open() {
            return false;
        }
        match outcome {
            IdleOutcome::Closed => return self.end(SessionStatus::TimedOut, now),
            IdleOutcome::VisitorActive { deadline } => {
                let next_check = match self.remind_at(deadline) {
                    // Due: it is sent now, and again at the next check unless it is noted before.
                    Some(remind_at) if remind_at <= now => now.plus(REMINDER_RETRY_PAUSE).min(deadline),
                    Some(remind_at) => remind_at,
                    None => deadline,
                };
                self.set_deadline(Some(deadline), Some(next_check.max(now.plus(MIN_CHECK_PAUSE))));
            }
            IdleOutcome::NotInCharge => self.set_deadline(None, None),
            IdleOutcome::Failed => self.check_later(self.failed_checks.saturating_add(1), now),
            IdleOutcome::CallFailed => {
                let failed_checks = self.failed_checks.max((self.failed_checks + 1).min(MAX_FAILED_CALLS));
                self.check_later(failed_checks, now);
            }
        }
        false
    }

    /// Returns when the visitor is reminded of this deadline. None: they are not, or were.
    fn remind_at(&self, deadline: Time) -> Option<Time> {
        let before = self.reminder_before.filter(|_| self.reminded_of != Some(deadline))?;
        Some(deadline.minus(before))
    }

    /// Returns the reminder that is due after the row's decision was applied. None: none is.
    pub(crate) fn due_reminder(&self, now: Time) -> Option<DueReminder> {
        let (deadline, timeout) = self.deadline_at.zip(self.timeout)?;
        let is_due =
            self.is_open() && self.remind_at(deadline).is_some_and(|remind_at| remind_at <= now) && now < deadline;
        let silent_since = deadline.minus(timeout);
        is_due.then_some(DueReminder { account: self.account, session: self.id, deadline, silent_since })
    }

    /// Lets the check at a deadline that has passed wait for a reminder that is sent now: where the clock was moved past both, they
    /// come in their order. A reminder that fails holds the deadline up no longer.
    pub(crate) fn await_reminder(&mut self, now: Time) {
        if self.deadline_at.is_some_and(|deadline| deadline <= now) {
            self.next_check_at = Some(now.plus(REMINDER_RETRY_PAUSE));
        }
    }

    /// Notes that the visitor was reminded of the deadline: the next check is at it. Returns false, and changes nothing, when the
    /// session has ended or has another deadline.
    pub(crate) fn record_reminder(&mut self, deadline: Time) -> bool {
        if !self.is_open() || self.deadline_at != Some(deadline) {
            return false;
        }
        self.reminded_of = Some(deadline);
        self.next_check_at = Some(deadline);
        true
    }

    /// Sets the deadline to a whole timeout from now when the visitor's silence, since `visitor_active_at`, reached the timeout while
    /// the bot owed an answer: a visitor who waits for an answer is not silent (rule B7). An answer in time changes nothing, because
    /// only the visitor's own activity restarts the timeout (rule B3).
    pub(crate) fn extend_after_late_answer(&mut self, visitor_active_at: Time, now: Time) {
        let Some(timeout) = self.timeout.filter(|_| self.deadline_at.is_some()) else { return };
        if visitor_active_at.plus(timeout) <= now {
            let deadline = Some(now.plus(timeout));
            // No reminder before it: by the visitor's own activity the row would close at an earlier check.
            self.set_deadline(deadline, deadline);
        }
    }

    /// Sets the deadline and the time of the next check. That is no event, and keeps the version.
    fn set_deadline(&mut self, deadline: Option<Time>, next_check: Option<Time>) {
        self.deadline_at = deadline;
        self.next_check_at = next_check;
        self.failed_checks = 0;
    }

    /// Sets the next check after this number of failed ones.
    fn check_later(&mut self, failed_checks: u32, now: Time) {
        self.failed_checks = failed_checks;
        self.next_check_at = Some(now.plus(retry_pause(self.id, failed_checks)));
    }
}

/// Returns the pause after this number of failed checks: half of the full pause, and a part of the other half that differs between
/// sessions and checks, so that sessions which failed together are not checked together for ever.
fn retry_pause(session: Uuid, failed_checks: u32) -> Duration {
    let doublings = failed_checks.saturating_sub(1).min(7);
    let full = (FIRST_RETRY_PAUSE * (1 << doublings)).min(MAX_RETRY_PAUSE);
    // The last bits of an id are random; each check takes other ones.
    let part = session.as_u128().rotate_right(failed_checks.wrapping_mul(8) % 56) & 0xff;
    full / 2 + full / 2 * part as u32 / 255
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
        let mut session = Session { failed_checks: 3, ..open_session() };
        let deadline = Time(8_000_000);
        assert!(!session.apply_idle_outcome(IdleOutcome::VisitorActive { deadline }, Time(6_000_000)));
        assert_eq!((session.deadline_at, session.next_check_at), (Some(deadline), Some(deadline)));
        assert_eq!((session.version, session.failed_checks), (1, 0));
    }

    #[test]
    fn b4_a_deadline_that_has_passed_by_this_databases_clock_is_not_checked_at_once() {
        let mut session = open_session();
        session.apply_idle_outcome(IdleOutcome::VisitorActive { deadline: Time(8) }, Time(10));
        assert_eq!((session.deadline_at, session.next_check_at), (Some(Time(8)), Some(Time(250_010))));
    }

    #[test]
    fn b4_a_session_that_fails_again_and_again_is_checked_less_and_less_often() {
        let mut session = open_session();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            assert!(!session.apply_idle_outcome(IdleOutcome::Failed, Time(0)));
            pauses.push(session.next_check_at.unwrap().0 / 1_000);
        }
        for (pause, full) in
            pauses.iter().zip([500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000])
        {
            assert!((full / 2..=full).contains(pause), "{pauses:?}");
        }
    }

    #[test]
    fn b4_an_outage_delays_no_timeout_by_more_than_four_seconds() {
        let mut session = open_session();
        for _ in 0..100 {
            session.apply_idle_outcome(IdleOutcome::CallFailed, Time(0));
            assert!(session.next_check_at.unwrap() <= Time(4_000_000));
        }
        // One that failed alone before keeps its longer pause.
        session.failed_checks = 8;
        session.apply_idle_outcome(IdleOutcome::CallFailed, Time(0));
        assert!(session.next_check_at.unwrap() > Time(4_000_000));
    }

    #[test]
    fn b4_a_visitor_is_reminded_once_for_each_silence() {
        const MINUTE: i64 = 60_000_000;
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let timing = Session { timeout: Some(minutes(30)), reminder_before: Some(minutes(5)), ..open_session() };
        let mut session = Session { deadline_at: Some(Time(30 * MINUTE)), ..timing };
        let active = |deadline| IdleOutcome::VisitorActive { deadline: Time(deadline) };
        // The visitor wrote at minute 2: not due, and the next check is the new reminder.
        session.apply_idle_outcome(active(32 * MINUTE), Time(25 * MINUTE));
        assert_eq!((session.due_reminder(Time(25 * MINUTE)), session.next_check_at), (None, Some(Time(27 * MINUTE))));
        session.apply_idle_outcome(active(32 * MINUTE), Time(27 * MINUTE));
        let due = session.due_reminder(Time(27 * MINUTE)).unwrap();
        assert_eq!((due.deadline, due.silent_since), (Time(32 * MINUTE), Time(2 * MINUTE)));
        assert!(session.next_check_at < Some(Time(28 * MINUTE)));
        assert!(!session.record_reminder(Time(31 * MINUTE)) && session.record_reminder(due.deadline));
        assert_eq!((session.due_reminder(Time(28 * MINUTE)), session.next_check_at), (None, Some(due.deadline)));
        session.apply_idle_outcome(IdleOutcome::Closed, Time(32 * MINUTE));
        assert_eq!(session.due_reminder(Time(32 * MINUTE)), None);
    }

    #[test]
    fn b4_where_the_clock_passed_both_the_timeout_waits_for_the_reminder() {
        let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
        let timing = Session { timeout: seconds(60), reminder_before: seconds(20), ..open_session() };
        let mut session = Session { deadline_at: Some(Time(60_000_000)), ..timing };
        let (as_of, now) = (Time(40_000_000), Time(90_000_000));
        session.apply_idle_outcome(IdleOutcome::VisitorActive { deadline: Time(60_000_000) }, as_of);
        assert_eq!(session.due_reminder(now), None, "as of now it is too late");
        let due = session.due_reminder(as_of).unwrap();
        session.await_reminder(now);
        assert_eq!(session.next_check_at, Some(now.plus(REMINDER_RETRY_PAUSE)));
        assert!(session.record_reminder(due.deadline));
        assert_eq!(session.next_check_at, Some(due.deadline));
        // A deadline that is still to come is not put off.
        session.await_reminder(as_of);
        assert_eq!(session.next_check_at, Some(due.deadline));
    }

    #[test]
    fn b7_only_an_answer_after_the_timeout_extends_it() {
        const MINUTE: i64 = 60_000_000;
        let before = Session {
            timeout: Some(Duration::from_secs(60)),
            reminder_before: Some(Duration::from_secs(20)),
            deadline_at: Some(Time(MINUTE)),
            ..open_session()
        };
        let mut session = before.clone();
        session.extend_after_late_answer(Time(1), Time(MINUTE));
        assert_eq!(session, before);
        session.extend_after_late_answer(Time(0), Time(MINUTE));
        assert_eq!((session.deadline_at, session.next_check_at), (Some(Time(2 * MINUTE)), Some(Time(2 * MINUTE))));
        for without in [Session { timeout: None, ..before.clone() }, Session { deadline_at: None, ..before }] {
            let mut session = without.clone();
            session.extend_after_late_answer(Time(0), Time(9 * MINUTE));
            assert_eq!(session, without);
        }
    }

    #[test]
    fn b4_sessions_that_failed_together_are_checked_again_at_different_times() {
        let mut times = std::collections::BTreeSet::new();
        for id in 0..100 {
            let mut session = Session { id: Uuid::from_u128(id * 0x0101_0101_0101_0101), ..open_session() };
            session.apply_idle_outcome(IdleOutcome::Failed, Time(0));
            times.insert(session.next_check_at);
        }
        assert!(times.len() > 50, "{} times", times.len());
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
        for outcome in [
            IdleOutcome::Closed,
            IdleOutcome::VisitorActive { deadline: Time(8) },
            IdleOutcome::NotInCharge,
            IdleOutcome::Failed,
            IdleOutcome::CallFailed,
        ] {
            let mut session = ended.clone();
            assert!(!session.apply_idle_outcome(outcome, Time(6)));
            assert_eq!(session, ended);
        }
    }
}
