//! `WatchInbox`: rules C9, C10, C13.

use std::{collections::BTreeMap, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{
    AssigneeFilter, ConversationStatus, InboxOrder, InboxRow, ListConversationsRequest, MarkReadRequest,
    MarkUnreadRequest, SendMessageRequest, WatchInboxRequest, WatchInboxResponse,
    assignee_filter::{Assignee, Me, Unassigned},
    conversation_service_client::ConversationServiceClient,
    watch_inbox_response::Update,
};
use frontdesk_testkit::{Calls, Mode, new_id, on_both_modes, reason, request_id};
use sea_orm::ConnectionTrait;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, message},
};

on_both_modes!(
    c10_a_watch_goes_on_where_the_list_was_read_and_where_a_watch_was_cut,
    c9_list_and_watch_together_show_what_a_new_list_shows,
    c10_a_change_whose_notification_was_lost_is_found,
    c13_a_mark_changes_the_row_of_its_agent,
    c10_a_cursor_is_valid_for_its_caller_and_inbox_only,
    c9_a_watch_of_a_team_ends_when_its_members_change_and_a_new_list_goes_on,
    c9_a_watch_of_a_team_shows_how_chats_come_into_its_queues_and_leave_them,
    s2_changes_of_another_account_are_not_sent,
);

/// How long a test waits for what must not come.
const SILENCE: Duration = Duration::from_millis(500);

type Client = ConversationServiceClient<Calls>;

fn all() -> ListConversationsRequest {
    ListConversationsRequest::default()
}

fn open() -> ListConversationsRequest {
    ListConversationsRequest { statuses: vec![ConversationStatus::Open.into()], ..all() }
}

fn of(assignee: Assignee) -> ListConversationsRequest {
    ListConversationsRequest { assignees: vec![AssigneeFilter { assignee: Some(assignee) }], ..all() }
}

/// What a client shows of an inbox, by list and watch.
struct Shown {
    rows: BTreeMap<String, InboxRow>,
    updates: Streaming<WatchInboxResponse>,
    cursor: String,
}

fn id(row: &InboxRow) -> String {
    row.conversation.as_ref().unwrap().id.clone()
}

async fn list(client: &mut Client, inbox: &ListConversationsRequest) -> (BTreeMap<String, InboxRow>, String) {
    let listed = client.list_conversations(inbox.clone()).await.unwrap().into_inner();
    (listed.rows.into_iter().map(|row| (id(&row), row)).collect(), listed.watch_cursor)
}

async fn watch(
    client: &mut Client,
    inbox: &ListConversationsRequest,
    cursor: &str,
) -> Result<Streaming<WatchInboxResponse>, Status> {
    let request = WatchInboxRequest { inbox: Some(inbox.clone()), cursor: cursor.into() };
    Ok(client.watch_inbox(request).await?.into_inner())
}

async fn next(updates: &mut Streaming<WatchInboxResponse>) -> WatchInboxResponse {
    timeout(Duration::from_secs(30), updates.message()).await.expect("an update").unwrap().unwrap()
}

impl Shown {
    async fn open(client: &mut Client, inbox: &ListConversationsRequest) -> Self {
        let (rows, cursor) = list(client, inbox).await;
        let updates = watch(client, inbox, &cursor).await.unwrap();
        let mut shown = Self { rows, updates, cursor };
        shown.until_caught_up().await;
        shown
    }

    /// Takes the next update; false: it is not about a row.
    async fn take(&mut self) -> bool {
        let response = next(&mut self.updates).await;
        if !response.cursor.is_empty() {
            self.cursor = response.cursor;
        }
        match response.update.unwrap() {
            Update::Row(row) => drop(self.rows.insert(id(&row), row)),
            Update::GoneConversationId(id) => drop(self.rows.remove(&id)),
            Update::CaughtUp(_) | Update::Heartbeat(_) => return false,
        }
        true
    }

    async fn until_caught_up(&mut self) {
        while self.take().await {}
    }

    async fn until(&mut self, expected: &BTreeMap<String, InboxRow>) {
        let found = timeout(Duration::from_secs(30), async {
            while self.rows != *expected {
                self.take().await;
            }
        });
        assert!(found.await.is_ok(), "{:?} instead of {expected:?}", self.rows);
    }
}

async fn c10_a_watch_goes_on_where_the_list_was_read_and_where_a_watch_was_cut(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut ada = fixture.conversations(ADA);
    let (mut rows, cursor) = list(&mut ada, &open()).await;
    assert!(rows.is_empty());
    // Between list and watch.
    let chat = fixture.chat("a").await.id;
    let updates = watch(&mut ada, &open(), &cursor).await.unwrap();
    let mut shown = Shown { rows: BTreeMap::new(), updates, cursor };
    shown.until_caught_up().await;
    assert_eq!(shown.rows.keys().collect::<Vec<_>>(), [&chat]);
    // While it is watched.
    fixture.post(&chat, "hello").await;
    (rows, _) = list(&mut ada, &open()).await;
    shown.until(&rows).await;
    // While the connection is cut.
    let Shown { rows: before, updates, cursor } = shown;
    drop(updates);
    let another = fixture.chat("b").await.id;
    close(&fixture, &chat).await;
    let updates = watch(&mut ada, &open(), &cursor).await.unwrap();
    let mut shown = Shown { rows: before, updates, cursor };
    shown.until_caught_up().await;
    assert_eq!(shown.rows.keys().collect::<Vec<_>>(), [&another]);
    assert_eq!(shown.rows, list(&mut ada, &open()).await.0);
}

async fn c9_list_and_watch_together_show_what_a_new_list_shows(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = ListConversationsRequest { statuses: vec![ConversationStatus::Closed.into()], ..all() };
    let unread = ListConversationsRequest { unread: true, ..all() };
    let first = fixture.chat("first").await;
    let channel = ListConversationsRequest { channel_ids: vec![first.channel_id.clone()], ..all() };
    let visitor_id = fixture.conversation(&first.id).await.visitor_id;
    let visitor = ListConversationsRequest { visitor_id, ..all() };
    let waiting = ListConversationsRequest { order: InboxOrder::LongestWaiting.into(), ..all() };
    let (own, unassigned) = (of(Assignee::Me(Me {})), of(Assignee::Unassigned(Unassigned {})));
    let inboxes = [all(), open(), closed, unread, channel, visitor, waiting, own, unassigned];
    let mut ada = fixture.conversations(ADA);
    let mut shown = Vec::new();
    for inbox in &inboxes {
        shown.push(Shown::open(&mut ada, inbox).await);
    }
    let second = fixture.chat("second").await;
    let bots = fixture.bot_chat("third").await;
    fixture.post(&first.id, "hello").await;
    let text = SendMessageRequest {
        chat_id: first.id.clone(),
        text: "hi".into(),
        request_id: request_id(),
        ..Default::default()
    };
    fixture.chats("first").send_message(text).await.unwrap();
    fixture.assign_ada(&bots.id, 1).await;
    crate::link_contact::link_new_contact(&fixture, &second.id).await;
    close(&fixture, &bots.id).await;
    let read = MarkReadRequest { conversation_id: first.id.clone(), sequence: 1 };
    fixture.threads(ADA).mark_read(read).await.unwrap();
    for (inbox, shown) in inboxes.iter().zip(&mut shown) {
        let (expected, _) = list(&mut ada, inbox).await;
        shown.until(&expected).await;
    }
}

async fn c10_a_change_whose_notification_was_lost_is_found(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("a").await.id;
    let mut shown = Shown::open(&mut fixture.conversations(ADA), &all()).await;
    // As by a replica whose notification is lost.
    let sql =
        "UPDATE conversations SET version = version + 1, page_title = 'Cart', last_activity_at = last_activity_at + 1";
    let tx = fixture.service.db.begin().await.unwrap();
    tx.conn().execute_unprepared(sql).await.unwrap();
    tx.commit().await.unwrap();
    let found = timeout(Duration::from_secs(30), async {
        while shown.rows[&chat].conversation.as_ref().unwrap().page_title != "Cart" {
            shown.take().await;
        }
    });
    found.await.expect("the row");
}

async fn c13_a_mark_changes_the_row_of_its_agent(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("a").await.id;
    fixture.post(&chat, "hello").await;
    let unread = ListConversationsRequest { unread: true, ..all() };
    let (mut ada, mut bob) = (fixture.conversations(ADA), fixture.conversations(BOB));
    let mut all_of_bob = Shown::open(&mut bob, &all()).await;
    let mut unread_of_bob = Shown::open(&mut bob, &unread).await;
    let mut all_of_ada = Shown::open(&mut ada, &all()).await;
    let read = MarkReadRequest { conversation_id: chat.clone(), sequence: 2 };
    fixture.threads(BOB).mark_read(read).await.unwrap();
    all_of_bob.until(&list(&mut bob, &all()).await.0).await;
    assert_eq!(all_of_bob.rows[&chat].read_state.unwrap().read_sequence, 2);
    unread_of_bob.until(&BTreeMap::new()).await;
    all_of_ada.take().await;
    assert_eq!(all_of_ada.rows[&chat].read_state.unwrap().read_sequence, 0);
    // While the connection is cut, another program of the agent marks it.
    let Shown { rows, updates, cursor } = unread_of_bob;
    drop(updates);
    let unmarked = MarkUnreadRequest { conversation_id: chat.clone(), sequence: 1 };
    fixture.threads(BOB).mark_unread(unmarked).await.unwrap();
    // The activity is older than what a watch that resumes reads again.
    let tx = fixture.service.db.begin().await.unwrap();
    let earlier = "UPDATE conversations SET last_activity_at = last_activity_at - 3600000000";
    tx.conn().execute_unprepared(earlier).await.unwrap();
    tx.commit().await.unwrap();
    let updates = watch(&mut bob, &unread, &cursor).await.unwrap();
    let mut unread_of_bob = Shown { rows, updates, cursor };
    unread_of_bob.until_caught_up().await;
    assert_eq!(unread_of_bob.rows.len(), 1);
    assert_eq!(unread_of_bob.rows, list(&mut bob, &unread).await.0);
}

async fn c10_a_cursor_is_valid_for_its_caller_and_inbox_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (mut ada, mut bob) = (fixture.conversations(ADA), fixture.conversations(BOB));
    fixture.chat("a").await;
    fixture.chat("b").await;
    let first = ListConversationsRequest { page_size: 1, ..open() };
    let page = ada.list_conversations(first.clone()).await.unwrap().into_inner();
    let cursor = page.watch_cursor;
    let next = ListConversationsRequest { page_token: page.next_page_token.clone(), ..first.clone() };
    assert_eq!(ada.list_conversations(next).await.unwrap().into_inner().watch_cursor, "");
    for refused in [
        watch(&mut bob, &open(), &cursor).await,
        watch(&mut ada, &all(), &cursor).await,
        watch(&mut ada, &open(), &page.next_page_token).await,
        watch(&mut ada, &open(), "cursor").await,
    ] {
        let refused = refused.map(drop).unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "cursor");
    }
    watch(&mut ada, &first, &cursor).await.unwrap();
}

async fn c9_a_watch_of_a_team_ends_when_its_members_change_and_a_new_list_goes_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (mut ada, team, chat) = (fixture.conversations(ADA), new_id(), fixture.chat("a").await.id);
    fixture.answer_team(team, &[ADA], 1);
    let inbox = of(Assignee::TeamId(team.to_string()));
    let mut shown = Shown::open(&mut ada, &inbox).await;
    assert!(shown.rows.is_empty());
    fixture.post(&chat, "hello").await;
    let (rows, cursor) = list(&mut ada, &inbox).await;
    assert_eq!(rows.len(), 1);
    shown.until(&rows).await;

    fixture.answer_team(team, &[BOB], 2);
    fixture.handle_members_changed(team).await;
    let ended = timeout(Duration::from_secs(30), async {
        loop {
            if let Err(ended) = shown.updates.message().await {
                return ended;
            }
        }
    });
    let ended = ended.await.expect("the end of the watch");
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Aborted, "TEAM_CHANGED"));
    let refused = watch(&mut ada, &inbox, &cursor).await.map(drop).unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "cursor");
    let mut shown = Shown::open(&mut ada, &inbox).await;
    assert!(shown.rows.is_empty(), "Bob has none");
    let of_bob = fixture.chat("b").await.id;
    fixture.threads(BOB).post_message(message(&of_bob, "hello")).await.unwrap();
    let (rows, _) = list(&mut ada, &inbox).await;
    assert_eq!(rows.len(), 1);
    shown.until(&rows).await;
}

async fn c9_a_watch_of_a_team_shows_how_chats_come_into_its_queues_and_leave_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (mut ada, team, chat) = (fixture.conversations(ADA), new_id(), fixture.chat("a").await.id);
    fixture.answer_team(team, &[ADA], 1);
    let inbox = of(Assignee::TeamId(team.to_string()));
    let mut shown = Shown::open(&mut ada, &inbox).await;
    assert!(shown.rows.is_empty());
    fixture.handle_queue_changed(&chat, 1, 1, true, &[team]).await;
    let (rows, _) = list(&mut ada, &inbox).await;
    assert_eq!(rows.len(), 1);
    shown.until(&rows).await;
    fixture.handle_queue_changed(&chat, 2, 1, true, &[]).await;
    shown.until(&BTreeMap::new()).await;

    // While the connection is cut, and the activity is older than what a watch that resumes reads again.
    let Shown { rows, updates, cursor } = shown;
    drop(updates);
    let tx = fixture.service.db.begin().await.unwrap();
    let earlier = "UPDATE conversations SET last_activity_at = last_activity_at - 3600000000";
    tx.conn().execute_unprepared(earlier).await.unwrap();
    tx.commit().await.unwrap();
    fixture.handle_queue_changed(&chat, 3, 1, true, &[team]).await;
    let updates = watch(&mut ada, &inbox, &cursor).await.unwrap();
    let mut shown = Shown { rows, updates, cursor };
    shown.until_caught_up().await;
    assert_eq!(shown.rows, list(&mut ada, &inbox).await.0);
    assert_eq!(shown.rows.len(), 1);

    // As by a replica whose notification is lost.
    let tx = fixture.service.db.begin().await.unwrap();
    let left = "UPDATE queued_conversations SET waiting = FALSE, changed_at = changed_at + 1, version = version + 1";
    tx.conn().execute_unprepared(left).await.unwrap();
    tx.commit().await.unwrap();
    shown.until(&BTreeMap::new()).await;

    // An agent of another team takes it.
    fixture.handle_queue_changed(&chat, 9, 1, true, &[team]).await;
    shown.until(&list(&mut ada, &inbox).await.0).await;
    assert_eq!(shown.rows.len(), 1);
    fixture.threads(BOB).post_message(message(&chat, "hello")).await.unwrap();
    shown.until(&BTreeMap::new()).await;
}

async fn s2_changes_of_another_account_are_not_sent(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let other = fixture.in_another_account();
    let mut others = ConversationServiceClient::new(other.as_admin());
    let mut shown = Shown::open(&mut others, &all()).await;
    let own = fixture.service.calls(fixture.account, CallerKind::Admin, "root");
    let mut own = Shown::open(&mut ConversationServiceClient::new(own), &all()).await;
    let chat = fixture.chat("a").await.id;
    own.take().await;
    assert!(own.rows.contains_key(&chat));
    assert!(timeout(SILENCE, shown.updates.message()).await.is_err());
}
