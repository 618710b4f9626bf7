//! A bot's session with a visitor.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{InactivityTimeout, Turn, Waiting};

/// Status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SessionStatus {
    /// The bot is in charge, as far as this service knows.
    Open,
    /// The visitor was silent for the whole timeout (rule B4).
    TimedOut,
    /// The bot handed off (rule B8).
    HandedOff,
    /// An agent took the chat over (rule A3).
    TakenOver,
    /// The flow closed the chat.
    Completed,
    /// An agent closed the chat.
    Closed,
}

/// The newest answer of the visitor at a step. It has no text: that is the entry's in the thread, and is erased with it. Its JSON form is
/// what the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) step: String,
    /// Sequence of the message in the thread.
    pub(crate) sequence: i64,
    /// Id of the chosen button, of a step that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) button: Option<String>,
}

/// How the way of the next turn was decided, kept from before its first action until it is recorded: a turn that runs again takes the same
/// one, whatever changed since. Its JSON form is what the database holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choices {
    /// For each branch, in their order, the index of a case, or another number for none.
    #[serde(default)]
    pub(crate) chosen: Vec<usize>,
    /// The same for the way that the turn takes where the contact's record rejects the answer.
    #[serde(default)]
    pub(crate) after_rejection: Vec<usize>,
    /// Sequence of the visitor's message that the first turn takes; 0: it takes none. None: that is not decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_message: Option<i64>,
}

impl Choices {
    /// Returns those of one of the ways.
    pub(crate) fn of(&mut self, after_rejection: bool) -> &mut Vec<usize> {
        if after_rejection { &mut self.after_rejection } else { &mut self.chosen }
    }
}

/// A session. Its flow, the bot's when it began, never changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) bot: Uuid,
    pub(crate) conversation: Uuid,
    pub(crate) status: SessionStatus,
    /// Id of the step where the session waits. None: before the first turn, and after the end of the flow.
    pub(crate) step: Option<String>,
    /// Visitor sequence of the message that asked the question of the step. None: it is not known.
    pub(crate) question: Option<i64>,
    /// The visitor's messages up to this sequence of the thread are answered.
    pub(crate) last_sequence: i64,
    /// Number of turns taken. 0: the first turn is still to be taken.
    pub(crate) turn: i64,
    /// The bot's timeout when the session began (rule B2).
    pub(crate) timeout: InactivityTimeout,
    pub(crate) started_at: Time,
    /// When the visitor's silence reaches the timeout, as far as this service knows; `check_time` of the contract.
    /// None: the timeout is off, or the session is not in charge any more.
    pub(crate) deadline_at: Option<Time>,
    /// When a replica next asks the conversation service about the silence: the deadline, or the end of a pause.
    pub(crate) next_check_at: Option<Time>,
    /// Number of checks that failed since the last one that did not.
    pub(crate) failed_checks: u32,
    pub(crate) ended_at: Option<Time>,
    /// Number of the session's events.
    pub(crate) version: i64,
    /// Version of the bot whose flow the session runs. None: the session has its flow in its own row.
    pub(crate) flow_version: Option<i64>,
    /// How long before its deadline the visitor is reminded. None: not at all.
    pub(crate) reminder_before: Option<Duration>,
    /// The deadline of which the visitor was reminded last.
    pub(crate) reminded_of: Option<Time>,
    /// The newest answer at each step, in the order of the first ones.
    pub(crate) answers: Vec<Answer>,
    /// Number of wrong answers to the question where it waits.
    pub(crate) wrong_answers: u32,
    pub(crate) choices: Choices,
}

/// What the conversation service says of a session that it began.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) bot: Uuid,
    pub(crate) conversation: Uuid,
    pub(crate) timeout: InactivityTimeout,
    pub(crate) started_at: Time,
}

impl Session {
    /// Returns a session that has begun with the flow of this version of its bot. `reminder_before`: how long before its deadline the
    /// visitor is reminded; a time that is no shorter than the timeout counts as none.
    pub(crate) fn start(new: NewSession, flow_version: Option<i64>, reminder_before: Option<Duration>) -> Self {
        let deadline = new.timeout.map(|timeout| new.started_at.plus(timeout));
        let reminder_before = reminder_before.filter(|before| new.timeout.is_some_and(|timeout| *before < timeout));
        let next_check = deadline.map(|deadline| reminder_before.map_or(deadline, |before| deadline.minus(before)));
        Self {
            id: new.id,
            account: new.account,
            bot: new.bot,
            conversation: new.conversation,
            status: SessionStatus::Open,
            step: None,
            question: None,
            last_sequence: 0,
            turn: 0,
            timeout: new.timeout,
            started_at: new.started_at,
            deadline_at: deadline,
            next_check_at: next_check,
            failed_checks: 0,
            ended_at: None,
            version: 1,
            flow_version,
            reminder_before,
            reminded_of: None,
            answers: Vec::new(),
            wrong_answers: 0,
            choices: Choices::default(),
        }
    }

    /// Returns where it waits.
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        Waiting { step: self.step.as_deref(), question: self.question, wrong_answers: self.wrong_answers }
    }

    /// Returns whether the bot is in charge, as far as this service knows.
    pub(crate) fn is_open(&self) -> bool {
        self.status == SessionStatus::Open
    }

    /// Returns whether turns are taken for it: it is open, or its own last turn ended it and is not recorded. The row of the conversation
    /// ends the session before the turn is recorded, so that the process may have died between the two. The recorded last turn of a
    /// flow leaves the session at no step.
    pub(crate) fn takes_turns(&self) -> bool {
        match self.status {
            SessionStatus::Open => true,
            SessionStatus::HandedOff | SessionStatus::Completed => self.turn == 0 || self.step.is_some(),
            SessionStatus::TimedOut | SessionStatus::TakenOver | SessionStatus::Closed => false,
        }
    }

    /// Ends the session. Returns false, and changes nothing, when it had ended before.
    pub(crate) fn end(&mut self, status: SessionStatus, now: Time) -> bool {
        if !self.is_open() {
            return false;
        }
        self.status = status;
        self.ended_at = Some(now);
        self.deadline_at = None;
        self.next_check_at = None;
        self.version += 1;
        true
    }

    /// Records a turn: the step where the session waits now, and the sequence of the message that it answered. `question`:
    /// visitor sequence of the last message that the bot posted in the turn. Returns true when the step or an answer changed.
    pub(crate) fn record_turn(&mut self, turn: &Turn, question: Option<i64>, last_sequence: i64) -> bool {
        let changed = self.step != turn.step || turn.answer.is_some();
        self.step.clone_from(&turn.step);
        // Asked again, a question is the one that was asked first: its buttons may be pressed at either place.
        if turn.asks_again {
            self.wrong_answers += 1;
        } else {
            self.question = question;
            self.wrong_answers = 0;
        }
        if let Some(answer) = turn.answer.clone() {
            match self.answers.iter_mut().find(|earlier| earlier.step == answer.step) {
                Some(earlier) => *earlier = answer,
                None => self.answers.push(answer),
            }
        }
        self.choices = Choices::default();
        self.last_sequence = self.last_sequence.max(last_sequence);
        self.turn += 1;
        self.version += i64::from(changed);
        changed
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns an open session with a deadline at 5.
    pub(in crate::domain) fn open_session() -> Session {
        Session {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(2)),
            bot: Uuid::from_u128(3),
            conversation: Uuid::from_u128(4),
            status: SessionStatus::Open,
            step: None,
            question: None,
            last_sequence: 0,
            turn: 0,
            timeout: None,
            started_at: Time(0),
            deadline_at: Some(Time(5)),
            next_check_at: Some(Time(5)),
            failed_checks: 0,
            ended_at: None,
            version: 1,
            flow_version: None,
            reminder_before: None,
            reminded_of: None,
            answers: Vec::new(),
            wrong_answers: 0,
            choices: Choices::default(),
        }
    }

    #[test]
    fn b4_a_session_ends_once_and_keeps_its_first_end() {
        let mut session = open_session();
        assert!(session.end(SessionStatus::TakenOver, Time(3)));
        assert!(!session.end(SessionStatus::TimedOut, Time(5)));
        assert_eq!((session.status, session.ended_at), (SessionStatus::TakenOver, Some(Time(3))));
        assert_eq!((session.deadline_at, session.next_check_at, session.version), (None, None, 2));
    }

    #[test]
    fn b6_a_session_takes_turns_until_the_one_that_ended_it_is_recorded() {
        use SessionStatus::{Closed, Completed, HandedOff, TakenOver, TimedOut};
        let mut session = open_session();
        let turn = |step: Option<&str>| Turn { step: step.map(str::to_owned), ..Turn::default() };
        // First without a turn, then at a step.
        for _ in 0..2 {
            for status in [TimedOut, TakenOver, Closed] {
                assert!(session.takes_turns() && !Session { status, ..session.clone() }.takes_turns(), "{status:?}");
            }
            for status in [HandedOff, Completed] {
                let mut ended = Session { status, ..session.clone() };
                assert!(ended.takes_turns(), "{status:?}");
                ended.record_turn(&turn(None), None, 3);
                assert!(!ended.takes_turns(), "{status:?}");
            }
            session.record_turn(&turn(Some("mail")), Some(2), 1);
        }
    }

    #[test]
    fn b6_a_turn_is_an_event_when_the_step_or_an_answer_changes_and_the_answered_sequence_never_falls() {
        let mut session = open_session();
        let turn = Turn { step: Some("mail".into()), ..Turn::default() };
        assert!(session.record_turn(&turn, Some(2), 3));
        assert!(!session.record_turn(&turn, Some(4), 2));
        assert_eq!((session.turn, session.last_sequence, session.version), (2, 3, 2));
        let answer = |sequence| Some(Answer { step: "mail".into(), sequence, button: None });
        assert!(session.record_turn(&Turn { answer: answer(5), ..turn.clone() }, Some(6), 5));
        assert!(session.record_turn(&Turn { answer: answer(7), ..turn }, Some(8), 7));
        assert_eq!((session.answers.as_slice(), session.version), (answer(7).as_slice(), 4));
    }

    #[test]
    fn b6_wrong_answers_are_counted_until_the_question_is_answered_and_choices_are_of_one_turn() {
        let mut session = open_session();
        *session.choices.of(false) = vec![1];
        *session.choices.of(true) = vec![2];
        assert_eq!(session.choices, Choices { chosen: vec![1], after_rejection: vec![2], first_message: None });
        let turn = |asks_again| Turn { step: Some("mail".into()), asks_again, ..Turn::default() };
        for wrong_answers in [1, 2] {
            session.record_turn(&turn(true), None, 1);
            assert_eq!((session.wrong_answers, session.choices.clone()), (wrong_answers, Choices::default()));
        }
        session.record_turn(&turn(false), None, 2);
        assert_eq!(session.waiting().wrong_answers, 0);
    }

    #[test]
    fn b6_a_question_that_is_asked_again_is_the_one_that_was_asked_first() {
        let mut session = open_session();
        let turn = |asks_again| Turn { step: Some("pick".into()), asks_again, ..Turn::default() };
        session.record_turn(&turn(false), Some(2), 1);
        session.record_turn(&turn(true), Some(4), 3);
        assert_eq!(session.question, Some(2));
        session.record_turn(&turn(false), Some(6), 5);
        assert_eq!(session.question, Some(6));
    }
}
