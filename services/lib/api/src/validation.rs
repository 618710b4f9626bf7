//! Validation of requests: the authenticated caller, and the message once its fields satisfy the rules of its proto.

use frontdesk_auth::Caller;
use frontdesk_proto::{Normalize, Validate};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{ApiError, FieldError};

/// The caller and the message, its texts normalised, when all its fields are valid. Fails with INVALID_ARGUMENT that names every
/// invalid field.
pub fn validated<T: Validate + Normalize>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = caller(&request)?;
    let mut message = request.into_inner();
    // Before validation, whose lengths count what is stored, and before a retry is compared with the first call (rule C12).
    message.normalize();
    message.validate().map_err(|error| {
        let fields = error.violations().iter().map(|violation| {
            let path = match violation.field_path() {
                path if path.is_empty() => "request".to_owned(),
                path => path,
            };
            let description = describe(&path, violation.rule_id(), violation.message());
            FieldError::new(path, description)
        });
        ApiError::fields(fields.collect())
    })?;
    Ok((caller, message))
}

/// The caller, whom the server authenticated.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| ApiError::internal(&"a request arrived without an authenticated caller").into())
}

/// What is wrong and what would be right, in words; the validator's own name a rule and a regular expression.
fn describe(path: &str, rule: &str, message: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or(path);
    match (rule, field) {
        ("string.uuid" | "string.uuid_empty", _) => {
            "must be a UUID such as 0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c".into()
        }
        ("string.email" | "string.email_empty", _) => {
            "must be an address that mail can go to, such as ada@example.com".into()
        }
        ("string.pattern", "request_id") => {
            "is required: 1 to 64 of A-Z a-z 0-9 . _ : -, for example a UUID; keep it for every retry of this call"
                .into()
        }
        ("string.pattern", field) if field.ends_with("url") => {
            "must be an http or https address such as https://shop.example/page".into()
        }
        ("string.pattern", "code") => "must be the eight digits of the code".into(),
        ("string.pattern", "property") => {
            "must be a name of lower case letters, digits and _, such as order_number".into()
        }
        ("string.pattern", "handle") => "must be 1 to 40 of a-z 0-9 . _ -, beginning with a letter or digit".into(),
        ("string.pattern", field) if field == "id" || field.ends_with("_id") => {
            "must be 1 to 64 of A-Z a-z 0-9 . _ -".into()
        }
        ("string.pattern", _) => {
            "must not hold control characters; see the field's comment in the proto for line breaks".into()
        }
        ("string.min_len", _) => "is required".into(),
        ("enum.not_in", _) => "is required: choose one of the named values".into(),
        ("enum.defined_only", _) => "must be one of the named values".into(),
        _ if message.is_empty() => format!("breaks the rule {rule}"),
        _ => message.to_owned(),
    }
}

/// Parses an id that its field's rule has validated.
pub fn parse_id(field: &str, id: &str) -> Result<Uuid, Status> {
    id.parse().map_err(|_| ApiError::fields(vec![FieldError::new(field, describe(field, "string.uuid", ""))]).into())
}

/// Parses an id that may be absent.
pub fn parse_optional_id(field: &str, id: &str) -> Result<Option<Uuid>, Status> {
    if id.is_empty() { Ok(None) } else { parse_id(field, id).map(Some) }
}
