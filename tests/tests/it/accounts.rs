//! Who may call what, and nothing crosses accounts.

use std::collections::HashSet;

use frontdesk_auth::{AccessMap, Kind};
use frontdesk_proto::{
    auth::v1::Principal,
    conversation::v1::{
        GetChannelRequest, GetConversationRequest, ListConversationsRequest, StartChatRequest,
        channel_service_client::ChannelServiceClient, conversation_service_client::ConversationServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{As, TestSuite, reason, request_id};
use tonic::Code;
use uuid::Uuid;

use crate::bad_input::call_raw;

#[tokio::test]
async fn s1_every_method_is_refused_to_kinds_that_are_not_declared() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let agent_id = Uuid::now_v7().to_string();
    let callers: Vec<(Option<Principal>, As)> = vec![
        (None, account.nobody()),
        (None, account.with_token("not.a.token")),
        (Some(Principal::Visitor), account.visitor("v")),
        (Some(Principal::Agent), account.with_claims(Kind::Agent, &agent_id, |_| {})),
        (Some(Principal::Bot), account.with_claims(Kind::Bot, &agent_id, |_| {})),
        (Some(Principal::Service), account.with_claims(Kind::Service, "test", |_| {})),
        (Some(Principal::Admin), account.admin()),
    ];
    let powerless = account.with_claims(Kind::Admin, "nobody", |claims| claims.permissions.clear());
    let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
    let (mut calls, mut methods) = (0, HashSet::new());
    for (path, declared) in access.iter() {
        methods.insert(path.to_owned());
        for (principal, caller) in &callers {
            // An empty request: whoever gets past the gate is told which fields are missing.
            let code = call_raw(caller, path, Vec::new()).await.err().map(|status| status.code());
            calls += 1;
            match principal {
                None => assert_eq!(code, Some(Code::Unauthenticated), "{path} without a good token"),
                Some(kind) if declared.principals().contains(kind) => {
                    let passed = !matches!(code, Some(Code::Unauthenticated | Code::Unimplemented));
                    let permission = *kind == Principal::Agent && code == Some(Code::PermissionDenied);
                    assert!(
                        passed && (permission || code != Some(Code::PermissionDenied)),
                        "{path} as {kind:?}: {code:?}"
                    );
                }
                Some(kind) => assert_eq!(code, Some(Code::PermissionDenied), "{path} as {kind:?}"),
            }
        }
        if !declared.permission().is_empty() && declared.principals().contains(&Principal::Admin) {
            let refused = call_raw(&powerless, path, Vec::new()).await.unwrap_err();
            assert_eq!(
                (refused.code(), reason(&refused).as_str()),
                (Code::PermissionDenied, "NOT_PERMITTED"),
                "{path}"
            );
        }
    }
    println!("{calls} calls of {} methods", methods.len());
    assert!(methods.len() >= 50);
}

#[tokio::test]
async fn s2_s5_another_accounts_things_do_not_exist() {
    let suite = TestSuite::start().await;
    let (ours, theirs) = (suite.account().await, suite.account().await);
    let channel = ours.channel(None).await;
    let chat = ours.start_chat(ours.visitor("v"), &channel).await;
    let (_, agent) = theirs.agent("Eve").await;

    let mut conversations = ConversationServiceClient::new(agent.clone());
    let of = |id: String| GetConversationRequest { conversation_id: id };
    let (taken, absent) = (
        conversations.get_conversation(of(chat.id.clone())).await.unwrap_err(),
        conversations.get_conversation(of(Uuid::now_v7().to_string())).await.unwrap_err(),
    );
    assert_eq!((taken.code(), taken.message(), taken.details()), (Code::NotFound, absent.message(), absent.details()));
    let mut channels = ChannelServiceClient::new(agent.clone());
    assert_eq!(
        channels.get_channel(GetChannelRequest { channel_id: channel.clone() }).await.unwrap_err().code(),
        Code::NotFound
    );
    assert!(
        conversations
            .list_conversations(ListConversationsRequest::default())
            .await
            .unwrap()
            .into_inner()
            .conversations
            .is_empty()
    );
    // The same visitor id in another account is another visitor.
    let start = StartChatRequest {
        channel_id: channel,
        page_url: "https://x.example/".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let refused = VisitorServiceClient::new(theirs.visitor("v")).start_chat(start).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);

    // S5: only a service may say for which account it acts.
    let mut request = tonic::Request::new(of(chat.id.clone()));
    request.metadata_mut().insert("x-frontdesk-account", ours.id.to_string().parse().unwrap());
    assert_eq!(conversations.get_conversation(request).await.unwrap_err().code(), Code::NotFound);
}
