//! Opening a request: who calls, and are its fields right.

use bytes::{Bytes, BytesMut};
use frontdesk_auth::Caller;
use frontdesk_proto::{Normalize, Validate};
use http_body_util::BodyExt;
use tonic::{Request, Status, body::Body};
use uuid::Uuid;

use crate::{Field, Refusal};

/// A request may be so large: far more than the longest message with every field.
const LARGEST: usize = 1024 * 1024;
/// Before a message: whether it is compressed, and its length.
pub(crate) const FRAME: usize = 5;

/// The one message of a request with what frames it. Refused, also before the rest has come: more than it may be.
pub(crate) async fn whole(mut body: Body) -> Result<Bytes, Refusal> {
    let wrong = |why: &str| Err(Refusal::fields(vec![Field::new("request", why)]));
    let mut bytes = BytesMut::new();
    loop {
        let said = bytes.first_chunk::<FRAME>().map_or(0, |&[_, a, b, c, d]| u32::from_be_bytes([a, b, c, d]) as usize);
        if said > LARGEST {
            return wrong("must be at most 1 MiB");
        }
        // What a record says of a request must be what the handler reads of it.
        if bytes.len() >= FRAME && bytes.len() > FRAME + said {
            return wrong("must be one message");
        }
        match body.frame().await {
            None => return Ok(bytes.freeze()),
            Some(Err(_)) => return wrong("must be whole"),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
        }
    }
}

/// Who calls and what they ask, its texts normalised, once all its fields are as the proto says; otherwise every field that is
/// not, at once.
pub fn open<T: Validate + Normalize>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = caller(&request)?;
    let mut message = request.into_inner();
    // Before the rules, whose lengths count what is kept, and before anybody compares a repeat with the first (rule C12).
    message.normalize();
    message.validate().map_err(|error| {
        let fields = error.violations().iter().map(|violation| {
            let path = match violation.field_path() {
                path if path.is_empty() => "request".to_owned(),
                path => path,
            };
            let description = describe(&path, violation.rule_id(), violation.message());
            Field::new(path, description)
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

/// An id that the field's rule has checked.
pub fn parse_id(field: &str, id: &str) -> Result<Uuid, Status> {
    id.parse().map_err(|_| Refusal::fields(vec![Field::new(field, describe(field, "string.uuid", ""))]).into())
}

/// An id that may be left out.
pub fn parse_optional_id(field: &str, id: &str) -> Result<Option<Uuid>, Status> {
    if id.is_empty() { Ok(None) } else { parse_id(field, id).map(Some) }
}
