//! Rules of fields that the proto cannot state, and ids of the caller.

use frontdesk_api::{ApiError, FieldError, parse_optional_id};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_idempotency::Key;
use tonic::Status;
use uuid::Uuid;

/// The error for one field.
pub(super) fn invalid(field: &str, remedy: &str) -> Status {
    ApiError::fields(vec![FieldError::new(field, remedy)]).into()
}

/// The value, or the error for its field.
pub(super) fn one<T>(value: Result<T, FieldError>) -> Result<T, Status> {
    value.map_err(|field| ApiError::fields(vec![field]).into())
}

/// Both values, or the errors for all their fields at once.
pub(super) fn both<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), Status> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(ApiError::fields([a.err(), b.err()].into_iter().flatten().collect()).into()),
    }
}

/// The acting agent.
pub(super) fn agent(caller: &Caller) -> Result<Uuid, Status> {
    caller.agent_id().ok_or_else(|| invalid("authorization", "must be an agent's token"))
}

/// The bot session that a service acts for.
pub(super) fn bot_session(caller: &Caller, bot_session_id: &str) -> Result<Uuid, Status> {
    if caller.actor.kind != CallerKind::Bot {
        return Err(invalid("x-frontdesk-actor", "must name the bot that acts"));
    }
    match parse_optional_id("bot_session_id", bot_session_id)? {
        Some(session) => Ok(session),
        None => Err(invalid("bot_session_id", "must name the session that acts")),
    }
}

/// The key of a request whose id is optional.
pub(super) fn optional_key<M: prost::Message + prost::Name>(
    caller: &Caller,
    request_id: &str,
    request: &M,
) -> Option<Key> {
    (!request_id.is_empty()).then(|| Key::new(caller, request_id, request))
}

/// Requires more than spaces and line breaks.
pub(super) fn require_text(text: &str) -> Result<(), Status> {
    if text.trim().is_empty() {
        return Err(invalid("text", "must say something: it holds only spaces and line breaks"));
    }
    Ok(())
}

/// A time zone by its IANA name, or empty.
pub(super) fn time_zone(name: &str) -> Result<String, FieldError> {
    if name.is_empty() || name.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(name.to_owned());
    }
    Err(FieldError::new("time_zone", "must be an IANA time zone such as Europe/Rome, or empty"))
}

/// An address that mail can go to, in its canonical spelling. None: empty.
pub(super) fn email(text: &str) -> Result<Option<String>, FieldError> {
    if text.is_empty() {
        return Ok(None);
    }
    let remedy = "must be an address that mail can go to, such as ada@example.com";
    frontdesk_mail_address::canonical(text).map(Some).ok_or_else(|| FieldError::new("email", remedy))
}
