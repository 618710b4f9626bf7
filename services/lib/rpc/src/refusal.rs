//! Refusals: a code, a reason for programs, a sentence for people, and the details that gRPC clients decode.

use std::{collections::HashMap, time::Duration};

use frontdesk_proto::auth::v1::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// A status travels in headers, which clients bound to a few kilobytes: so many fields and characters of each fit.
const FIELDS_AT_MOST: usize = 20;
const CHARACTERS_AT_MOST: usize = 160;

/// A field that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Path of the field in the request, as the proto names it.
    pub path: String,
    /// What is wrong and what would be right.
    pub description: String,
}

impl Field {
    /// The field at `path` is wrong.
    pub fn new(path: impl Into<String>, description: impl Into<String>) -> Self {
        let short = |text: String| match text.char_indices().nth(CHARACTERS_AT_MOST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        Self { path: short(path.into()), description: short(description.into()) }
    }
}

/// A refusal that becomes a [`Status`] with `google.rpc.ErrorInfo` and, where they help, `BadRequest` and `RetryInfo`.
#[derive(Clone, Debug)]
pub struct Refusal {
    code: Code,
    domain: &'static str,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    fields: Vec<Field>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with a reason of the service's enum, written with or without its prefix `REASON_`.
    pub fn new(code: Code, domain: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            domain,
            reason: reason.strip_prefix("REASON_").unwrap_or(reason).to_owned(),
            message: message.into(),
            metadata: HashMap::new(),
            fields: Vec::new(),
            retry_after: None,
        }
    }

    /// Fields that are wrong in any state: the first twenty by name, and how many more there are.
    pub fn fields(mut fields: Vec<Field>) -> Self {
        let more = fields.len().saturating_sub(FIELDS_AT_MOST);
        fields.truncate(FIELDS_AT_MOST);
        let mut list: Vec<String> =
            fields.iter().take(5).map(|field| format!("{}: {}", field.path, field.description)).collect();
        if fields.len() + more > list.len() {
            list.push(format!("and {} more", fields.len() + more - list.len()));
        }
        Self { fields, ..Self::shared(Code::InvalidArgument, Reason::InvalidFields, list.join("; ")) }
    }

    /// Our fault: a fixed text for the caller, the chain for the log.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::shared(Code::Internal, Reason::Internal, "an internal error; it is logged with this call's trace")
    }

    /// A refusal that every service shares.
    pub fn shared(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(code, "frontdesk", reason.as_str_name(), message)
    }

    /// The database or another part cannot be reached now; try again soon.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::shared(Code::Unavailable, Reason::Unavailable, message).retry_after(Duration::from_secs(1))
    }

    /// A database error that no rule of ours explains: an outage is said to be one, anything else is our fault.
    pub fn database(error: &frontdesk_db::DbErr) -> Self {
        if frontdesk_db::is_outage(error) {
            tracing::warn!(%error, "the database cannot be reached");
            return Self::unavailable("the database cannot be reached now; try again");
        }
        Self::internal(error)
    }

    /// What is true now, for a program.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// When to try again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details = ErrorDetails::with_error_info(refusal.reason, refusal.domain, refusal.metadata);
        if !refusal.fields.is_empty() {
            let violations = refusal.fields.into_iter().map(|field| FieldViolation::new(field.path, field.description));
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if refusal.retry_after.is_some() {
            details.set_retry_info(refusal.retry_after);
        }
        Status::with_error_details(refusal.code, refusal.message, details)
    }
}
