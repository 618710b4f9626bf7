//! What administrators do in conversations as themselves: rules A8, C7, C11, C12, C13, E1, E4, S2, S3, X3.

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::v1::{
        CloseConversationRequest, CreateInsertRequest, CreateTicketRequest, Entry, Mention, PostCommentRequest,
        ReopenConversationRequest, SendMessageRequest, Snippet, ThreadServiceSignalTypingRequest, TicketStatus,
        UpdateTicketRequest, WatchChatRequest, WatchThreadRequest,
        conversation_service_client::ConversationServiceClient, create_insert_request, entry::Content,
        thread_service_client::ThreadServiceClient, ticket_service_client::TicketServiceClient,
        watch_chat_response::Update as ChatUpdate, watch_thread_response::Update,
    },
    event::v1::{CommentPosted, ConversationClosed, ConversationReopened, MessagePosted},
};
use frontdesk_testkit::{Calls, Mode, on_both_modes, reason, request_id};
use tonic::Code;

use crate::{
    create_ticket::linked_chat,
    fixture::{ADA, Fixture, message, twenty},
};

on_both_modes!(
    c11_c12_an_administrators_message_is_theirs_and_makes_nobody_the_assignee,
    c11_while_a_bot_is_in_charge_an_administrators_message_is_refused,
    c12_twenty_repeats_at_once_post_one_message,
    c6_s3_placeholders_have_the_administrators_name_and_no_address,
    c7_an_administrator_comments_and_mentions,
    c13_an_administrator_types,
    e1_e4_an_administrator_closes_and_reopens_and_owns_nothing,
    s2_another_accounts_conversation_does_not_exist,
    s3_a_visitor_sees_administrators_as_the_team_and_neither_subject_nor_address,
    x3_an_administrator_creates_and_changes_a_ticket,
);

/// An administrator whose subject is a mail address.
const ROOT: &str = "root@shop.example";

fn calls(fixture: &Fixture, name: &str) -> Calls {
    let named =
        |claims: &mut frontdesk_auth::Claims| claims.name = Some(name.into()).filter(|name: &String| !name.is_empty());
    fixture.service.calls_with(fixture.account, CallerKind::Admin, ROOT, named)
}

fn threads(fixture: &Fixture) -> ThreadServiceClient<Calls> {
    ThreadServiceClient::new(calls(fixture, "Office"))
}

fn conversations(fixture: &Fixture) -> ConversationServiceClient<Calls> {
    ConversationServiceClient::new(calls(fixture, "Office"))
}

fn is_root(actor: Option<&Actor>) -> bool {
    actor.is_some_and(|actor| actor.kind() == ActorKind::Admin && actor.id == ROOT && actor.name == "Office")
}

async fn post(fixture: &Fixture, conversation: &str, text: &str) -> Entry {
    threads(fixture).post_message(message(conversation, text)).await.unwrap().into_inner().entry.unwrap()
}

async fn c11_c12_an_administrators_message_is_theirs_and_makes_nobody_the_assignee(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let ask = SendMessageRequest {
        chat_id: chat.clone(),
        text: "Hello?".into(),
        request_id: request_id(),
        attachment_ids: Vec::new(),
    };
    fixture.chats("v").send_message(ask).await.unwrap();
    let request = message(&chat, "Hello");
    let entry = threads(&fixture).post_message(request.clone()).await.unwrap().into_inner().entry.unwrap();
    assert!(is_root(entry.author.as_ref()), "{entry:?}");
    let again = threads(&fixture).post_message(request.clone()).await.unwrap().into_inner().entry.unwrap();
    assert_eq!(again, entry);
    assert_eq!(fixture.entries(&chat).await[1..], [entry]);
    let conversation = fixture.conversation(&chat).await;
    assert!(conversation.assignee.is_none() && conversation.epoch == 1 && conversation.waiting_since_time.is_none());
    let posted = fixture.service.appended::<MessagePosted>().await.pop().unwrap().author.unwrap();
    assert_eq!((posted.kind(), posted.id.as_str(), posted.name.as_str()), (ActorKind::Admin, ROOT, ""));
    let mut other = request;
    other.text = "Else".into();
    assert_eq!(reason(&threads(&fixture).post_message(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn c11_while_a_bot_is_in_charge_an_administrators_message_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let refused = threads(&fixture).post_message(message(&chat.id, "Hello")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "BOT_IN_CHARGE"));
    assert!(fixture.entries(&chat.id).await.is_empty());
}

async fn c12_twenty_repeats_at_once_post_one_message(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let request = message(&chat, "Hello");
    let posted = twenty(|_| {
        let (mut threads, request) = (threads(&fixture), request.clone());
        async move { threads.post_message(request).await.unwrap().into_inner().entry.unwrap() }
    });
    let posted = posted.await;
    assert!(posted.iter().all(|entry| is_root(entry.author.as_ref()) && *entry == posted[0]), "{posted:?}");
    assert_eq!(fixture.entries(&chat).await.len(), 1);
}

async fn c6_s3_placeholders_have_the_administrators_name_and_no_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let text = "{{agent.name|The team}} here".to_owned();
    let request = CreateInsertRequest {
        title: "Greeting".into(),
        content: Some(create_insert_request::Content::Snippet(Snippet { text })),
        request_id: request_id(),
        ..CreateInsertRequest::default()
    };
    let insert = fixture.inserts(ADA).create_insert(request).await.unwrap().into_inner().insert.unwrap().id;
    for (name, expected) in [("Office", "Office here"), (ROOT, "The team here")] {
        let mut request = message(&chat, "");
        request.insert_ids = vec![insert.clone()];
        let mut threads = ThreadServiceClient::new(calls(&fixture, name));
        let entry = threads.post_message(request).await.unwrap().into_inner().entry.unwrap();
        let Some(Content::Message(message)) = entry.content else { panic!("{entry:?}") };
        assert_eq!(message.inserts[0].plain_text, expected);
    }
}

async fn c7_an_administrator_comments_and_mentions(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await.id;
    let request = PostCommentRequest {
        conversation_id: chat.clone(),
        text: "@Ada look".into(),
        mentions: vec![Mention { start: 0, length: 4, agent_id: ADA.to_string() }],
        request_id: request_id(),
    };
    let entry = threads(&fixture).post_comment(request.clone()).await.unwrap().into_inner().entry.unwrap();
    assert!(is_root(entry.author.as_ref()), "{entry:?}");
    assert_eq!(threads(&fixture).post_comment(request).await.unwrap().into_inner().entry.unwrap(), entry);
    let posted = fixture.service.appended::<CommentPosted>().await;
    assert!(posted.len() == 1 && posted[0].mentioned_agent_ids == [ADA.to_string()], "{posted:?}");
    assert!(fixture.chat_entries("v", &chat).await.is_empty());
}

async fn c13_an_administrator_types(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let watch = WatchThreadRequest { conversation_id: chat.clone(), after_sequence: 0 };
    let mut of_team = fixture.threads(ADA).watch_thread(watch).await.unwrap().into_inner();
    let watch = WatchChatRequest { chat_id: chat.clone(), after_visitor_sequence: 0 };
    let mut of_visitor = fixture.chats("v").watch_chat(watch).await.unwrap().into_inner();
    let typing = ThreadServiceSignalTypingRequest { conversation_id: chat, comment: false };
    threads(&fixture).signal_typing(typing).await.unwrap();
    let author = loop {
        if let Some(Update::Typing(typing)) = of_team.message().await.unwrap().unwrap().update {
            break typing.author;
        }
    };
    assert!(is_root(author.as_ref()), "{author:?}");
    let author = loop {
        if let Some(ChatUpdate::Typing(typing)) = of_visitor.message().await.unwrap().unwrap().update {
            break typing.author.unwrap();
        }
    };
    assert_eq!((author.kind(), author.name.as_str(), author.id.len()), (ActorKind::Agent, "Office", 16));
}

async fn e1_e4_an_administrator_closes_and_reopens_and_owns_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    fixture.assign_ada(&chat, 1).await;
    let request = |id: String| CloseConversationRequest {
        conversation_id: chat.clone(),
        request_id: id,
        ..CloseConversationRequest::default()
    };
    let closes = twenty(|_| async { conversations(&fixture).close_conversation(request(request_id())).await.unwrap() });
    assert!(closes.await.iter().all(|closed| closed.get_ref().conversation.as_ref().unwrap().close_number == 1));
    let closed = fixture.service.appended::<ConversationClosed>().await;
    assert_eq!((closed.len(), closed[0].by.as_ref().unwrap().kind()), (1, ActorKind::Admin));

    let reopen = ReopenConversationRequest { conversation_id: chat.clone(), request_id: request_id() };
    let reopened = conversations(&fixture).reopen_conversation(reopen.clone()).await.unwrap().into_inner();
    let conversation = reopened.conversation.as_ref().unwrap();
    assert_eq!((conversation.assignee.as_ref(), conversation.epoch), (None, 3));
    assert_eq!(conversations(&fixture).reopen_conversation(reopen).await.unwrap().into_inner(), reopened);
    let events = fixture.service.appended::<ConversationReopened>().await;
    assert_eq!((events.len(), events[0].by.as_ref().unwrap().id.as_str()), (1, ROOT));
    let entries = fixture.entries(&chat).await;
    let [.., closed, reopened] = &entries[..] else { panic!("{entries:?}") };
    assert!(matches!(closed.content, Some(Content::Closed(_))) && is_root(closed.author.as_ref()), "{closed:?}");
    assert!(
        matches!(reopened.content, Some(Content::Reopened(_))) && is_root(reopened.author.as_ref()),
        "{reopened:?}"
    );
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let mut elsewhere = ThreadServiceClient::new(fixture.in_another_account().as_admin());
    let posted = elsewhere.post_message(message(&chat, "Hello")).await.unwrap_err();
    let mut elsewhere = ConversationServiceClient::new(fixture.in_another_account().as_admin());
    let close = CloseConversationRequest { conversation_id: chat, ..CloseConversationRequest::default() };
    let closed = elsewhere.close_conversation(close).await.unwrap_err();
    for refused in [posted, closed] {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
}

async fn s3_a_visitor_sees_administrators_as_the_team_and_neither_subject_nor_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    post(&fixture, &chat, "one").await;
    post(&fixture, &chat, "two").await;
    let other = fixture.service.calls(fixture.account, CallerKind::Admin, "other");
    ThreadServiceClient::new(other).post_message(message(&chat, "three")).await.unwrap();
    let entries = fixture.chat_entries("v", &chat).await;
    let [one, two, three] = [0, 1, 2].map(|index| entries[index].author.clone().unwrap());
    assert_eq!((one.kind(), one.name.as_str(), one.id.len()), (ActorKind::Agent, "Office", 16));
    assert_eq!(one, two);
    assert_eq!((three.kind(), three.name.as_str()), (ActorKind::Agent, ""));
    assert_ne!(three.id, one.id);
    assert!(entries.iter().all(|entry| entry.request_id.is_empty()), "the ids of the team's programs are theirs");

    // A name that is an address does not replace the one before, and a new name does.
    for (name, shown) in [(ROOT, "Office"), ("The office", "The office")] {
        let mut threads = ThreadServiceClient::new(calls(&fixture, name));
        threads.post_message(message(&chat, "more")).await.unwrap();
        let entries = fixture.chat_entries("v", &chat).await;
        assert_eq!(entries[0].author.as_ref().unwrap().name, shown);
        let all = format!("{entries:?}");
        assert!(!all.contains('@') && !all.contains("root"), "{all}");
    }
}

async fn x3_an_administrator_creates_and_changes_a_ticket(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = linked_chat(&fixture).await;
    let mut tickets = TicketServiceClient::new(calls(&fixture, "Office"));
    let request = CreateTicketRequest {
        conversation_id: chat.clone(),
        subject: "Refund".into(),
        request_id: request_id(),
        ..CreateTicketRequest::default()
    };
    let created = tickets.create_ticket(request.clone()).await.unwrap().into_inner();
    assert_eq!(tickets.create_ticket(request).await.unwrap().into_inner(), created);
    let update = UpdateTicketRequest {
        ticket_id: created.ticket.unwrap().id,
        status: Some(TicketStatus::Closed.into()),
        ..UpdateTicketRequest::default()
    };
    tickets.update_ticket(update).await.unwrap();
    let entries = fixture.entries(&chat).await;
    let [.., created, changed] = &entries[..] else { panic!("{entries:?}") };
    assert!(matches!(created.content, Some(Content::TicketCreated(_))) && is_root(created.author.as_ref()));
    assert!(matches!(changed.content, Some(Content::TicketUpdated(_))) && is_root(changed.author.as_ref()));
}
