//! Isolation of accounts.

use frontdesk_proto::conversation::v1::{
    GetConversationRequest, ListConversationsRequest, StartChatRequest,
    conversation_service_client::ConversationServiceClient, visitor_service_client::VisitorServiceClient,
};
use frontdesk_tests::{TestSuite, request_id};
use tonic::Code;

#[tokio::test]
async fn s2_s5_resources_of_another_account_are_not_found() {
    let suite = TestSuite::start().await;
    let (ours, theirs) = (suite.account().await, suite.account().await);
    let channel = ours.channel(None).await;
    let chat = ours.start_chat(ours.visitor("v"), &channel).await;
    let (_, agent) = theirs.agent("Eve").await;

    let mut conversations = ConversationServiceClient::new(agent.clone());
    let of = |id: String| GetConversationRequest { conversation_id: id };
    assert!(
        conversations
            .list_conversations(ListConversationsRequest::default())
            .await
            .unwrap()
            .into_inner()
            .rows
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

    // S5: only a service may name the account that it acts in.
    let mut request = tonic::Request::new(of(chat.id.clone()));
    request.metadata_mut().insert("x-frontdesk-account", ours.id.to_string().parse().unwrap());
    assert_eq!(conversations.get_conversation(request).await.unwrap_err().code(), Code::NotFound);
}
