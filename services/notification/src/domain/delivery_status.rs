//! Kinds, statuses, outcomes and events of a delivery; `delivery.rs` has the changes of status.

use frontdesk_db::AccountId;
use uuid::Uuid;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryKind {
    /// A transcript sent automatically at a close.
    Transcript,
    /// A transcript that an agent sent.
    ManualTranscript,
    /// The code that verifies a sender address.
    SenderVerification,
    /// The code that verifies an address of a visitor.
    AddressVerification,
    /// What an agent wants to hear of.
    AgentNotice,
}

impl DeliveryKind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Transcript,
        Self::ManualTranscript,
        Self::SenderVerification,
        Self::AddressVerification,
        Self::AgentNotice,
    ];

    /// Returns its name in rows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Transcript => "TRANSCRIPT",
            Self::ManualTranscript => "MANUAL_TRANSCRIPT",
            Self::SenderVerification => "SENDER_VERIFICATION",
            Self::AddressVerification => "ADDRESS_VERIFICATION",
            Self::AgentNotice => "AGENT_NOTICE",
        }
    }

    /// Returns whether the mail has a code. It is composed when it is queued, by the installation's own address, and cannot be composed
    /// again: nothing else has the code.
    pub(crate) fn has_code(self) -> bool {
        matches!(self, Self::SenderVerification | Self::AddressVerification)
    }

    /// Returns whether the mail comes from the installation's own address, and not from a sender of the account.
    pub(crate) fn is_from_installation(self) -> bool {
        self.has_code() || self == Self::AgentNotice
    }

    /// Returns whether it is not mailed to a suppressed address. The code of a sender is: an administrator of the account asks for it, for an
    /// address of the account.
    pub(crate) fn heeds_suppressions(self) -> bool {
        self != Self::SenderVerification
    }

    /// Returns the kind with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryStatus {
    /// Waiting for its next attempt.
    Queued,
    /// An attempt is in progress.
    Sending,
    /// The mail server accepted the mail.
    Sent,
    /// Failed permanently, or no attempt is left.
    Failed,
    /// The outcome of two attempts is unknown.
    Parked,
    Cancelled,
}

impl DeliveryStatus {
    /// Those in which nothing more is sent, unless the delivery is retried.
    pub(crate) const ENDED: [Self; 4] = [Self::Sent, Self::Failed, Self::Parked, Self::Cancelled];

    /// Returns its name in rows and in errors.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Parked => "PARKED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Returns the status with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Queued, Self::Sending, Self::Sent, Self::Failed, Self::Parked, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// Which deliveries are listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeliveryFilter {
    /// Those of this conversation. None: of all.
    pub(crate) conversation: Option<Uuid>,
    /// Those to this contact. None: to any.
    pub(crate) contact: Option<Uuid>,
    /// Those with one of these statuses, each named once. Empty: with any.
    pub(crate) statuses: Vec<DeliveryStatus>,
}

/// Outcome of an attempt, with the mail server's response or a description of the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// The server accepted the mail.
    Accepted(String),
    /// The mail was certainly not accepted; another attempt may succeed.
    TransientFailure(String),
    /// The mail was certainly not accepted, nor would another one be before the settings or the server are repaired.
    ConfigurationFault(String),
    /// The mail was certainly not accepted because the server takes only smaller ones.
    TooLarge {
        response: String,
        /// Maximum size of the mail (bytes).
        max_bytes: usize,
    },
    /// The mail was certainly not accepted, and no further attempt can succeed.
    PermanentFailure(String),
    /// The same, because the server does not take mail for the recipient's address, whatever the mail is.
    RecipientRefused {
        response: String,
        /// Status code that blames the address, such as `5.1.1`.
        status_code: String,
    },
    /// The mail was handed over and the server did not answer: it may have accepted it.
    Unknown(String),
}

impl AttemptOutcome {
    /// The names of all outcomes in the metrics.
    pub(crate) const NAMES: [&str; 6] =
        ["accepted", "transient_failure", "configuration_fault", "too_large", "permanent_failure", "unknown"];

    /// Returns its name in the metrics.
    pub(crate) fn name(&self) -> &'static str {
        let [accepted, transient_failure, configuration_fault, too_large, permanent_failure, unknown] = Self::NAMES;
        match self {
            Self::Accepted(_) => accepted,
            Self::TransientFailure(_) => transient_failure,
            Self::ConfigurationFault(_) => configuration_fault,
            Self::TooLarge { .. } => too_large,
            Self::PermanentFailure(_) | Self::RecipientRefused { .. } => permanent_failure,
            Self::Unknown(_) => unknown,
        }
    }
}

/// A change of a delivery that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryEvent {
    Sent,
    Failed,
    Parked,
}

/// The time-limited right of one worker to process a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) account: AccountId,
    pub(crate) delivery: Uuid,
    /// The claim holds while the delivery's `claim_number` is this one.
    pub(crate) number: i64,
    /// The previous claim ended during an attempt.
    pub(crate) interrupted: bool,
    /// W3C trace context that the attempt continues.
    pub(crate) traceparent: String,
}
