//! Changes that are undone: a reactivated agent, an undeleted channel and an undeleted bot work as before.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{
        AssignConversationRequest, DeactivateAgentRequest, ReactivateAgentRequest,
        assignment_service_client::AssignmentServiceClient, roster_service_client::RosterServiceClient,
    },
    botsession::v1::{DeleteBotRequest, UndeleteBotRequest, bot_service_client::BotServiceClient},
    conversation::v1::{
        DeleteChannelRequest, ListChannelsRequest, RotateVisitorKeyRequest, StartChatRequest, UndeleteChannelRequest,
        channel_service_client::ChannelServiceClient, visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, epoch_of, production::visitor_token, reason, request_id};
use tonic::Status;

/// Starts a chat; returns it unless it was refused.
async fn start(visitor: As, channel: &str) -> Result<Chat, Status> {
    let request = StartChatRequest {
        channel_id: channel.to_owned(),
        page_url: "https://shop.example/page".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let chat = VisitorServiceClient::new(visitor.clone()).start_chat(request).await?.into_inner().chat;
    Ok(Chat { visitor, id: chat.unwrap().id })
}

#[tokio::test]
async fn a2_a_reactivated_agent_is_assigned_conversations_and_posts_again() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (hal, agent) = account.agent("Hal").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let assign = async || {
        let request = AssignConversationRequest {
            conversation_id: chat.id.clone(),
            agent_id: hal.to_string(),
            expected_epoch: epoch_of(&agent, &chat.id).await,
            request_id: request_id(),
        };
        AssignmentServiceClient::new(account.admin()).assign_conversation(request).await.map(drop)
    };
    let mut roster = RosterServiceClient::new(account.admin());
    let request = DeactivateAgentRequest { agent_id: hal.to_string() };
    let deactivated = roster.deactivate_agent(request).await.unwrap().into_inner().agent.unwrap();
    assert!(deactivated.deactivate_time.is_some());
    assert_eq!(reason(&assign().await.unwrap_err()), "AGENT_DEACTIVATED");
    assert_eq!(reason(&chat.reply(&agent).await.unwrap_err()), "AGENT_NOT_ACTIVE");

    let request = ReactivateAgentRequest { agent_id: hal.to_string() };
    let active = roster.reactivate_agent(request.clone()).await.unwrap().into_inner().agent.unwrap();
    assert!(active.deactivate_time.is_none() && active.version == deactivated.version + 1, "{active:?}");
    let again = roster.reactivate_agent(request).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(again, active, "reactivating an active agent changes nothing");
    chat.reply(&agent).await.unwrap();
    let other = account.start_chat(account.visitor("w"), &channel).await;
    assign().await.unwrap();
    other.reply(&agent).await.unwrap();
    let owner = Account::conversation(&agent, &chat.id).await.assignee.unwrap();
    assert_eq!(owner.id, hal.to_string());
}

#[tokio::test]
async fn c2_chats_start_again_on_an_undeleted_channel_with_its_bot_and_its_visitor_keys() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel_id = account.channel(Some(&bot)).await;
    let mut channels = ChannelServiceClient::new(account.admin());
    let rotate =
        RotateVisitorKeyRequest { channel_id: channel_id.clone(), request_id: request_id(), ..Default::default() };
    let key = channels.rotate_visitor_key(rotate.clone()).await.unwrap().into_inner();
    let token = visitor_token(&key.key.unwrap().key_id, &key.secret, account.id.0, "mario", Duration::from_secs(600));
    let mario = account.with_token(&token);
    let existing = account.start_chat(account.visitor("v"), &channel_id).await;

    let delete = DeleteChannelRequest { channel_id: channel_id.clone() };
    let deleted = channels.delete_channel(delete.clone()).await.unwrap().into_inner().channel.unwrap();
    assert!(deleted.delete_time.is_some());
    let again = channels.delete_channel(delete).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(again, deleted, "deleting a deleted channel changes nothing");
    let refused = start(mario.clone(), &channel_id).await.err().unwrap();
    assert_eq!(reason(&refused), "CHANNEL_DELETED");
    let rotate = RotateVisitorKeyRequest { request_id: request_id(), ..rotate };
    assert_eq!(reason(&channels.rotate_visitor_key(rotate).await.unwrap_err()), "CHANNEL_DELETED");
    existing.say("existing chats continue").await.unwrap();
    let mut listed = async |show_deleted| {
        let request = ListChannelsRequest { show_deleted, ..Default::default() };
        channels.list_channels(request).await.unwrap().into_inner().channels.len()
    };
    assert_eq!((listed(false).await, listed(true).await), (0, 1));

    let undelete = UndeleteChannelRequest { channel_id: channel_id.clone() };
    let open = channels.undelete_channel(undelete.clone()).await.unwrap().into_inner().channel.unwrap();
    assert!(open.delete_time.is_none() && open.version == deleted.version + 1, "{open:?}");
    let again = channels.undelete_channel(undelete).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(again, open, "undeleting an open channel changes nothing");
    let chat = start(mario, &channel_id).await.unwrap();
    chat.until_text("Hello!").await;
    let conversation = Account::conversation(&agent, &chat.id).await;
    assert_eq!(conversation.bot_session.unwrap().bot_id, bot.id);
}

#[tokio::test]
async fn b1_an_undeleted_bot_starts_sessions_again() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let mut bots = BotServiceClient::new(account.admin());
    let running = account.start_chat(account.visitor("v"), &channel).await;
    running.until_text("Your address?").await;
    let in_charge = async || {
        let chat = account.start_chat(account.visitor(&request_id()), &channel).await;
        let bot = Account::conversation(&agent, &chat.id).await.bot_session.is_some();
        (chat, bot)
    };

    let delete = DeleteBotRequest { bot_id: bot.id.clone() };
    let deleted = bots.delete_bot(delete.clone()).await.unwrap().into_inner().bot.unwrap();
    assert!(deleted.delete_time.is_some());
    assert_eq!(bots.delete_bot(delete).await.unwrap().into_inner().bot.unwrap(), deleted);
    assert!(!in_charge().await.1);
    running.say("a@b.example").await.unwrap();
    running.until_text("Which?").await;

    let undelete = UndeleteBotRequest { bot_id: bot.id.clone() };
    let active = bots.undelete_bot(undelete.clone()).await.unwrap().into_inner().bot.unwrap();
    assert!(active.delete_time.is_none() && active.version == deleted.version + 1, "{active:?}");
    assert_eq!(bots.undelete_bot(undelete).await.unwrap().into_inner().bot.unwrap(), active);
    let (chat, is_in_charge) = in_charge().await;
    assert!(is_in_charge);
    chat.until_text("Hello!").await;
}
