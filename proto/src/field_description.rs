//! Describes values that violate a rule, as `frontdesk/validation/v1/validation.proto` promises. The build generates the
//! implementations for the messages.
#![warn(clippy::all, missing_docs)]

/// A request, or a message in one.
pub trait FieldDescription {
    /// What the field or oneof at `path` must be, in words: `flow.steps[0].id`. None: it has no pattern, no minimum above 0, and is no
    /// required oneof.
    fn field_description(path: &str) -> Option<&'static str>;
}

/// The first field of a path without its index or key, and the path within its value.
fn split_path(path: &str) -> (&str, &str) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    (first.split('[').next().unwrap_or(first), rest)
}

#[allow(clippy::all, reason = "generated")]
mod generated {
    use super::{FieldDescription, split_path};

    include!(concat!(env!("OUT_DIR"), "/field_description_impl.rs"));
}

#[cfg(test)]
mod tests {
    use super::FieldDescription;
    use crate::{
        assignment::v1::{CreateAgentRequest, TakeOverConversationRequest},
        botsession::v1::CreateBotRequest,
        conversation::v1::{CreateChannelRequest, ListConversationsRequest, PostMessageRequest, UpdateChannelRequest},
    };

    #[test]
    fn i22_a_violated_pattern_is_described_also_in_a_nested_message() {
        let handle = CreateAgentRequest::field_description("handle").unwrap();
        assert_eq!(handle, "must be 1 to 40 of a-z 0-9 . _ -, beginning with a letter or digit");
        assert!(CreateAgentRequest::field_description("request_id").unwrap().contains("keep it for every retry"));
        assert_eq!(CreateAgentRequest::field_description("name"), Some("must be one line without control characters"));
        assert!(UpdateChannelRequest::field_description("transcript_sender_id").unwrap().ends_with("or empty"));
        let property = CreateBotRequest::field_description("flow.steps[2].ask.property");
        assert_eq!(property, Some("must be a name of lower case letters, digits and _, such as order_number"));
        for none in ["", "email", "flow", "flow.steps[0]", "no_such_field", "flow.no_such_field"] {
            assert_eq!(CreateBotRequest::field_description(none), None, "{none}");
        }
    }
    #[test]
    fn i22_a_number_that_is_left_out_and_a_required_oneof_say_what_to_set() {
        for (description, expected) in [
            (
                CreateChannelRequest::field_description("greeter"),
                "is required: set bot_id, no_greeter or routing_policy_id",
            ),
            (
                CreateBotRequest::field_description("flow.steps[1].action"),
                "is required: set say, ask, buttons, hand_off, close, branch, set_property or create_ticket",
            ),
            (
                ListConversationsRequest::field_description("assignees[0].assignee"),
                "is required: set me, unassigned, agent_id, bot_id, any_bot or team_id",
            ),
            (
                TakeOverConversationRequest::field_description("expected_epoch"),
                "is required: the epoch of the conversation that you read (Conversation.epoch), 1 or more",
            ),
            (
                PostMessageRequest::field_description("expected_epoch"),
                "must be the epoch of the conversation that you read (Conversation.epoch), 1 or more, or left out",
            ),
        ] {
            assert_eq!(description, Some(expected));
        }
        assert_eq!(UpdateChannelRequest::field_description("greeter"), None, "it is not required");
        assert_eq!(ListConversationsRequest::field_description("page_size"), None, "0 is allowed");
    }
}
