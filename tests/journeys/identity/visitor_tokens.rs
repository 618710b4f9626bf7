//! Tokens of visitors, signed with a channel's key.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{
    GetChatRequest, ListConversationsRequest, ListVisitorKeysRequest, RotateVisitorKeyResponse, SendMessageRequest,
    WatchChatRequest, channel_service_client::ChannelServiceClient,
    conversation_service_client::ConversationServiceClient, visitor_service_client::VisitorServiceClient,
};
use frontdesk_tests::{TestSuite, next_chat_entry, production::visitor_token, reason, request_id};
use tonic::Code;
use tonic_types::StatusExt;

use super::{plain, rotate, start_chat, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_visitor_tokens_are_signed_with_the_channels_key_and_end_with_it() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let channel = plain(suite.address.trim_start_matches("http://"));
    let bearer = |kind, subject: &str| {
        let keys = &account.keys;
        with(&channel, &keys.mint(&keys.claims(account.id, kind, subject, Duration::from_secs(600))).unwrap())
    };
    let admin = bearer(CallerKind::Admin, "ada");
    let (shop, help) = (account.channel(None).await, account.channel(None).await);

    let first_request = request_id();
    let first = rotate(&admin, &shop, None, first_request.clone()).await;
    let again = rotate(&admin, &shop, None, first_request).await;
    assert_eq!(first, again, "a repeat hands out the same key and secret");
    let id = first.key.clone().unwrap().key_id;
    assert_eq!(id, format!("{shop}.1"));

    let token = |key: &RotateVisitorKeyResponse, valid| {
        visitor_token(&key.key.as_ref().unwrap().key_id, &key.secret, account.id.0, "mario", Duration::from_secs(valid))
    };
    let mario = with(&channel, &token(&first, 3_600));
    let chat = start_chat(mario.clone(), &shop).await.unwrap().chat.unwrap();
    // The key is valid for its own channel only.
    assert_eq!(start_chat(mario.clone(), &help).await.unwrap_err().code(), Code::NotFound);
    // The same subject under another channel's key is another visitor.
    let other = rotate(&admin, &help, None, request_id()).await;
    let namesake = VisitorServiceClient::new(with(&channel, &token(&other, 60)));
    let theirs = namesake.clone().get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    // Agents see which channel's key identified the visitor.
    let mut conversations = ConversationServiceClient::new(admin.clone());
    let listed = conversations.list_conversations(ListConversationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.rows[0].conversation.as_ref().unwrap().visitor_id, format!("{shop}/mario"));

    // A stream ends when its token expires, with a cursor to resume from.
    let mut short = VisitorServiceClient::new(with(&channel, &token(&first, 5)));
    let watch = |after| WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: after };
    let mut lines = short.watch_chat(watch(0)).await.unwrap().into_inner();
    let mut says = VisitorServiceClient::new(mario.clone());
    let message = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "Hello?".into(),
        request_id: request_id(),
        ..Default::default()
    };
    says.send_message(message).await.unwrap();
    let seen = next_chat_entry(&mut lines).await.unwrap().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(15), next_chat_entry(&mut lines)).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unauthenticated, "NOT_AUTHENTICATED"));
    assert_eq!(ended.get_details_error_info().unwrap().metadata["cursor"], seen.visitor_sequence.to_string());

    // Tokens of a replaced key are refused from the answer on.
    let second = rotate(&admin, &shop, Some(0), request_id()).await;
    let keys = ListVisitorKeysRequest { channel_id: shop.clone(), ..Default::default() };
    let keys = ChannelServiceClient::new(admin).list_visitor_keys(keys).await.unwrap().into_inner().keys;
    assert_eq!(keys, [second.key.clone().unwrap()]);
    let refused = says.get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("replaced"), "{refused}");
    let mut renewed = VisitorServiceClient::new(with(&channel, &token(&second, 60)));
    assert_eq!(
        renewed.get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.unwrap().into_inner().chat.unwrap().id,
        chat.id
    );
}
