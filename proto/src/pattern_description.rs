//! Describes values that violate a pattern, as `frontdesk/validation/v1/validation.proto` promises. The build generates the
//! implementations for the messages.
#![warn(clippy::all, missing_docs)]

/// A request, or a message in one, whose fields may have patterns.
pub trait PatternDescription {
    /// What the field at `path` must be, in words: `flow.steps[0].id`. None: the field has no pattern.
    fn pattern_description(path: &str) -> Option<&'static str>;
}

/// The first field of a path without its index or key, and the path within its value.
fn split_path(path: &str) -> (&str, &str) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    (first.split('[').next().unwrap_or(first), rest)
}

#[allow(clippy::all, reason = "generated")]
mod generated {
    use super::{PatternDescription, split_path};

    include!(concat!(env!("OUT_DIR"), "/pattern_description_impl.rs"));
}

#[cfg(test)]
mod tests {
    use super::PatternDescription;
    use crate::{
        assignment::v1::CreateAgentRequest, botsession::v1::CreateBotRequest, conversation::v1::UpdateChannelRequest,
    };

    #[test]
    fn i22_a_violated_pattern_is_described_also_in_a_nested_message() {
        let handle = CreateAgentRequest::pattern_description("handle").unwrap();
        assert_eq!(handle, "must be 1 to 40 of a-z 0-9 . _ -, beginning with a letter or digit");
        assert!(CreateAgentRequest::pattern_description("request_id").unwrap().contains("keep it for every retry"));
        assert_eq!(
            CreateAgentRequest::pattern_description("name"),
            Some("must be one line without control characters")
        );
        assert!(UpdateChannelRequest::pattern_description("transcript_sender_id").unwrap().ends_with("or empty"));
        let property = CreateBotRequest::pattern_description("flow.steps[2].ask.property");
        assert_eq!(property, Some("must be a name of lower case letters, digits and _, such as order_number"));
        for none in ["", "email", "flow", "flow.steps[0]", "no_such_field", "flow.no_such_field"] {
            assert_eq!(CreateBotRequest::pattern_description(none), None, "{none}");
        }
    }
}
