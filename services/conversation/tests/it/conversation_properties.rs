//! `SetConversationProperties`: rules C8, C12, S2.

use std::collections::BTreeMap;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::v1::{
        Conversation, SetConversationPropertiesRequest, StartChatRequest,
        conversation_service_client::ConversationServiceClient,
    },
    event::v1::ConversationUpdated,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, GONE, start, twenty},
};

on_both_modes!(
    c8_c12_properties_are_set_and_removed_by_name_and_a_repeat_changes_nothing,
    c8_the_back_end_sets_properties_and_the_visitor_sees_none,
    c8_twenty_at_once_set_a_property_each_and_none_is_lost,
    c8_too_many_or_too_large_ones_are_refused_and_nothing_changes,
    s2_another_accounts_conversation_or_a_deactivated_agent_sets_nothing,
);

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn request(conversation: &str, pairs: &[(&str, &str)]) -> SetConversationPropertiesRequest {
    SetConversationPropertiesRequest {
        conversation_id: conversation.into(),
        properties: properties(pairs),
        request_id: request_id(),
    }
}

async fn set(fixture: &Fixture, request: SetConversationPropertiesRequest) -> Conversation {
    let set = fixture.conversations(ADA).set_conversation_properties(request).await.unwrap();
    set.into_inner().conversation.unwrap()
}

async fn c8_c12_properties_are_set_and_removed_by_name_and_a_repeat_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let begin = StartChatRequest { properties: properties(&[("order_number", "42")]), ..start(&channel.id) };
    let chat = fixture.chats("v").start_chat(begin).await.unwrap().into_inner().chat.unwrap().id;
    let first = request(&chat, &[("topic", "refund"), ("order_number", "43")]);
    let changed = set(&fixture, first.clone()).await;
    assert_eq!(changed.properties, properties(&[("topic", "refund"), ("order_number", "43")]));
    let removed = set(&fixture, request(&chat, &[("order_number", "")])).await;
    assert_eq!(removed.properties, properties(&[("topic", "refund")]));
    // A late repeat gets the conversation as it is now, and the same values again change nothing.
    assert_eq!(set(&fixture, first.clone()).await, removed);
    assert_eq!(set(&fixture, request(&chat, &[("topic", "refund")])).await, removed);
    assert_eq!(fixture.service.appended::<ConversationUpdated>().await.len(), 2);
    assert!(fixture.entries(&chat).await.is_empty());

    let other = SetConversationPropertiesRequest { properties: properties(&[("topic", "else")]), ..first };
    let reused = fixture.conversations(ADA).set_conversation_properties(other).await.unwrap_err();
    assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
    // A message that is written on a remembered row keeps them; so does a close, after which they can be set still.
    fixture.post(&chat, "hello").await;
    set(&fixture, request(&chat, &[("topic", "exchange")])).await;
    fixture.post(&chat, "again").await;
    close(&fixture, &chat).await;
    assert_eq!(fixture.conversation(&chat).await.properties, properties(&[("topic", "exchange")]));
    let closed = set(&fixture, request(&chat, &[("rating", "5")])).await;
    assert_eq!(closed.properties, properties(&[("rating", "5"), ("topic", "exchange")]));
}

async fn c8_the_back_end_sets_properties_and_the_visitor_sees_none(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let back_end = fixture.service.calls(fixture.account, CallerKind::Admin, "shop");
    let mut back_end = ConversationServiceClient::new(back_end);
    back_end.set_conversation_properties(request(&chat, &[("topic", "canary")])).await.unwrap();
    assert_eq!(fixture.conversation(&chat).await.properties, properties(&[("topic", "canary")]));
    let list = frontdesk_proto::conversation::v1::ListChatsRequest::default();
    let seen = format!("{:?}", fixture.chats("v").list_chats(list).await.unwrap().into_inner());
    assert!(!seen.contains("canary"), "{seen}");
}

async fn c8_twenty_at_once_set_a_property_each_and_none_is_lost(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let all = twenty(|number| {
        let request = request(&chat, &[(format!("p{number}").as_str(), "x")]);
        set(&fixture, request)
    });
    all.await;
    assert_eq!(fixture.conversation(&chat).await.properties.len(), 20);
    let repeat = request(&chat, &[("topic", "refund")]);
    twenty(|_| set(&fixture, repeat.clone())).await;
    assert_eq!(fixture.service.appended::<ConversationUpdated>().await.len(), 21);
}

async fn c8_too_many_or_too_large_ones_are_refused_and_nothing_changes(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let mut many = request(&chat, &[]);
    many.properties = (0..50).map(|number| (format!("p{number}"), "x".to_owned())).collect();
    let before = set(&fixture, many).await;
    let mut large = request(&chat, &[]);
    large.properties = (0..10).map(|number| (format!("p{number}"), "x".repeat(500))).collect();
    for request in [request(&chat, &[("one_more", "x")]), large] {
        let refused = fixture.conversations(ADA).set_conversation_properties(request).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains("properties"), "{refused:?}");
    }
    assert_eq!(fixture.conversation(&chat).await, before);
}

async fn s2_another_accounts_conversation_or_a_deactivated_agent_sets_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let mut elsewhere = ConversationServiceClient::new(fixture.in_another_account().as_admin());
    let theirs = elsewhere.set_conversation_properties(request(&chat, &[("topic", "x")])).await.unwrap_err();
    assert_eq!((theirs.code(), reason(&theirs).as_str()), (Code::NotFound, "NOT_FOUND"));
    let gone = fixture.conversations(GONE).set_conversation_properties(request(&chat, &[("topic", "x")])).await;
    assert_eq!(reason(&gone.unwrap_err()), "AGENT_NOT_ACTIVE");
    fixture.conversations(BOB).set_conversation_properties(request(&chat, &[("topic", "x")])).await.unwrap();
    assert_eq!(fixture.conversation(&chat).await.properties.len(), 1);
}
