//! What the events of hand-offs, reopenings and starts say about routing, and messages of the channel: rules A4, A7, B8, C12, E4, S2.

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{AssignmentCause, GetRoutingPolicyRequest, GetRoutingPolicyResponse, RoutingPolicy},
    conversation::{
        internal::v1::{
            ChangeAssigneeRequest, HandOffConversationRequest, LocalizedText, PostChannelMessageRequest,
            PostChannelMessageResponse,
        },
        v1::{
            Channel, ContactEmail, CreateChannelRequest, CreateContactRequest, ReopenConversationRequest,
            StartConversationRequest, UpdateChannelRequest, chat_entry,
            conversation_service_client::ConversationServiceClient, create_channel_request::Greeter,
        },
    },
    event::v1::{ConversationHandedOff, ConversationReopened, ConversationStarted},
};
use frontdesk_testkit::{Calls, Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};

use crate::{
    fixture::{ADA, BotChat, Fixture, ROBIN, new_channel, start, twenty},
    hand_off::{hand_off, request as hand_off_request},
};

on_both_modes!(
    b8_a_hand_off_says_the_policy_of_its_channel_or_the_one_that_the_bot_names_and_the_contacts_owner,
    b8_a_channel_names_only_a_policy_that_exists_for_hand_offs,
    e4_a_reopening_by_an_administrator_says_how_it_is_routed_and_who_owned_it,
    a4_a_conversation_that_a_back_end_starts_on_a_channel_with_routing_is_routed,
    a7_an_owner_is_taken_away_only_while_the_visitor_waits,
    a4_c12_a_message_of_the_channel_reaches_a_visitor_who_waits_once_and_in_their_language,
    a4_a_message_of_the_channel_is_refused_where_somebody_owns_the_conversation,
    s2_another_accounts_conversation_gets_no_message,
);

/// Answers that each policy exists.
pub fn every_policy_exists(fixture: &Fixture) {
    fixture.service.fake.on(|request: Request<GetRoutingPolicyRequest>| {
        let id = request.into_inner().routing_policy_id;
        Ok(GetRoutingPolicyResponse { routing_policy: Some(RoutingPolicy { id, ..RoutingPolicy::default() }) })
    });
}

fn as_admin(fixture: &Fixture) -> ConversationServiceClient<Calls> {
    ConversationServiceClient::new(fixture.service.calls(fixture.account, CallerKind::Admin, "root"))
}

async fn routed_channel(fixture: &Fixture, policy: &str) -> Channel {
    let greeter = Some(Greeter::RoutingPolicyId(policy.to_owned()));
    fixture.create_channel(CreateChannelRequest { greeter, ..new_channel() }).await
}

/// A chat of a visitor with this address that Robin greeted.
async fn bot_chat(fixture: &Fixture, channel: &Channel, address: &str) -> BotChat {
    let mut chats = fixture.chats_with_address(address, address);
    let id = chats.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let session = fixture.conversation(&id).await.bot_session.unwrap().bot_session_id;
    BotChat { id, session }
}

async fn b8_a_hand_off_says_the_policy_of_its_channel_or_the_one_that_the_bot_names_and_the_contacts_owner(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    every_policy_exists(&fixture);
    let (of_channel, named, team) = (new_id().to_string(), new_id().to_string(), new_id().to_string());
    let request = CreateChannelRequest {
        greeter: Some(Greeter::BotId(ROBIN.to_string())),
        hand_off_routing_policy_id: of_channel.clone(),
        ..new_channel()
    };
    let channel = fixture.create_channel(request).await;
    assert_eq!(channel.hand_off_routing_policy_id, of_channel);
    let contact = CreateContactRequest {
        emails: vec![ContactEmail { email: "known@visitor.example".into(), verified: true }],
        owner_agent_id: ADA.to_string(),
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    fixture.contacts().create_contact(contact).await.unwrap();

    let known = bot_chat(&fixture, &channel, "known@visitor.example").await;
    let to_nobody = HandOffConversationRequest { agent_id: String::new(), ..hand_off_request(&known) };
    hand_off(&fixture, to_nobody).await.unwrap();
    let event = fixture.service.appended::<ConversationHandedOff>().await.pop().unwrap();
    assert_eq!((event.routing_policy_id, event.team_id), (of_channel.clone(), String::new()));
    assert_eq!(event.contact_owner_agent_id, ADA.to_string());

    let unknown = bot_chat(&fixture, &channel, "unknown@visitor.example").await;
    let to_team = HandOffConversationRequest {
        agent_id: String::new(),
        routing_policy_id: named.clone(),
        team_id: team.clone(),
        ..hand_off_request(&unknown)
    };
    hand_off(&fixture, to_team).await.unwrap();
    let event = fixture.service.appended::<ConversationHandedOff>().await.pop().unwrap();
    assert_eq!((event.routing_policy_id, event.team_id, event.contact_owner_agent_id), (named, team, String::new()));
    let started = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!((started.routing_policy_id, started.hand_off_routing_policy_id), (String::new(), of_channel));
}

async fn b8_a_channel_names_only_a_policy_that_exists_for_hand_offs(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    let with = |id: String| UpdateChannelRequest {
        channel_id: channel.id.clone(),
        hand_off_routing_policy_id: Some(id),
        ..UpdateChannelRequest::default()
    };
    let absent = |_: Request<GetRoutingPolicyRequest>| Err::<GetRoutingPolicyResponse, _>(Status::not_found("none"));
    fixture.service.fake.on(absent);
    let mut channels = fixture.channels();
    let refused = channels.update_channel(with(new_id().to_string())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ROUTING_POLICY_UNKNOWN"));
    every_policy_exists(&fixture);
    let policy = new_id().to_string();
    let updated = channels.update_channel(with(policy.clone())).await.unwrap().into_inner().channel.unwrap();
    assert_eq!((updated.hand_off_routing_policy_id, updated.greeter), (policy, channel.greeter.clone()));
    let cleared = channels.update_channel(with(String::new())).await.unwrap().into_inner().channel.unwrap();
    assert_eq!((cleared.hand_off_routing_policy_id.as_str(), cleared.version), ("", 3));
}

async fn e4_a_reopening_by_an_administrator_says_how_it_is_routed_and_who_owned_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    every_policy_exists(&fixture);
    let policy = new_id().to_string();
    for (channel, routed) in [(routed_channel(&fixture, &policy).await, true), (fixture.channel().await, false)] {
        let chat = fixture.chat_on(&channel, "v").await;
        fixture.assign_ada(&chat.id, 1).await;
        crate::close_conversation::close(&fixture, &chat.id).await;
        let reopen = ReopenConversationRequest { conversation_id: chat.id.clone(), request_id: request_id() };
        let reopened = as_admin(&fixture).reopen_conversation(reopen).await.unwrap().into_inner().conversation.unwrap();
        assert_eq!(reopened.assignee, None);
        let event = fixture.service.appended::<ConversationReopened>().await.pop().unwrap();
        let expected = if routed { (true, policy.clone(), ADA.to_string()) } else { Default::default() };
        assert_eq!((event.routed, event.routing_policy_id, event.last_owner_agent_id), expected);
    }
}

async fn a4_a_conversation_that_a_back_end_starts_on_a_channel_with_routing_is_routed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    every_policy_exists(&fixture);
    let policy = new_id().to_string();
    let channel = routed_channel(&fixture, &policy).await;
    let request = StartConversationRequest {
        visitor_id: format!("{}/v", channel.id),
        channel_id: channel.id,
        text: "Your order has arrived.".into(),
        request_id: request_id(),
        ..StartConversationRequest::default()
    };
    let started = as_admin(&fixture).start_conversation(request).await.unwrap().into_inner().conversation.unwrap();
    assert_eq!((started.assignee, started.epoch), (None, 1));
    let event = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!(event.routing_policy_id, policy);
}

async fn a7_an_owner_is_taken_away_only_while_the_visitor_waits(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.assign_ada(&chat.id, 1).await;
    let request = || ChangeAssigneeRequest {
        conversation_id: chat.id.clone(),
        expected_epoch: 2,
        cause: AssignmentCause::AgentUnreachable.into(),
        request_id: "take-back".into(),
        only_if_visitor_waits: true,
        ..ChangeAssigneeRequest::default()
    };
    let take_back = async || {
        let request = fixture.on_behalf_of("service:assignment", request());
        fixture.arbiter("assignment").change_assignee(request).await
    };
    let refused = take_back().await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "VISITOR_NOT_WAITING"));
    fixture.chats("v").send_message(crate::send_message::send(&chat.id, "hello?")).await.unwrap();
    let taken = take_back().await.unwrap().into_inner();
    assert_eq!((taken.epoch, taken.conversation.unwrap().assignee), (3, None));
    assert_eq!(take_back().await.unwrap().into_inner().epoch, 3, "a repeat gets the first answer");
}

fn message(conversation: &str, expected_epoch: i32) -> PostChannelMessageRequest {
    let text = |language: &str, text: &str| LocalizedText { language: language.into(), text: text.into() };
    PostChannelMessageRequest {
        conversation_id: conversation.into(),
        expected_epoch,
        texts: vec![text("en", "We are closed."), text("it", "Siamo chiusi.")],
        request_id: "closed-1".into(),
    }
}

async fn post(fixture: &Fixture, message: PostChannelMessageRequest) -> Result<PostChannelMessageResponse, Status> {
    let request = fixture.on_behalf_of("service:assignment", message);
    Ok(fixture.arbiter("assignment").post_channel_message(request).await?.into_inner())
}

/// The messages that the visitor `v` sees, with the kinds of their authors.
async fn messages(fixture: &Fixture, chat: &str) -> Vec<(ActorKind, String)> {
    let entries = fixture.chat_entries("v", chat).await;
    let messages = entries.into_iter().filter_map(|entry| match entry.content {
        Some(chat_entry::Content::Message(message)) => Some((entry.author.unwrap().kind(), message.text)),
        _ => None,
    });
    messages.collect()
}

async fn a4_c12_a_message_of_the_channel_reaches_a_visitor_who_waits_once_and_in_their_language(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let mut request = start(&channel.id);
    request.language = "it-CH".into();
    request.text = "Buongiorno".into();
    let chat = fixture.chats("v").start_chat(request).await.unwrap().into_inner().chat.unwrap().id;
    let before = fixture.conversation(&chat).await;
    let answers = twenty(|_| post(&fixture, message(&chat, 1))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let posted = messages(&fixture, &chat).await;
    assert_eq!(posted[1..], [(ActorKind::System, "Siamo chiusi.".to_owned())]);
    let after = fixture.conversation(&chat).await;
    assert!(before.waiting_since_time.is_some());
    assert_eq!(
        (after.waiting_since_time, after.assignee),
        (before.waiting_since_time, None),
        "the visitor still waits"
    );
    let mut other = message(&chat, 1);
    other.texts[0].text = "We are shut.".into();
    assert_eq!(reason(&post(&fixture, other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn a4_a_message_of_the_channel_is_refused_where_somebody_owns_the_conversation(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let late = post(&fixture, message(&chat.id, 2)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::Aborted, "OWNERSHIP_CHANGED"));
    fixture.assign_ada(&chat.id, 1).await;
    assert_eq!(reason(&post(&fixture, message(&chat.id, 2)).await.unwrap_err()), "OWNERSHIP_CHANGED");
    crate::close_conversation::close(&fixture, &chat.id).await;
    let closed = post(&fixture, message(&chat.id, 2)).await.unwrap_err();
    assert_eq!((closed.code(), reason(&closed).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
    assert!(messages(&fixture, &chat.id).await.is_empty());
}

async fn s2_another_accounts_conversation_gets_no_message(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, "service:assignment", message(&chat.id, 1));
    let refused = fixture.arbiter("assignment").post_channel_message(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}
