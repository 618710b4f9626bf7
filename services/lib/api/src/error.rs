//! Errors of the API: a code, a reason for programs, a message for people, and the details that gRPC clients decode.

use std::{collections::HashMap, fmt::Display, time::Duration};

use frontdesk_proto::error::v1::Reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// Maximum number of fields in one error: a status travels in headers, which clients limit to a few kilobytes.
const MAX_FIELDS: usize = 20;
/// Maximum number of characters of a field's path and of its description.
const MAX_FIELD_CHARACTERS: usize = 160;
/// Maximum number of fields that the message names; the details hold the others.
const MAX_FIELDS_IN_MESSAGE: usize = 5;

/// An invalid field of a request, and how to correct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field in the request, as the proto names it.
    pub path: String,
    /// What is wrong and what would be right.
    pub description: String,
    /// The violated rule, for programs: `STRING_MAX_LEN` for protovalidate's `string.max_len`, `INVALID` for a rule of a service.
    pub reason: String,
}

impl FieldError {
    /// The field at `path` violates a rule of the service.
    pub fn new(path: impl Into<String>, description: impl Into<String>) -> Self {
        Self::with_rule(path, description, "invalid")
    }

    /// The field at `path` violates the rule with protovalidate's id `rule`.
    pub(crate) fn with_rule(path: impl Into<String>, description: impl Into<String>, rule: &str) -> Self {
        let reason = rule.replace('.', "_").to_ascii_uppercase();
        Self { path: shortened(path.into()), description: shortened(description.into()), reason }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_FIELD_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// An error that becomes a [`Status`] with `google.rpc.ErrorInfo` and, where they apply, `BadRequest` and `RetryInfo`.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    domain: &'static str,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error with a reason of the service's enum, written with or without its prefix `REASON_`.
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

    /// INVALID_ARGUMENT with the first 20 fields, and how many more there are.
    pub fn fields(mut fields: Vec<FieldError>) -> Self {
        let all = fields.len();
        fields.truncate(MAX_FIELDS);
        let named = fields.iter().take(MAX_FIELDS_IN_MESSAGE);
        let mut list: Vec<String> = named.map(|field| format!("{}: {}", field.path, field.description)).collect();
        if all > list.len() {
            list.push(format!("and {} more", all - list.len()));
        }
        Self { fields, ..Self::shared(Code::InvalidArgument, Reason::InvalidFields, list.join("; ")) }
    }

    /// INTERNAL with a fixed message for the caller; the error goes to the log.
    pub fn internal(error: &dyn Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::shared(Code::Internal, Reason::Internal, "an internal error; it is logged with this call's trace")
    }

    /// An error with a reason that all services share.
    pub fn shared(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(code, "frontdesk", reason.as_str_name(), message)
    }

    /// NOT_FOUND: there is no such resource, or the caller may not see it. `resource` is its kind, for example `contact`.
    pub fn not_found(resource: &str, message: impl Into<String>) -> Self {
        Self::shared(Code::NotFound, Reason::NotFound, message).with("resource", resource.replace(' ', "_"))
    }

    /// FAILED_PRECONDITION: the request id was used with another content or for another method.
    pub fn request_id_reused() -> Self {
        let message =
            "this request_id was used with another content or for another method; choose a new one for each operation";
        Self::shared(Code::FailedPrecondition, Reason::RequestIdReused, message)
    }

    /// ABORTED: the resource was edited since the caller read it. `resource` is its kind, for example `contact`.
    pub fn etag_mismatch(resource: &str) -> Self {
        let message =
            format!("another edit changed the {resource} since you read it; read it again and repeat the update");
        Self::shared(Code::Aborted, Reason::EtagMismatch, message).with("resource", resource.replace(' ', "_"))
    }

    /// OUT_OF_RANGE: a read begins after a number that is beyond `last`, the last one.
    pub fn cursor_out_of_range(last: i64) -> Self {
        let message =
            format!("the number to read after is beyond the last one, {last}: drop your copy and read from 0");
        Self::shared(Code::OutOfRange, Reason::CursorOutOfRange, message).with("last_sequence", last)
    }

    /// OUT_OF_RANGE: what came after a cursor is not kept any more.
    pub fn cursor_too_old() -> Self {
        let message = "an event after the cursor is not kept any more: subscribe without a cursor, and then read the current \
                       state of what you keep";
        Self::shared(Code::OutOfRange, Reason::CursorTooOld, message)
    }

    /// UNAVAILABLE: the database or another dependency cannot be reached now; retry after a second.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::shared(Code::Unavailable, Reason::Unavailable, message).retry_after(Duration::from_secs(1))
    }

    /// A database error that the service does not map itself: UNAVAILABLE when it is transient, else INTERNAL.
    pub fn database(error: &frontdesk_db::DbErr) -> Self {
        if frontdesk_db::is_timeout(error) {
            tracing::warn!(%error, "the database took too long");
            return Self::unavailable("the database took too long and stopped the operation; try again");
        }
        if frontdesk_db::is_conflict(error) {
            tracing::warn!(%error, "the operation met another one at the same rows");
            return Self::unavailable("the operation met another one at the same data; try again");
        }
        if frontdesk_db::is_transient(error) {
            tracing::warn!(%error, "the database cannot be reached");
            return Self::unavailable("the database cannot be reached now; try again");
        }
        Self::internal(error)
    }

    /// Adds metadata: the current value of something that the caller's program may need.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// The reason of its `google.rpc.ErrorInfo`.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Says when to retry.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut details = ErrorDetails::with_error_info(error.reason, error.domain, error.metadata);
        if !error.fields.is_empty() {
            let violations = error.fields.into_iter().map(|field| FieldViolation {
                reason: field.reason,
                ..FieldViolation::new(field.path, field.description)
            });
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        Status::with_error_details(error.code, error.message, details)
    }
}

/// Whether a status carries this reason in its `google.rpc.ErrorInfo`.
pub fn has_reason(status: &Status, reason: &str) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i22_an_error_carries_reason_metadata_fields_and_retry_delay() {
        let error = ApiError::new(Code::Aborted, "test.frontdesk", "REASON_STALE", "stale").with("etag", 7);
        let status = Status::from(error.retry_after(Duration::from_millis(250)));
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), status.message()), (Code::Aborted, "stale"));
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("STALE", "test.frontdesk"));
        assert_eq!(info.metadata["etag"], "7");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_millis(250)));
        assert!(has_reason(&status, "STALE") && !has_reason(&status, "REASON_STALE"));
        assert!(!has_reason(&Status::aborted("no details"), "STALE"));
    }

    #[test]
    fn an_error_names_twenty_fields_and_counts_the_others() {
        let fields = (0..50).map(|number| FieldError::new(format!("field_{number}"), "é".repeat(500))).collect();
        let status = Status::from(ApiError::fields(fields));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().ends_with("; and 45 more"), "{}", status.message());
        let violations = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), MAX_FIELDS);
        assert!(violations.iter().all(|field| field.description.chars().count() == MAX_FIELD_CHARACTERS + 1));
        assert!(has_reason(&status, "INVALID_FIELDS"));
    }

    #[test]
    fn an_internal_error_does_not_reach_the_caller() {
        let status = Status::from(ApiError::internal(&"relation \"secret\" does not exist"));
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("secret"));
    }
}
