//! Services, which name the account that they act in.

use frontdesk_auth::CallerKind;
use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{
    TestSuite, call_raw,
    fixture::{Fixture, methods, strings, with},
    new_id,
};
use prost_reflect::{DynamicMessage, Value, prost::Message};
use tonic::{Code, Request};

use super::{NOT_RESOURCES, comparable::comparable, is_id};

#[tokio::test]
async fn s5_a_service_acts_only_in_the_account_that_it_names() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let fixture = Fixture::new(account, "ourword").await;
    let service = fixture.caller(Principal::Service);
    let of_services = methods().into_iter().filter(|method| method.principals.contains(&Principal::Service));
    for method in of_services {
        // Its request names an account for each conversation.
        if method.method.name() == "CloseIdleConversations" {
            continue;
        }
        let request = fixture.request(&method.method);
        for field_path in strings(&request).iter().filter(|field_path| {
            let name = field_path.last().unwrap().name();
            is_id(name) && !NOT_RESOURCES.contains(&name)
        }) {
            let bare = async |id: String| {
                let message = with(&fixture.request(&method.method), field_path, &Value::String(id));
                comparable(
                    &method,
                    &fixture,
                    call_raw(&service, &method.path, Request::new(message.encode_to_vec())).await,
                )
            };
            let own = bare(request_text(&request, field_path)).await;
            // A filter of a list matches nothing, and of several ids those that are known are answered.
            let may_be_empty = method.method.name().starts_with("List") || field_path[0].is_list();
            assert!(own.code != Code::Ok || may_be_empty, "{} without an account", method.path);
            assert_eq!(own, bare(new_id().to_string()).await, "{}", method.path);
        }
    }
    // The header is ignored for callers that are not services, and refused when it is not an id.
    let get = methods().into_iter().find(|method| method.method.name() == "GetConversation").unwrap();
    let request_for = |account: &str| {
        let mut request = Request::new(fixture.request(&get.method).encode_to_vec());
        request.metadata_mut().insert("x-frontdesk-account", account.parse().unwrap());
        request
    };
    let refused = call_raw(&service, &get.path, request_for("everybody")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let stranger = suite.account().await;
    let agent = stranger.with_claims(CallerKind::Agent, &new_id().to_string(), |_| {});
    let refused = call_raw(&agent, &get.path, request_for(&fixture.account.id.to_string())).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

fn request_text(message: &DynamicMessage, field_path: &[prost_reflect::FieldDescriptor]) -> String {
    match field_path {
        [] => String::new(),
        [field, rest @ ..] => match message.get_field(field).as_ref() {
            Value::String(text) => text.clone(),
            Value::Message(inner) => request_text(inner, rest),
            Value::List(items) => match items.first() {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Message(inner)) => request_text(inner, rest),
                _ => String::new(),
            },
            _ => String::new(),
        },
    }
}
