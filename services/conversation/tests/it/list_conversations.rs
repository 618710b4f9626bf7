//! `ListConversations`: rule C9.

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{
    AssigneeFilter, ConversationStatus, InboxOrder, InboxRow, ListConversationsRequest, PostCommentRequest,
    SendMessageRequest, StartChatRequest,
    assignee_filter::{AnyBot, Assignee, Me, Unassigned},
    conversation_service_client::ConversationServiceClient,
    entry::Content,
    thread_service_client::ThreadServiceClient,
    visitor_service_client::VisitorServiceClient,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::fixture::{ADA, BOB, Fixture, ROBIN, question, start};

on_both_modes!(
    c9_a_filter_matches_any_of_its_values_and_lists_each_conversation_once,
    c9_pages_are_complete_and_without_repeats_while_rows_move,
    c9_a_row_has_the_visitors_name_and_the_newest_message_or_comment,
    c9_a_page_has_the_same_rows_however_many_conditions_its_filter_has,
    c9_a_page_ends_before_a_client_refuses_its_size,
    c9_me_is_refused_for_administrators,
    c9_the_visitors_who_wait_longest_come_first,
);

async fn list(fixture: &Fixture, request: ListConversationsRequest) -> Result<Vec<InboxRow>, Status> {
    Ok(fixture.conversations(ADA).list_conversations(request).await?.into_inner().rows)
}

/// Ids of the conversations that the request lists, sorted.
async fn ids(fixture: &Fixture, request: ListConversationsRequest) -> Vec<String> {
    let rows = list(fixture, request).await.unwrap();
    let mut ids: Vec<_> = rows.into_iter().map(|row| row.conversation.unwrap().id).collect();
    ids.sort_unstable();
    ids
}

fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids = ids.map(String::clone);
    ids.sort_unstable();
    ids.into()
}

fn of(assignees: impl IntoIterator<Item = Assignee>) -> ListConversationsRequest {
    let assignees = assignees.into_iter().map(|assignee| AssigneeFilter { assignee: Some(assignee) });
    ListConversationsRequest { assignees: assignees.collect(), ..ListConversationsRequest::default() }
}

fn with_statuses(statuses: &[ConversationStatus], request: ListConversationsRequest) -> ListConversationsRequest {
    ListConversationsRequest { statuses: statuses.iter().map(|status| (*status).into()).collect(), ..request }
}

fn agent(id: Uuid) -> Assignee {
    Assignee::AgentId(id.to_string())
}

async fn c9_a_filter_matches_any_of_its_values_and_lists_each_conversation_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let unassigned = fixture.chat("a").await;
    let (adas, closed) = (fixture.chat("b").await, fixture.chat("c").await);
    for chat in [&adas, &closed] {
        fixture.post(&chat.id, "hello").await;
    }
    crate::close_conversation::close(&fixture, &closed.id).await;
    crate::link_contact::link_new_contact(&fixture, &unassigned.id).await;
    let bots = fixture.bot_chat("d").await.id;
    let (free, ada, done) = (&unassigned.id, &adas.id, &closed.id);
    use ConversationStatus::{Closed, Open};
    let (me, nobody) = (|| Assignee::Me(Me {}), || Assignee::Unassigned(Unassigned {}));
    let (any_bot, robin) = (|| Assignee::AnyBot(AnyBot {}), || Assignee::BotId(ROBIN.to_string()));
    let all = ListConversationsRequest::default;
    let visitor_id = fixture.conversation(ada).await.visitor_id;
    let contact_id = fixture.conversation(free).await.contact_id;
    for (request, expected) in [
        (all(), sorted([free, ada, done, &bots])),
        (with_statuses(&[Open, Closed, Open], all()), sorted([free, ada, done, &bots])),
        (with_statuses(&[Closed], all()), sorted([done])),
        (of([me()]), sorted([ada, done])),
        (of([me(), agent(ADA), agent(BOB)]), sorted([ada, done])),
        (with_statuses(&[Open], of([me(), nobody()])), sorted([free, ada])),
        (of([any_bot(), robin(), nobody()]), sorted([free, &bots])),
        (of([robin()]), sorted([&bots])),
        (of([agent(BOB)]), Vec::new()),
        (
            ListConversationsRequest { channel_ids: vec![adas.channel_id, closed.channel_id], ..all() },
            sorted([ada, done]),
        ),
        (ListConversationsRequest { visitor_id: visitor_id.clone(), ..all() }, sorted([ada])),
        (ListConversationsRequest { visitor_id, ..with_statuses(&[Closed], all()) }, Vec::new()),
        (ListConversationsRequest { contact_ids: vec![contact_id.clone()], ..of([me()]) }, Vec::new()),
        (ListConversationsRequest { contact_ids: vec![contact_id.clone(), contact_id], ..all() }, sorted([free])),
    ] {
        assert_eq!(ids(&fixture, request.clone()).await, expected, "{request:?}");
    }
}

async fn c9_pages_are_complete_and_without_repeats_while_rows_move(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut chats = Vec::new();
    for n in 0..6 {
        chats.push(fixture.chat(&format!("v{n}")).await.id);
    }
    for chat in chats.iter().step_by(2) {
        crate::close_conversation::close(&fixture, chat).await;
    }
    let newest_first: Vec<_> = [4, 2, 0, 5, 3, 1].map(|n| chats[n].clone()).into();
    let mut request = with_statuses(&[ConversationStatus::Open, ConversationStatus::Closed], of([]));
    request.page_size = 2;
    let mut listed = Vec::new();
    loop {
        let page = fixture.conversations(ADA).list_conversations(request.clone()).await.unwrap().into_inner();
        listed.extend(page.rows.into_iter().map(|row| row.conversation.unwrap().id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        if listed.len() == 2 {
            // A row of the first page moves to the front again, and one of the last page does.
            fixture.threads(ADA).post_comment(comment(&chats[2], "note")).await.unwrap();
            fixture.post(&chats[1], "hello").await;
        }
    }
    assert_eq!(listed, newest_first[..5], "the moved one is on the first page now");
    let first = fixture.conversations(ADA).list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(first.into_inner().rows[0].conversation.as_ref().unwrap().id, chats[1]);
}

fn comment(conversation: &str, text: &str) -> PostCommentRequest {
    PostCommentRequest {
        conversation_id: conversation.into(),
        text: text.into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    }
}

async fn c9_a_row_has_the_visitors_name_and_the_newest_message_or_comment(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (linked, silent) = (fixture.chat("a").await, fixture.chat("b").await);
    let asked = fixture.bot_chat("c").await;
    fixture.post_as_robin(question(&asked)).await.unwrap();
    fixture.assign_ada(&asked.id, 1).await;
    fixture.post(&linked.id, "hello").await;
    fixture.threads(ADA).post_comment(comment(&linked.id, &"\u{e9}x".repeat(150))).await.unwrap();
    crate::link_contact::link_new_contact(&fixture, &linked.id).await;
    let named = |claims: &mut frontdesk_auth::Claims| claims.name = Some(" Vic  Tor ".into());
    let channel = fixture.channel().await;
    let calls = fixture.service.calls_with(fixture.account, CallerKind::Visitor, "d", named);
    let mut visitor = VisitorServiceClient::new(calls);
    let request = StartChatRequest { text: "hi".into(), ..start(&channel.id) };
    let named = visitor.start_chat(request).await.unwrap().into_inner().chat.unwrap();

    let rows = list(&fixture, ListConversationsRequest::default()).await.unwrap();
    let row = |id: &str| rows.iter().find(|row| row.conversation.as_ref().unwrap().id == id).unwrap();
    let comment = row(&linked.id).last_entry.clone().unwrap();
    let Some(Content::Comment(comment)) = comment.content else { panic!("{comment:?}") };
    assert_eq!((row(&linked.id).visitor_name.as_str(), comment.text), ("Vera", "\u{e9}x".repeat(100)));
    assert_eq!((row(&silent.id).visitor_name.as_str(), &row(&silent.id).last_entry), ("", &None));
    let question = row(&asked.id).last_entry.clone().unwrap();
    assert_eq!((question.sequence, question.author.unwrap().name.as_str()), (1, "Robin"));
    let message = row(&named.id).last_entry.clone().unwrap();
    assert_eq!((row(&named.id).visitor_name.as_str(), message.author.unwrap().name.as_str()), ("Vic Tor", "Vic Tor"));
}

/// Pages of few conditions are read in one statement with all names, and others in several.
async fn c9_a_page_has_the_same_rows_however_many_conditions_its_filter_has(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    for name in ["Vera", "Victor"] {
        let one_address = |claims: &mut frontdesk_auth::Claims| {
            claims.name = Some(name.into());
            claims.email = Some("v@example.com".into());
        };
        let calls = fixture.service.calls_with(fixture.account, CallerKind::Visitor, name, one_address);
        let request = StartChatRequest { text: "hi".into(), ..start(&channel.id) };
        VisitorServiceClient::new(calls).start_chat(request).await.unwrap();
    }
    let asked = fixture.bot_chat("a").await;
    fixture.post_as_robin(question(&asked)).await.unwrap();
    let (commented, linked, closed) =
        (fixture.chat("b").await.id, fixture.chat("c").await.id, fixture.chat("d").await.id);
    fixture.chat("e").await;
    let office = |claims: &mut frontdesk_auth::Claims| claims.name = Some("Office".into());
    let office = fixture.service.calls_with(fixture.account, CallerKind::Admin, "root", office);
    ThreadServiceClient::new(office).post_comment(comment(&commented, "note")).await.unwrap();
    crate::link_contact::link_new_contact(&fixture, &linked).await;
    for chat in [&linked, &closed] {
        fixture.post(chat, "hello").await;
    }
    crate::close_conversation::close(&fixture, &closed).await;
    let others = (0..6).map(|_| agent(frontdesk_testkit::new_id()));
    let everyone = [Assignee::Me(Me {}), Assignee::Unassigned(Unassigned {}), Assignee::AnyBot(AnyBot {})];
    let many = of(everyone.into_iter().chain(others));
    for order in [InboxOrder::Unspecified, InboxOrder::LongestWaiting] {
        let order = order.into();
        let few = list(&fixture, ListConversationsRequest { order, ..ListConversationsRequest::default() });
        let many = list(&fixture, ListConversationsRequest { order, ..many.clone() });
        assert_eq!(few.await.unwrap(), many.await.unwrap());
    }
    let rows = list(&fixture, ListConversationsRequest::default()).await.unwrap();
    let mut names: Vec<_> = rows.iter().map(|row| row.visitor_name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["", "", "", "", "Vera", "Vera", "Victor"]);
    let authors = rows.iter().filter_map(|row| row.last_entry.as_ref()?.author.as_ref());
    let mut authors: Vec<_> = authors.map(|author| author.name.as_str()).collect();
    authors.sort_unstable();
    assert_eq!(authors, ["Ada", "Ada", "Office", "Robin", "Vera", "Victor"]);
}

async fn c9_a_page_ends_before_a_client_refuses_its_size(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    for n in 0..160 {
        let value = "x".repeat(500);
        let properties = (0..8).map(|n| (format!("property_{n}"), value.clone())).collect();
        let page_url = format!("https://shop.example/{}", "p".repeat(1_900));
        let request =
            StartChatRequest { properties, page_url, page_title: "\u{20ac}".repeat(300), ..start(&channel.id) };
        fixture.chats(&format!("v{n}")).start_chat(request).await.unwrap();
    }
    let mut request = ListConversationsRequest { page_size: 200, ..ListConversationsRequest::default() };
    let (mut rows, mut pages) = (0, 0);
    loop {
        let page = fixture.conversations(ADA).list_conversations(request.clone()).await.unwrap().into_inner();
        assert!(prost::Message::encoded_len(&page) < 1_100_000);
        (rows, pages) = (rows + page.rows.len(), pages + 1);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((rows, pages), (160, 2));
}

async fn c9_me_is_refused_for_administrators(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let calls = fixture.service.calls(fixture.account, CallerKind::Admin, "root");
    let mut conversations = ConversationServiceClient::new(calls);
    let refused = conversations.list_conversations(of([Assignee::Me(Me {})])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "assignees");
    conversations.list_conversations(of([Assignee::Unassigned(Unassigned {})])).await.unwrap();
}

async fn c9_the_visitors_who_wait_longest_come_first(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (first, second) = (fixture.chat("first").await.id, fixture.chat("second").await.id);
    let bots = fixture.bot_chat("third").await;
    let say = async |visitor: &str, chat: &str| {
        let request = SendMessageRequest {
            chat_id: chat.into(),
            text: "hello?".into(),
            request_id: request_id(),
            ..Default::default()
        };
        fixture.chats(visitor).send_message(request).await.unwrap();
    };
    let waiting = async |page_size: i32| {
        let order = InboxOrder::LongestWaiting.into();
        let mut request = ListConversationsRequest { order, page_size, ..ListConversationsRequest::default() };
        let mut listed = Vec::new();
        loop {
            let page = fixture.conversations(ADA).list_conversations(request.clone()).await.unwrap().into_inner();
            listed.extend(page.rows.into_iter().map(|row| row.conversation.unwrap().id));
            if page.next_page_token.is_empty() {
                return listed;
            }
            request.page_token = page.next_page_token;
        }
    };
    assert!(waiting(10).await.is_empty(), "nobody has written");
    say("second", &second).await;
    say("first", &first).await;
    say("third", &bots.id).await;
    // A second message does not change the place.
    say("second", &second).await;
    assert_eq!(waiting(1).await, [second.clone(), first.clone(), bots.id.clone()]);
    let unassigned = AssigneeFilter { assignee: Some(Assignee::Unassigned(Unassigned {})) };
    let order = InboxOrder::LongestWaiting.into();
    let request =
        ListConversationsRequest { order, assignees: vec![unassigned], ..ListConversationsRequest::default() };
    assert_eq!(ids(&fixture, request).await, sorted([&second, &first]));
    // An answer of an agent or a bot, or the close, ends the wait; a comment does not.
    fixture.threads(ADA).post_comment(comment(&first, "later")).await.unwrap();
    fixture.post(&second, "hello").await;
    fixture.post_as_robin(question(&bots)).await.unwrap();
    assert_eq!(waiting(10).await, std::slice::from_ref(&first));
    crate::close_conversation::close(&fixture, &first).await;
    assert!(waiting(10).await.is_empty());
    // After a hand-off the visitor waits.
    crate::hand_off::hand_off(&fixture, crate::hand_off::request(&bots)).await.unwrap();
    assert_eq!(waiting(10).await, std::slice::from_ref(&bots.id));
    assert!(fixture.conversation(&bots.id).await.waiting_since_time.is_some());
}
