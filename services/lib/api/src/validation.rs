//! Validation of requests: the authenticated caller, and the message once its fields satisfy the rules of its proto.

use frontdesk_auth::Caller;
use frontdesk_proto::{FieldDescription, Normalize, Validate, Violation};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{ApiError, FieldError};

const MUST_BE_A_UUID: &str = "must be a UUID such as 0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c";

/// The caller and the message, its texts normalised, when all its fields are valid. Fails with INVALID_ARGUMENT that names every
/// invalid field.
pub fn validated<T: Validate + Normalize + FieldDescription>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = caller(&request)?;
    let mut message = request.into_inner();
    // Before validation, whose lengths count what is stored, and before a retry is compared with the first call (rule C12).
    message.normalize();
    match message.validate() {
        Ok(()) => Ok((caller, message)),
        Err(error) => Err(ApiError::fields(error.violations().iter().map(field_error::<T>).collect()).into()),
    }
}

fn field_error<T: FieldDescription>(violation: &Violation) -> FieldError {
    let path = violation.field_path();
    let rule = violation.rule_id();
    let described = match rule {
        "string.pattern" | "int32.gte" | "int32.gte_lte" | "required" => T::field_description(&path),
        _ => None,
    };
    let description = match (described.or_else(|| describe_rule(rule)), violation.message()) {
        (Some(description), _) => description.to_owned(),
        (None, "") => format!("violates the rule {rule}"),
        (None, message) => message.to_owned(),
    };
    let path = if path.is_empty() { "request".to_owned() } else { path };
    FieldError::with_rule(path, description, rule)
}

/// What a value must be, for rules whose own message names only the rule.
fn describe_rule(rule: &str) -> Option<&'static str> {
    match rule {
        "string.uuid" | "string.uuid_empty" => Some(MUST_BE_A_UUID),
        "string.email" | "string.email_empty" => {
            Some("must be an address that mail can go to, such as ada@example.com")
        }
        "string.min_len" => Some("is required"),
        "required" => Some("is required"),
        "enum.not_in" => Some("is required: choose one of the named values"),
        "enum.defined_only" => Some("must be one of the named values"),
        _ => None,
    }
}

/// The caller that the server authenticated.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| ApiError::internal(&"a request arrived without an authenticated caller").into())
}

/// Parses an id that its field's rule has validated.
pub fn parse_id(field: &str, id: &str) -> Result<Uuid, Status> {
    id.parse().map_err(|_| ApiError::fields(vec![FieldError::new(field, MUST_BE_A_UUID)]).into())
}

/// Parses an id that may be absent.
pub fn parse_optional_id(field: &str, id: &str) -> Result<Option<Uuid>, Status> {
    if id.is_empty() { Ok(None) } else { parse_id(field, id).map(Some) }
}

#[cfg(test)]
mod tests {
    use frontdesk_proto::{
        assignment::v1::TakeOverConversationRequest,
        botsession::v1::{AskStep, CreateBotRequest, Flow, GetBotRequest, Step, step::Action},
    };
    use tonic::Code;
    use tonic_types::StatusExt;

    use super::*;

    fn request<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.extensions_mut().insert(Caller::service("test"));
        request
    }

    #[test]
    fn i22_every_invalid_field_is_named_with_what_it_must_be() {
        let ask = AskStep { property: "Order number".into(), text: "Which?".into(), ..AskStep::default() };
        let step = Step { id: "first step".into(), action: Some(Action::Ask(ask)), ..Step::default() };
        let flow = Some(Flow { steps: vec![step] });
        let create =
            CreateBotRequest { name: " \u{200B} ".into(), request_id: "é".into(), flow, ..Default::default() };
        let status = validated(request(create)).unwrap_err();
        let violations = status.get_details_bad_request().unwrap().field_violations;
        let described = |field: &str| {
            let found = violations.iter().find(|violation| violation.field == field);
            found.unwrap_or_else(|| panic!("{field} is not in {violations:?}")).description.as_str()
        };
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(described("name"), "is required", "nothing is left of it after normalisation");
        assert!(described("request_id").starts_with("must be 1 to 64 of A-Z"));
        assert_eq!(described("flow.steps[0].id"), "must be 1 to 64 of A-Z a-z 0-9 . _ -");
        assert!(described("flow.steps[0].ask.property").ends_with("such as order_number"));
        assert!(violations.iter().all(|violation| !violation.description.contains("A-Za-z")), "no regular expression");
        let reasons: Vec<_> = violations.iter().map(|violation| violation.reason.as_str()).collect();
        assert!(reasons.contains(&"STRING_MIN_LEN") && reasons.contains(&"STRING_PATTERN"), "{reasons:?}");
    }

    #[test]
    fn i22_what_was_left_out_is_required_and_says_what_to_set() {
        let described = |status: Status, field: &str| {
            let violations = status.get_details_bad_request().unwrap().field_violations;
            let found = violations.iter().find(|violation| violation.field == field);
            found.unwrap_or_else(|| panic!("{field} is not in {violations:?}")).description.clone()
        };
        let take_over = validated(request(TakeOverConversationRequest::default())).unwrap_err();
        let epoch = described(take_over, "expected_epoch");
        assert!(epoch.starts_with("is required: the epoch of the conversation that you read"), "{epoch}");
        let create = CreateBotRequest { flow: Some(Flow { steps: vec![Step::default()] }), ..Default::default() };
        let action = described(validated(request(create)).unwrap_err(), "flow.steps[0].action");
        assert_eq!(
            action,
            "is required: set say, ask, buttons, hand_off, close, branch, set_property or create_ticket"
        );
        let bot_id = described(validated(request(GetBotRequest::default())).unwrap_err(), "bot_id");
        assert_eq!(bot_id, MUST_BE_A_UUID);
    }

    #[test]
    fn c12_a_valid_request_is_normalised() {
        let get = GetBotRequest { bot_id: "0190b1c2-7a3e-7c3a-9d55-3f3f0c8a1b2c".into() };
        let (caller, message) = validated(request(get.clone())).unwrap();
        assert_eq!((caller.actor.to_string().as_str(), &message), ("service:test", &get));
        assert_eq!(
            parse_id("bot_id", &message.bot_id).unwrap(),
            Uuid::from_u128(0x0190b1c2_7a3e_7c3a_9d55_3f3f0c8a1b2c)
        );
        let status = validated(request(GetBotRequest { bot_id: "7".into() })).unwrap_err();
        assert!(status.message().contains("bot_id: must be a UUID such as"), "{status:?}");
        assert_eq!(parse_optional_id("bot_id", "").unwrap(), None);
        assert!(parse_optional_id("bot_id", "7").unwrap_err().message().contains("bot_id: must be a UUID"));
    }

    #[test]
    fn a_request_without_an_authenticated_caller_is_an_internal_error() {
        assert_eq!(caller(&Request::new(())).unwrap_err().code(), Code::Internal);
    }
}
