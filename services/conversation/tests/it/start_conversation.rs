//! `StartConversation`: rules C1, C2a, C12, A8, T2, X1, S2.

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::ActorKind,
    conversation::v1::{
        Conversation, CreateContactRequest, GetContactRequest, ListChatsRequest, StartConversationRequest,
        StartConversationResponse, conversation_service_client::ConversationServiceClient, entry::Content,
    },
    event::v1::{AssigneeChanged, ContactCreated, ConversationStarted},
};
use frontdesk_testkit::{Calls, Mode, metadata, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::{
    close_conversation::close,
    fixture::{ADA, Fixture, GONE, start, twenty},
};

on_both_modes!(
    c1_c12_a_back_end_starts_a_conversation_that_the_visitor_finds_and_a_repeat_gets_the_same_answer,
    c1_t6_without_a_page_the_transcript_links_to_the_channels_website,
    c2a_an_open_conversation_goes_on_with_the_message_and_keeps_its_assignee,
    c2a_twenty_starts_at_once_make_one_conversation,
    c11_an_open_conversation_with_a_bot_in_charge_takes_no_message,
    e3_a_start_after_a_close_points_to_the_conversation_before,
    a8_b1_no_bot_greets_and_the_assignee_is_recorded_as_given_by_the_administrator,
    a2_an_assignee_who_is_not_active_is_refused,
    x1_the_contact_is_found_or_created_by_external_id_and_by_address,
    x1_twenty_starts_with_a_new_external_id_create_one_contact,
    x1_a_visitor_of_another_channel_or_an_anonymous_one_is_refused,
    x2_the_contact_gets_the_language_if_it_has_none,
    s2_another_accounts_channel_or_contact_does_not_exist,
);

/// Conversations, as the account's back end.
fn back_end(fixture: &Fixture) -> ConversationServiceClient<Calls> {
    ConversationServiceClient::new(fixture.service.calls(fixture.account, CallerKind::Admin, "shop"))
}

/// A visitor of the channel, as tokens of the development key name them.
fn visitor(channel: &str, sub: &str) -> String {
    format!("{channel}/{sub}")
}

fn request(channel: &str, sub: &str) -> StartConversationRequest {
    StartConversationRequest {
        channel_id: channel.into(),
        visitor_id: visitor(channel, sub),
        request_id: request_id(),
        ..StartConversationRequest::default()
    }
}

async fn started(fixture: &Fixture, request: StartConversationRequest) -> StartConversationResponse {
    back_end(fixture).start_conversation(request).await.unwrap().into_inner()
}

async fn conversation(fixture: &Fixture, request: StartConversationRequest) -> Conversation {
    started(fixture, request).await.conversation.unwrap()
}

async fn refused(fixture: &Fixture, request: StartConversationRequest) -> Status {
    back_end(fixture).start_conversation(request).await.unwrap_err()
}

async fn c1_c12_a_back_end_starts_a_conversation_that_the_visitor_finds_and_a_repeat_gets_the_same_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let request = StartConversationRequest {
        name: "Vera".into(),
        text: "Your order has left".into(),
        language: "pt-BR".into(),
        time_zone: "Europe/Rome".into(),
        properties: [("order_number".to_owned(), "42".to_owned())].into(),
        ..request(&channel, "v")
    };
    let first = started(&fixture, request.clone()).await;
    assert_eq!(started(&fixture, request.clone()).await, first);
    let (conversation, entry) = (first.conversation.unwrap(), first.entry.unwrap());
    assert!(!first.resumed && conversation.assignee.is_none() && conversation.waiting_since_time.is_none());
    assert_eq!(conversation.visitor_id, visitor(&channel, "v"));
    assert_eq!((conversation.language.as_str(), conversation.time_zone.as_str()), ("pt-BR", "Europe/Rome"));
    assert_eq!(conversation.properties, request.properties);
    let author = entry.author.unwrap();
    assert_eq!((author.kind(), author.id.as_str(), entry.sequence), (ActorKind::Admin, "shop", 1));
    assert_eq!(entry.request_id, request.request_id);

    let of_visitor = visitor(&channel, "v");
    let chats = fixture.chats(&of_visitor).list_chats(ListChatsRequest::default()).await.unwrap().into_inner().chats;
    assert_eq!(chats.iter().map(|chat| &chat.id).collect::<Vec<_>>(), [&conversation.id]);
    let entries = fixture.chat_entries(&of_visitor, &conversation.id).await;
    assert_eq!(entries[0].author.as_ref().unwrap().kind(), ActorKind::Agent);
    let resumed = fixture.chats(&of_visitor).start_chat(start(&channel)).await.unwrap().into_inner();
    assert_eq!((resumed.resumed, resumed.chat.unwrap().id), (true, conversation.id));
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);

    let other = StartConversationRequest { text: "Else".into(), ..request };
    assert_eq!(reason(&refused(&fixture, other).await), "REQUEST_ID_REUSED");
}

async fn c1_t6_without_a_page_the_transcript_links_to_the_channels_website(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    assert_eq!(conversation(&fixture, request(&channel.id, "v")).await.page_url, channel.website_url);
    let page = "https://shop.example/orders/42";
    let with_page = StartConversationRequest { page_url: page.into(), ..request(&channel.id, "w") };
    assert_eq!(conversation(&fixture, with_page).await.page_url, page);
}

async fn c2a_an_open_conversation_goes_on_with_the_message_and_keeps_its_assignee(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, &visitor(&channel.id, "v")).await;
    let properties = [("order_number".to_owned(), "42".to_owned())].into();
    let request = StartConversationRequest {
        text: "Hello".into(),
        assignee_agent_id: ADA.to_string(),
        properties,
        ..request(&channel.id, "v")
    };
    let resumed = started(&fixture, request).await;
    let conversation = resumed.conversation.unwrap();
    assert_eq!((resumed.resumed, conversation.id, resumed.entry.unwrap().sequence), (true, chat.id, 1));
    assert!(conversation.assignee.is_none() && conversation.properties.is_empty());
}

async fn c2a_twenty_starts_at_once_make_one_conversation(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let all = twenty(|_| started(&fixture, request(&channel, "v"))).await;
    let first = all[0].conversation.as_ref().unwrap();
    assert!(all.iter().all(|one| one.conversation.as_ref().unwrap().id == first.id));
    assert_eq!(all.iter().filter(|one| !one.resumed).count(), 1);
    assert_eq!(fixture.service.appended::<ConversationStarted>().await.len(), 1);
}

async fn c11_an_open_conversation_with_a_bot_in_charge_takes_no_message(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await;
    fixture.chat_on(&channel, &visitor(&channel.id, "v")).await;
    let with_text = StartConversationRequest { text: "Hello".into(), ..request(&channel.id, "v") };
    let status = refused(&fixture, with_text).await;
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "BOT_IN_CHARGE"));
    assert!(started(&fixture, request(&channel.id, "v")).await.resumed);
}

async fn e3_a_start_after_a_close_points_to_the_conversation_before(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let first = conversation(&fixture, request(&channel, "v")).await;
    close(&fixture, &first.id).await;
    let second = started(&fixture, request(&channel, "v")).await;
    assert!(!second.resumed);
    assert_eq!(second.conversation.unwrap().previous_conversation_id, first.id);
}

async fn a8_b1_no_bot_greets_and_the_assignee_is_recorded_as_given_by_the_administrator(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.bot_channel().await.id;
    let request =
        StartConversationRequest { assignee_agent_id: ADA.to_string(), text: "Hello".into(), ..request(&channel, "v") };
    let conversation = conversation(&fixture, request).await;
    let assignee = conversation.assignee.unwrap();
    assert_eq!((assignee.kind(), assignee.id, assignee.name.as_str()), (ActorKind::Agent, ADA.to_string(), "Ada"));
    assert!(conversation.bot_session.is_none() && conversation.epoch == 2);
    let entries = fixture.entries(&conversation.id).await;
    assert!(matches!(entries[0].content, Some(Content::AssigneeChanged(_))), "{entries:?}");
    assert_eq!(entries[0].author.as_ref().unwrap().id, "shop");
    let started = fixture.service.appended::<ConversationStarted>().await.pop().unwrap();
    assert_eq!((started.bot_id.as_str(), started.epoch), ("", 1));
    let changed = fixture.service.appended::<AssigneeChanged>().await.pop().unwrap();
    assert_eq!((changed.epoch, changed.by.unwrap().kind()), (2, ActorKind::Admin));
}

async fn a2_an_assignee_who_is_not_active_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    for (agent, name) in [(GONE.to_string(), "Gone"), (new_id().to_string(), "")] {
        let request = StartConversationRequest { assignee_agent_id: agent.clone(), ..request(&channel, "v") };
        let status = refused(&fixture, request).await;
        assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "ASSIGNEE_NOT_ACTIVE"));
        assert_eq!((metadata(&status, "agent_id"), metadata(&status, "agent_name")), (agent, name.to_owned()));
    }
    assert!(fixture.service.appended::<ConversationStarted>().await.is_empty());
}

async fn x1_the_contact_is_found_or_created_by_external_id_and_by_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let contact = async |id: &str| {
        let request = GetContactRequest { contact_id: id.into() };
        fixture.contacts().get_contact(request).await.unwrap().into_inner().contact.unwrap()
    };
    let by_external_id = |sub: &str| StartConversationRequest {
        external_id: "customer-7".into(),
        name: "Vera".into(),
        ..request(&channel, sub)
    };
    let first = conversation(&fixture, by_external_id("v")).await;
    let created = contact(&first.contact_id).await;
    assert_eq!((created.external_id.as_str(), created.name.as_str()), ("customer-7", "Vera"));
    assert_eq!(conversation(&fixture, by_external_id("w")).await.contact_id, first.contact_id);

    let by_address =
        |sub: &str| StartConversationRequest { email: "Mario@Shop.example".into(), ..request(&channel, sub) };
    let second = conversation(&fixture, by_address("x")).await;
    let emails = contact(&second.contact_id).await.emails;
    assert!(emails.len() == 1 && emails[0].email == "mario@shop.example" && emails[0].verified, "{emails:?}");
    assert_eq!(conversation(&fixture, by_address("y")).await.contact_id, second.contact_id);

    // Without a name of the contact the visitor stays who they are; with another one they are that contact.
    close(&fixture, &second.id).await;
    assert_eq!(conversation(&fixture, request(&channel, "x")).await.contact_id, second.contact_id);
    let moved = StartConversationRequest { contact_id: first.contact_id.clone(), ..request(&channel, "x") };
    assert_eq!(conversation(&fixture, moved).await.contact_id, first.contact_id);
    assert_eq!(fixture.service.appended::<ContactCreated>().await.len(), 2);

    let both = StartConversationRequest { email: "v@shop.example".into(), ..by_external_id("z") };
    let status = refused(&fixture, both).await;
    assert!(status.code() == Code::InvalidArgument && status.message().contains("contact_id"), "{status:?}");
}

async fn x1_twenty_starts_with_a_new_external_id_create_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let all = twenty(|number| {
        let request =
            StartConversationRequest { external_id: "customer-7".into(), ..request(&channel, &number.to_string()) };
        conversation(&fixture, request)
    });
    let all = all.await;
    assert!(all.iter().all(|one| one.contact_id == all[0].contact_id));
    assert_eq!(fixture.service.appended::<ContactCreated>().await.len(), 1);
}

async fn x1_a_visitor_of_another_channel_or_an_anonymous_one_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (channel, other) = (fixture.channel().await.id, fixture.channel().await.id);
    let bare = "v".repeat(40);
    for visitor_id in [visitor(&other, "v"), format!("anonymous:{channel}/{}", new_id()), bare] {
        let request = StartConversationRequest { visitor_id, ..request(&channel, "v") };
        let status = refused(&fixture, request).await;
        assert!(status.code() == Code::InvalidArgument && status.message().contains("visitor_id"), "{status:?}");
    }
}

async fn x2_the_contact_gets_the_language_if_it_has_none(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let contact = CreateContactRequest { request_id: request_id(), ..CreateContactRequest::default() };
    let contact = fixture.contacts().create_contact(contact).await.unwrap().into_inner().contact.unwrap().id;
    for (sub, language, stored) in [("v", "pt-BR", "pt-BR"), ("w", "it", "pt-BR")] {
        let request = StartConversationRequest {
            contact_id: contact.clone(),
            language: language.into(),
            ..request(&channel, sub)
        };
        assert_eq!(conversation(&fixture, request).await.language, language);
        let read = GetContactRequest { contact_id: contact.clone() };
        let read = fixture.contacts().get_contact(read).await.unwrap().into_inner().contact.unwrap();
        assert_eq!(read.language, stored);
    }
}

async fn s2_another_accounts_channel_or_contact_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let mut elsewhere = ConversationServiceClient::new(fixture.in_another_account().as_admin());
    let theirs = elsewhere.start_conversation(request(&channel, "v")).await.unwrap_err();
    assert_eq!((theirs.code(), reason(&theirs).as_str()), (Code::NotFound, "NOT_FOUND"));
    let unknown = StartConversationRequest { contact_id: new_id().to_string(), ..request(&channel, "v") };
    assert_eq!(refused(&fixture, unknown).await.code(), Code::NotFound);
    assert!(fixture.service.appended::<ConversationStarted>().await.is_empty());
    let mut agent = fixture.conversations(ADA);
    assert_eq!(reason(&agent.start_conversation(request(&channel, "v")).await.unwrap_err()), "NOT_PERMITTED");
}
