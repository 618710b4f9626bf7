//! Opening a request: who calls, and are its fields right.

use frontdesk_auth::Caller;
use frontdesk_proto::Validate;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{Field, Refusal};

/// Who calls and what they ask, once all its fields are as the proto says; otherwise every field that is not, at once.
pub fn open<T: Validate>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = caller(&request)?;
    let message = request.into_inner();
    message.validate().map_err(|error| {
        let fields = error.violations().iter().map(|violation| {
            let path = match violation.field_path() {
                path if path.is_empty() => "request".to_owned(),
                path => path,
            };
            Field::new(path, describe(violation.rule_id(), violation.message()))
        });
        Refusal::fields(fields.collect())
    })?;
    Ok((caller, message))
}

/// Who calls, as the gate found out.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or_else(|| Refusal::internal(&"a request arrived that did not pass the gate").into())
}

/// The rules that a reader would not guess from the validator's own words.
fn describe(rule: &str, message: &str) -> String {
    match rule {
        "string.uuid" | "string.uuid_empty" => "must be a UUID such as 0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c".into(),
        "string.pattern" => format!("{message}; see the field's comment in the proto"),
        _ if message.is_empty() => format!("breaks the rule {rule}"),
        _ => message.to_owned(),
    }
}

/// An id that the field's rule has checked.
pub fn parse_id(field: &str, id: &str) -> Result<Uuid, Status> {
    id.parse().map_err(|_| Refusal::fields(vec![Field::new(field, describe("string.uuid", ""))]).into())
}

/// An id that may be left out.
pub fn parse_optional_id(field: &str, id: &str) -> Result<Option<Uuid>, Status> {
    if id.is_empty() { Ok(None) } else { parse_id(field, id).map(Some) }
}
