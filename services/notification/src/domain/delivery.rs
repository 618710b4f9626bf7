//! How a delivery goes on (rule T8): what is final ends it, what may pass is tried again after a pause that grows, and an
//! unknown outcome is tried once more, then left to a person.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

pub(crate) use crate::store::entity::delivery::Model as Delivery;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub(crate) enum Kind {
    #[sea_orm(string_value = "TRANSCRIPT")]
    Transcript,
    #[sea_orm(string_value = "MANUAL_TRANSCRIPT")]
    ManualTranscript,
    #[sea_orm(string_value = "SENDER_VERIFICATION")]
    SenderVerification,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Waiting for its next attempt.
    #[sea_orm(string_value = "QUEUED")]
    Queued,
    /// An attempt is under way.
    #[sea_orm(string_value = "SENDING")]
    Sending,
    /// Accepted by the mail server.
    #[sea_orm(string_value = "SENT")]
    Sent,
    /// Refused for good, or no attempt is left.
    #[sea_orm(string_value = "FAILED")]
    Failed,
    /// Twice nobody could tell.
    #[sea_orm(string_value = "PARKED")]
    Parked,
    /// Cancelled.
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
}

impl State {
    /// As callers read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Parked => "PARKED",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// How an attempt ended, with the server's own words or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// The server accepted the mail.
    Accepted(String),
    /// It was certainly not accepted, and that may pass.
    MayPass(String),
    /// It was certainly not accepted, and that is final.
    Final(String),
    /// The mail was handed over and no answer came: nobody can know.
    Unknown(String),
}

/// When and how often a delivery is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub(crate) first: Duration,
    pub(crate) max_attempts: i32,
}

impl Pauses {
    /// The pause after so many failures: 30 s, 2 min, 8 min, 30 min, 1 h, 2 h, then 4 h, when the first is 30 s.
    pub(crate) fn after(&self, failures: i32) -> Duration {
        const GROWTH: [u32; 7] = [1, 4, 16, 60, 120, 240, 480];
        let step = usize::try_from(failures.max(1) - 1).unwrap_or(0).min(GROWTH.len() - 1);
        self.first * GROWTH[step]
    }
}

/// What others are told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Sent,
    Failed,
    Parked,
}

impl Delivery {
    /// A new one that is due at once and says nothing yet.
    pub(crate) fn new(id: Uuid, account: AccountId, kind: Kind, now: Time) -> Self {
        Self {
            id,
            account_id: account,
            kind,
            state: State::Queued,
            conversation_id: None,
            close_number: 0,
            contact_id: None,
            sender_id: None,
            sender_from_channel: false,
            until_sequence: 0,
            unverified: false,
            requested_by: String::new(),
            recipient: String::new(),
            subject: String::new(),
            time_zone: String::new(),
            mail_from: String::new(),
            message_id: String::new(),
            composed_at: None,
            compose_failures: 0,
            attempts: 0,
            attempts_before_retry: 0,
            unknown_outcomes: 0,
            last_response: String::new(),
            failure: String::new(),
            claim: 0,
            leased: false,
            due_at: now,
            created_at: now,
            sent_at: None,
            traceparent: String::new(),
            version: 0,
        }
    }

    /// The mail is composed and its bytes are kept: from here on every attempt sends the same.
    pub(crate) fn is_composed(&self) -> bool {
        self.composed_at.is_some()
    }

    /// An attempt begins; the caller has the delivery until `lease`.
    pub(crate) fn begin_attempt(&mut self, lease: Time) {
        self.state = State::Sending;
        self.attempts += 1;
        self.leased = true;
        self.due_at = lease;
    }

    /// Composing failed in a way that may pass. The mail server has not seen it, so no attempt is counted.
    pub(crate) fn compose_later(&mut self, why: String, pauses: &Pauses, now: Time) {
        // What was down for an hour is asked again within minutes: asking our own services costs nobody anything.
        const LONGEST_STEP: i32 = 3;
        self.compose_failures += 1;
        self.wait(why, now.plus(pauses.after(self.compose_failures.min(LONGEST_STEP))));
    }

    /// Composing failed for good.
    pub(crate) fn compose_failed(&mut self, why: String) -> Changed {
        self.fail(why)
    }

    /// An attempt ended. What others are told, if anything.
    pub(crate) fn attempted(&mut self, outcome: AttemptOutcome, pauses: &Pauses, now: Time) -> Option<Changed> {
        match outcome {
            AttemptOutcome::Accepted(words) => {
                self.leave(State::Sent);
                self.last_response = words;
                self.failure = String::new();
                self.sent_at = Some(now);
                Some(Changed::Sent)
            }
            AttemptOutcome::Final(words) => {
                self.last_response = words;
                Some(self.fail("The mail server refused the mail for good; its words are in last_response.".into()))
            }
            AttemptOutcome::MayPass(words) => {
                self.last_response = words;
                let counted = self.attempts - self.attempts_before_retry;
                if counted >= pauses.max_attempts {
                    return Some(self.fail(format!("It was tried {counted} times; no attempt is left.")));
                }
                let why = "The mail server did not take it yet; it is tried again.".into();
                self.wait(why, now.plus(pauses.after(counted)));
                None
            }
            AttemptOutcome::Unknown(words) => {
                self.last_response = words;
                self.unknown(pauses, now)
            }
        }
    }

    /// Nobody can know whether the mail was accepted. Once it is sent again, byte for byte under the same Message-ID, so
    /// that mail clients show one; after that a person decides.
    pub(crate) fn unknown(&mut self, pauses: &Pauses, now: Time) -> Option<Changed> {
        self.unknown_outcomes += 1;
        if self.unknown_outcomes == 1 {
            let why =
                "The mail was handed over and no answer came; it is sent once more under the same Message-ID.".into();
            self.wait(why, now.plus(pauses.after(1)));
            return None;
        }
        self.leave(State::Parked);
        self.failure =
            "Twice the mail was handed over and no answer came: look whether it arrived, then retry or cancel.".into();
        Some(Changed::Parked)
    }

    /// A worker that died had begun an attempt, and the transport makes a repeat harmless.
    pub(crate) fn again(&mut self, now: Time) {
        self.wait("The attempt was interrupted; it is tried again.".into(), now);
    }

    /// A person asks for another try. False: it is queued already. An error: its state does not allow it.
    pub(crate) fn retry(&mut self, now: Time) -> Result<bool, State> {
        match self.state {
            State::Queued => Ok(false),
            State::Failed | State::Parked => {
                self.wait(String::new(), now);
                self.attempts_before_retry = self.attempts;
                self.unknown_outcomes = 0;
                self.compose_failures = 0;
                // What failed for its sender is mended in the channel's settings, so those are asked again.
                if !self.is_composed() {
                    self.sender_from_channel = true;
                }
                Ok(true)
            }
            state => Err(state),
        }
    }

    /// A person cancels it. False: it was cancelled before. An error: its state does not allow it.
    pub(crate) fn cancel(&mut self) -> Result<bool, State> {
        match self.state {
            State::Cancelled => Ok(false),
            State::Queued | State::Failed | State::Parked => {
                self.leave(State::Cancelled);
                Ok(true)
            }
            state => Err(state),
        }
    }

    fn wait(&mut self, why: String, until: Time) {
        self.leave(State::Queued);
        self.failure = why;
        self.due_at = until;
    }

    fn fail(&mut self, why: String) -> Changed {
        self.leave(State::Failed);
        self.failure = why;
        Changed::Failed
    }

    fn leave(&mut self, state: State) {
        self.state = state;
        self.leased = false;
        // Whoever still works on it has lost it.
        self.claim += 1;
    }
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
