//! Repeats: every method that has a request id, every update, and every other change is called twice, by the descriptors.

use frontdesk_proto::{
    assignment::v1::{
        TakeOverConversationRequest, UnassignConversationRequest, assignment_service_client::AssignmentServiceClient,
    },
    auth::v1::Principal,
    conversation::v1::{
        CloseConversationRequest, LeaveAddressRequest, conversation_service_client::ConversationServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{
    Account, Chat, TestSuite, call_raw, epoch_of,
    fixture::{Declared, Fixture, methods},
    reason, request_id,
};
use prost_reflect::{DynamicMessage, ReflectMessage, Value, prost::Message};
use tonic::{Code, Status};
use tonic_types::StatusExt;

pub(super) async fn call(
    fixture: &Fixture,
    declared: &Declared,
    principal: Principal,
    request: &DynamicMessage,
) -> Result<DynamicMessage, Status> {
    let message = fixture.call(principal, &request.encode_to_vec());
    let response = call_raw(&fixture.caller(principal), &declared.path, message).await?;
    Ok(DynamicMessage::decode(declared.method.output(), response.as_slice()).unwrap())
}

/// The response without what may have changed since the first call: of a resource, which is returned as it is now, only
/// its id is left.
pub(super) fn lasting(message: &DynamicMessage) -> DynamicMessage {
    let mut copy = DynamicMessage::new(message.descriptor());
    for (field, value) in message.fields() {
        let value = match value {
            Value::Message(inner) if inner.has_field_by_name("id") => {
                let mut only = DynamicMessage::new(inner.descriptor());
                only.set_field_by_name("id", inner.get_field_by_name("id").unwrap().into_owned());
                Value::Message(only)
            }
            Value::Message(inner) => Value::Message(lasting(inner)),
            value => value.clone(),
        };
        copy.set_field(&field, value);
    }
    copy
}

/// A valid request in a state in which the method accepts it.
pub(super) async fn accepted(fixture: &Fixture, declared: &Declared) -> DynamicMessage {
    let request = fixture.request(&declared.method);
    match declared.method.name() {
        // The closed conversation of the fixture.
        "SendTranscript" => request,
        "ReopenConversation" => {
            let request = fixture.with_new_chat(request).await;
            let conversation_id = request.get_field_by_name("conversation_id").unwrap().as_str().unwrap().to_owned();
            let close = CloseConversationRequest { conversation_id, ..Default::default() };
            ConversationServiceClient::new(fixture.agent.clone()).close_conversation(close).await.unwrap();
            request
        }
        // The fixture's id is taken.
        "CreateAgent" => {
            let mut request = request;
            request.clear_field_by_name("agent_id");
            request
        }
        "ChooseButton" => {
            let visitor = fixture.caller(Principal::Visitor);
            let chat = Chat { visitor, id: fixture.ids["chat_id"].clone() };
            chat.say("someone@visitor.example").await.unwrap();
            let question = chat.until_text("Which?").await.last().unwrap().visitor_sequence;
            let mut request = request;
            request.set_field_by_name("visitor_sequence", Value::I32(question));
            request
        }
        // A code is mailed to an address that the visitor typed in the chat.
        "RequestAddressCode" => {
            let chat_id = fixture.ids["chat_id"].clone();
            let leave = LeaveAddressRequest { chat_id, email: fixture.address(), request_id: request_id() };
            VisitorServiceClient::new(fixture.caller(Principal::Visitor)).leave_address(leave).await.unwrap();
            request
        }
        // Each caller deletes another file.
        "DeleteAttachment" => {
            let mut request = request;
            let file = Fixture::file_of_team(&fixture.agent, &fixture.word).await;
            request.set_field_by_name("attachment_id", Value::String(file));
            request
        }
        // The other content is the fixture's contact.
        "ExportContact" => {
            let mut request = request;
            let contact = Fixture::contact(&fixture.account, &fixture.word).await;
            request.set_field_by_name("contact_id", Value::String(contact.id));
            request
        }
        // Each caller merges another pair.
        "MergeContacts" => {
            let mut request = request;
            for side in ["source", "target"] {
                let contact = Fixture::contact(&fixture.account, &fixture.word).await;
                request.set_field_by_name(&format!("{side}_contact_id"), Value::String(contact.id));
                request.set_field_by_name(&format!("{side}_etag"), Value::String(contact.etag));
            }
            request
        }
        // A chat that waits for an agent.
        "PostChannelMessage" | "ExplainRouting" => {
            let request = fixture.with_new_chat(request).await;
            let id = request.get_field_by_name("conversation_id").unwrap().as_str().unwrap().to_owned();
            let unassign = UnassignConversationRequest {
                expected_epoch: epoch_of(&fixture.agent, &id).await,
                conversation_id: id,
                request_id: request_id(),
            };
            AssignmentServiceClient::new(fixture.agent.clone()).unassign_conversation(unassign).await.unwrap();
            let mut request = request;
            request.set_field_by_name("expected_epoch", Value::I32(2));
            request
        }
        "PostMessage" => {
            let request = fixture.with_new_chat(request).await;
            let id = request.get_field_by_name("conversation_id").unwrap().as_str().unwrap().to_owned();
            let take = TakeOverConversationRequest {
                expected_epoch: epoch_of(&fixture.agent, &id).await,
                conversation_id: id,
                request_id: request_id(),
            };
            AssignmentServiceClient::new(fixture.agent.clone()).take_over_conversation(take).await.unwrap();
            let mut request = request;
            request.set_field_by_name("expected_epoch", Value::I32(2));
            request
        }
        _ if declared.method.input().get_field_by_name("conversation_id").is_some()
            && declared.method.name() != "CreateTicket" =>
        {
            fixture.with_new_chat(request).await
        }
        _ => request,
    }
}

pub(super) async fn fixture(suite: &TestSuite) -> Fixture {
    let account = suite.account().await;
    account.fallback_sender().await;
    Fixture::new(account, "ourword").await
}

#[tokio::test]
async fn c12_every_method_with_a_request_id_gives_a_repeat_the_first_answer() {
    let suite = TestSuite::start().await;
    let fixture = fixture(&suite).await;
    let mut repeated = 0;
    for declared in methods() {
        let Some(request_id_field) = declared.method.input().get_field_by_name("request_id") else { continue };
        // It would end the account of all other calls; the service's own tests repeat it.
        if declared.method.name() == "EndAccount" {
            continue;
        }
        for principal in &declared.principals {
            let at = format!("{} as {principal:?}", declared.path);
            let request = accepted(&fixture, &declared).await;
            let first = call(&fixture, &declared, *principal, &request).await;
            let first = first.unwrap_or_else(|status| panic!("{at}: {status:?}"));
            let again = call(&fixture, &declared, *principal, &request).await;
            let again = again.unwrap_or_else(|status| panic!("{at}, again: {status:?}"));
            assert_eq!(lasting(&again), lasting(&first), "{at}");

            // The same id with another content: the first text or id that is set, changed.
            let other = with_another_content(&fixture, &request);
            assert_eq!(other.get_field(&request_id_field), request.get_field(&request_id_field));
            let reused = call(&fixture, &declared, *principal, &other).await.expect_err(&at);
            let expected = (Code::FailedPrecondition, "REQUEST_ID_REUSED".to_owned());
            assert_eq!((reused.code(), reason(&reused)), expected, "{at}: {reused:?}");
            repeated += 1;
        }
    }
    println!("{repeated} repeats");
    assert!(repeated > 25, "{repeated}");
}

/// The request with another text; where it has only ids and numbers, with another conversation of the account.
fn with_another_content(fixture: &Fixture, request: &DynamicMessage) -> DynamicMessage {
    let mut other = request.clone();
    for name in ["text", "name", "title", "subject", "display_name", "reason", "page_title", "file_name", "description"]
    {
        if other.has_field_by_name(name) {
            other.set_field_by_name(name, Value::String("other".into()));
            return other;
        }
    }
    if other.has_field_by_name("button_id") {
        other.set_field_by_name("button_id", Value::String("bye".into()));
    } else if other.has_field_by_name("email") {
        other.set_field_by_name("email", Value::String("other@example.com".into()));
    } else if other.has_field_by_name("source_contact_id") {
        other.set_field_by_name("source_contact_id", Value::String(fixture.ids["contact_id"].clone()));
    } else if other.has_field_by_name("attachment_id") {
        other.set_field_by_name("attachment_id", Value::String(fixture.ids["attachment_id"].clone()));
    } else if other.has_field_by_name("max_attachment_size_bytes") {
        other.set_field_by_name("max_attachment_size_bytes", Value::I32(10_000_000));
    } else if other.has_field_by_name("attempt") {
        other.set_field_by_name("attempt", Value::I32(2));
    } else if other.has_field_by_name("keep_previous") {
        other.clear_field_by_name("keep_previous");
    } else if other.has_field_by_name("webhook_endpoint_id") {
        other.set_field_by_name("webhook_endpoint_id", Value::String(fixture.another_webhook.0.clone()));
    } else if other.has_field_by_name("webhook_delivery_id") {
        other.set_field_by_name("webhook_delivery_id", Value::String(fixture.another_webhook.1.clone()));
    } else if other.has_field_by_name("conversation_id") {
        other.set_field_by_name("conversation_id", Value::String(fixture.another.id.clone()));
    } else {
        other.set_field_by_name("contact_id", Value::String(fixture.ids["contact_id"].clone()));
    }
    other
}

/// The etag of the resource in a response, and the whole resource.
fn resource(response: &DynamicMessage) -> (String, DynamicMessage) {
    let mut messages = response.fields().filter_map(|(_, value)| value.as_message());
    let resource = messages.next().expect("a resource").clone();
    let etag = resource.get_field_by_name("etag").expect("an etag").as_str().expect("a text").to_owned();
    (etag, resource)
}

#[tokio::test]
async fn s5_every_update_is_safe_to_repeat_and_refused_only_if_it_would_overwrite_another() {
    let suite = TestSuite::start().await;
    let fixture = fixture(&suite).await;
    let mut updated = Vec::new();
    for declared in methods().into_iter().filter(|declared| declared.method.name().starts_with("Update")) {
        let (principal, at) = (declared.principals[0], declared.path.as_str());
        let update = async |request: &DynamicMessage| call(&fixture, &declared, principal, request).await;
        let first = fixture.request(&declared.method);
        let (etag, _) = resource(&update(&first).await.expect(at));
        let mut second = with_another_content(&fixture, &first);
        second.set_field_by_name("etag", Value::String(etag.clone()));
        let (new_etag, changed) = resource(&update(&second).await.expect(at));
        assert_ne!(new_etag, etag, "{at}");
        let (_, again) = resource(&update(&second).await.expect(at));
        assert_eq!(again, changed, "{at}: a repeat with the old etag");

        let mut stale = first.clone();
        stale.set_field_by_name("etag", Value::String(etag));
        let refused = update(&stale).await.expect_err(at);
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"), "{at}: {refused:?}");
        let kind = declared.method.name().trim_start_matches("Update").to_lowercase();
        let resource_kind = refused.get_details_error_info().unwrap().metadata["resource"].replace('_', "");
        assert_eq!(resource_kind, kind, "{at}");
        let (_, unchanged) = resource(&update(&second).await.expect(at));
        assert_eq!(unchanged, changed, "{at}: the refused update changed nothing");
        // An update with the current etag that changes nothing.
        let mut same = second.clone();
        same.set_field_by_name("etag", Value::String(new_etag));
        assert_eq!(resource(&update(&same).await.expect(at)).1, changed, "{at}");
        updated.push(declared.method.name().to_owned());
    }
    updated.sort();
    let kinds = [
        "Agent",
        "Bot",
        "Channel",
        "Contact",
        "Insert",
        "OpeningHours",
        "RoutingPolicy",
        "Sender",
        "Settings",
        "Team",
        "Ticket",
        "TranscriptTemplate",
        "WebhookEndpoint",
    ];
    assert_eq!(updated, kinds.map(|kind| format!("Update{kind}")));
}

/// The methods that change something and have no request id: they name what they change.
pub(super) fn changes_without_request_id() -> Vec<Declared> {
    let reads = ["Get", "List", "Watch", "Subscribe", "Explain", "Preview", "Search", "Validate", "AdvanceTime"];
    // They store nothing: each call returns another visitor, or a link that expires later.
    let stores_nothing = ["CreateAnonymousVisitor", "CreateAttachmentLink", "CreateChatAttachmentLink"];
    let mut changes = methods();
    changes.retain(|declared| {
        let (name, input) = (declared.method.name(), declared.method.input());
        let changes = !stores_nothing.contains(&name) && !reads.iter().any(|word| name.starts_with(word));
        input.get_field_by_name("request_id").is_none() && changes
    });
    changes
}

#[tokio::test]
async fn c12_every_change_without_a_request_id_has_the_same_result_when_it_is_repeated() {
    let suite = TestSuite::start().await;
    let fixture = fixture(&suite).await;
    let mut changes = changes_without_request_id();
    changes.retain(|declared| !declared.method.name().starts_with("Update"));
    changes
        .sort_by_key(|declared| ["Delete", "Deactivate"].iter().any(|word| declared.method.name().starts_with(word)));
    for declared in &changes {
        let (principal, at) = (declared.principals[0], declared.path.as_str());
        let request = fixture.request(&declared.method);
        let outcome = async || match call(&fixture, declared, principal, &request).await {
            Ok(response) => format!("{response:?}"),
            Err(status) => {
                assert_eq!(status.code(), Code::FailedPrecondition, "{at}: {status:?}");
                format!("{:?}", (status.code(), reason(&status)))
            }
        };
        let first = outcome().await;
        assert_eq!(outcome().await, first, "{at}");
    }
    let names: Vec<&str> = changes.iter().map(|declared| declared.method.name()).collect();
    println!("{names:?}");
    assert!(names.len() > 12, "{names:?}");
    let conversation = Account::conversation(&fixture.agent, &fixture.another.id).await;
    assert_eq!(conversation.id, fixture.another.id);
}
