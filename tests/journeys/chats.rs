//! Chats between visitors and agents.

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{
        AssignConversationRequest, AssignmentCause, ListAssignmentsRequest, TakeOverConversationRequest,
        UnassignConversationRequest, assignment_service_client::AssignmentServiceClient,
    },
    conversation::v1::{
        AssigneeFilter, CloseConversationRequest, CloseReason, ConversationStatus, Entry, GetChatRequest,
        ListConversationsRequest, PostCommentRequest, PostMessageRequest, ReopenConversationRequest,
        SendMessageRequest, StartChatRequest, WatchChatRequest, WatchThreadRequest,
        assignee_filter::{Assignee, Me, Unassigned},
        chat_entry,
        conversation_service_client::ConversationServiceClient,
        entry::Content,
        thread_service_client::ThreadServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, next_entry, reason, request_id, wait_for};
use tonic::Code;

fn message(conversation: &str, text: &str) -> PostMessageRequest {
    PostMessageRequest {
        conversation_id: conversation.into(),
        text: text.into(),
        request_id: request_id(),
        ..Default::default()
    }
}

async fn close(agent: &As, id: &str) -> frontdesk_proto::conversation::v1::Conversation {
    let request = CloseConversationRequest { conversation_id: id.into(), ..Default::default() };
    let answer = ConversationServiceClient::new(agent.clone()).close_conversation(request).await.unwrap();
    answer.into_inner().conversation.unwrap()
}

#[tokio::test]
async fn c1_c2a_c3_a_chat_keeps_its_page_and_gapless_sequences() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let start = StartChatRequest {
        channel_id: channel.clone(),
        page_url: "https://shop.example/a?b=c#d".into(),
        page_title: "A – B".into(),
        text: "first".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut visitor = VisitorServiceClient::new(account.visitor("v"));
    let chat = visitor.start_chat(start.clone()).await.unwrap().into_inner().chat.unwrap();
    let again = StartChatRequest {
        page_url: "https://other.example/".into(),
        text: "second".into(),
        request_id: request_id(),
        ..start
    };
    let same = visitor.start_chat(again).await.unwrap().into_inner().chat.unwrap();
    assert_eq!(chat.id, same.id, "C2a: the second start returns the open conversation");

    let conversation = Account::conversation(&agent, &chat.id).await;
    assert_eq!(
        (conversation.page_url.as_str(), conversation.page_title.as_str()),
        ("https://shop.example/a?b=c#d", "A – B")
    );
    let mut threads = ThreadServiceClient::new(agent.clone());
    let comment = PostCommentRequest {
        conversation_id: chat.id.clone(),
        text: "hidden".into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_comment(comment).await.unwrap();
    threads.post_message(message(&chat.id, "hello")).await.unwrap();

    let thread = Account::thread(&agent, &chat.id).await;
    assert!((1..).zip(&thread).all(|(number, entry)| entry.sequence == number), "{thread:?}");
    let visible: Vec<i32> = thread.iter().map(|entry| entry.visitor_sequence).filter(|number| *number > 0).collect();
    assert_eq!(visible, [1, 2, 3, 4], "two messages, the change of owner, hello");
    assert!(
        thread.iter().any(|entry| matches!(entry.content, Some(Content::Comment(_))) && entry.visitor_sequence == 0)
    );
}

#[tokio::test]
async fn c4_c12_text_is_stored_normalised_and_other_forms_of_it_repeat_the_request() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let (as_sent, as_kept) =
        ("Ame\u{301}lie\r\n\u{202E}hi\rthere \u{2067}שלום\u{2069}", "Amélie\nhi\nthere \u{2067}שלום\u{2069}");

    let sent = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: as_sent.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
    let first = visitor.send_message(sent.clone()).await.unwrap().into_inner().entry.unwrap();
    let Some(chat_entry::Content::Message(message_kept)) = &first.content else { panic!("{first:?}") };
    assert_eq!(message_kept.text, as_kept);
    let again = visitor.send_message(SendMessageRequest { text: as_kept.into(), ..sent.clone() }).await.unwrap();
    assert_eq!(again.into_inner().entry.unwrap(), first, "C12: the same text in another form is the same request");
    let other = SendMessageRequest { text: "Amelie\nhi\nthere".into(), ..sent };
    assert_eq!(reason(&visitor.send_message(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    let mut threads = ThreadServiceClient::new(agent.clone());
    let reply = message(&chat.id, as_sent);
    let first = threads.post_message(reply.clone()).await.unwrap().into_inner().entry.unwrap();
    let again = threads.post_message(PostMessageRequest { text: as_kept.into(), ..reply }).await.unwrap();
    assert_eq!(again.into_inner().entry.unwrap(), first);
    let texts = Account::thread(&agent, &chat.id).await.into_iter().filter_map(|entry| match entry.content {
        Some(Content::Message(message)) => Some(message.text),
        _ => None,
    });
    assert_eq!(texts.collect::<Vec<_>>(), [as_kept, as_kept]);

    // A text that is empty after normalisation is refused as empty.
    let empty = threads.post_message(message(&chat.id, "\u{202E}\u{FEFF}")).await.unwrap_err();
    assert_eq!((empty.code(), reason(&empty).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
}

#[tokio::test]
async fn c11_a1_a8_the_first_agent_to_reply_becomes_the_owner_and_the_history_records_it() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let (bob, other) = account.agent("Bob").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    ThreadServiceClient::new(agent.clone()).post_message(message(&chat.id, "hello")).await.unwrap();
    let owned = Account::conversation(&agent, &chat.id).await;
    assert_eq!((owned.assignee.unwrap().id, owned.epoch), (ada.to_string(), 2));

    let mut assignment = AssignmentServiceClient::new(other.clone());
    let take =
        TakeOverConversationRequest { conversation_id: chat.id.clone(), expected_epoch: 2, request_id: request_id() };
    let first = assignment.take_over_conversation(take.clone()).await.unwrap().into_inner();
    let repeat = assignment.take_over_conversation(take).await.unwrap().into_inner();
    assert_eq!(
        first.assignment.unwrap().epoch,
        repeat.assignment.unwrap().epoch,
        "C12: a repeat gets the first answer"
    );
    let stale =
        UnassignConversationRequest { conversation_id: chat.id.clone(), expected_epoch: 2, request_id: request_id() };
    let refused = assignment.unassign_conversation(stale.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "OWNERSHIP_CHANGED"));
    assignment
        .unassign_conversation(UnassignConversationRequest { expected_epoch: 3, request_id: request_id(), ..stale })
        .await
        .unwrap();

    let history = wait_for("four assignments", || async {
        let request = ListAssignmentsRequest { conversation_id: chat.id.clone(), ..Default::default() };
        let list =
            AssignmentServiceClient::new(agent.clone()).list_assignments(request).await.ok()?.into_inner().assignments;
        (list.len() == 4 && list[..3].iter().all(|assignment| assignment.end_time.is_some())).then_some(list)
    })
    .await;
    let owners: Vec<String> =
        history.iter().map(|assignment| assignment.owner.clone().unwrap_or_default().id).collect();
    assert_eq!(owners, [String::new(), ada.to_string(), bob.to_string(), String::new()]);
    assert!(history[3].end_time.is_none());
    assert_eq!(history[3].owner, None, "A1: unassigned");
    assert_eq!(history[0].cause(), AssignmentCause::Started);
    assert!(history[1..].iter().all(|assignment| assignment.cause() == AssignmentCause::ByHand));
}

/// A change of the owner: epoch, owner, by whom, why and when.
type OwnerChange = (i32, Option<String>, String, AssignmentCause, Option<prost_types::Timestamp>);

/// The changes of the owner that the thread has.
fn owner_changes(thread: &[Entry]) -> Vec<OwnerChange> {
    let change = |entry: &Entry| {
        let by = entry.author.clone().unwrap_or_default().id;
        let (epoch, owner, cause) = match entry.content.as_ref()? {
            Content::AssigneeChanged(changed) => {
                (changed.epoch, changed.new_owner.as_ref().map(|owner| owner.id.clone()), changed.cause())
            }
            Content::HandedOff(handed_off) => (handed_off.epoch, None, AssignmentCause::HandedOff),
            // The agent who reopens it owns it.
            Content::Reopened(reopened) => (reopened.epoch, Some(by.clone()), AssignmentCause::Reopened),
            _ => return None,
        };
        Some((epoch, owner, by, cause, entry.create_time))
    };
    thread.iter().filter_map(change).collect()
}

#[tokio::test]
async fn a8_the_history_says_of_each_owner_what_the_thread_says() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let (_, other) = account.agent("Bob").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    chat.say("vera@x.example").await.unwrap();
    chat.until_text("Which?").await;
    chat.say("people").await.unwrap();
    wait_for("the hand-off", || async {
        Account::conversation(&agent, &chat.id).await.bot_session.is_none().then_some(())
    })
    .await;
    // A reply, a takeover, an unassignment, an assignment by an administrator, and a reopening by another agent.
    ThreadServiceClient::new(agent.clone()).post_message(message(&chat.id, "hello")).await.unwrap();
    let mut assignments = AssignmentServiceClient::new(other.clone());
    let take =
        TakeOverConversationRequest { conversation_id: chat.id.clone(), expected_epoch: 3, request_id: request_id() };
    assignments.take_over_conversation(take).await.unwrap();
    let leave =
        UnassignConversationRequest { conversation_id: chat.id.clone(), expected_epoch: 4, request_id: request_id() };
    assignments.unassign_conversation(leave).await.unwrap();
    let assign = AssignConversationRequest {
        conversation_id: chat.id.clone(),
        agent_id: ada.to_string(),
        expected_epoch: 5,
        request_id: request_id(),
    };
    AssignmentServiceClient::new(account.admin()).assign_conversation(assign).await.unwrap();
    close(&agent, &chat.id).await;
    let reopen = ReopenConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(other.clone()).reopen_conversation(reopen).await.unwrap();
    close(&other, &chat.id).await;
    suite.settled().await;

    let thread = Account::thread(&agent, &chat.id).await;
    let request = ListAssignmentsRequest { conversation_id: chat.id.clone(), ..Default::default() };
    let history = assignments.list_assignments(request).await.unwrap().into_inner().assignments;
    let changes: Vec<_> = history[1..]
        .iter()
        .map(|period| {
            let owner = period.owner.as_ref().map(|owner| owner.id.clone());
            let by = period.by.clone().unwrap_or_default().id;
            (period.epoch, owner, by, period.cause(), period.start_time)
        })
        .collect();
    assert_eq!(changes, owner_changes(&thread));
    assert_eq!(history.iter().map(|period| period.epoch).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    // The closes end the last two periods, and the next change each of the others.
    let closes = thread.iter().filter(|entry| matches!(entry.content, Some(Content::Closed(_))));
    let next = history[1..6].iter().map(|period| period.start_time);
    let ends: Vec<_> = next.chain(closes.map(|entry| entry.create_time)).collect();
    assert_eq!(history.iter().map(|period| period.end_time).collect::<Vec<_>>(), ends);
}

#[tokio::test]
async fn c12_a_retry_posts_once_and_other_content_is_refused() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
    let say = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "once".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let first = visitor.send_message(say.clone()).await.unwrap().into_inner();
    close(&agent, &chat.id).await;
    let again = visitor.send_message(say.clone()).await.unwrap().into_inner();
    assert_eq!(first, again, "a repeat gets the first response after the close too");
    let other = visitor.send_message(SendMessageRequest { text: "twice".into(), ..say.clone() }).await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    let messages = Account::thread(&agent, &chat.id)
        .await
        .into_iter()
        .filter(|entry| matches!(entry.content, Some(Content::Message(_))));
    assert_eq!(messages.count(), 1);
}

#[tokio::test]
async fn e1_e3_e4_e5_a_chat_is_closed_reopened_and_started_anew() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.say("hello").await.unwrap();
    let closed = close(&agent, &chat.id).await;
    assert_eq!(
        (closed.status(), closed.close_number, closed.close_reason()),
        (ConversationStatus::Closed, 1, CloseReason::Agent)
    );
    let again = close(&agent, &chat.id).await;
    assert_eq!(again, closed, "E5: closing a closed conversation changes nothing");
    let refused = chat.say("more").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));

    let mut conversations = ConversationServiceClient::new(agent.clone());
    let reopen = ReopenConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    let open = conversations.reopen_conversation(reopen.clone()).await.unwrap().into_inner().conversation.unwrap();
    assert_eq!((open.status(), open.assignee.unwrap().id), (ConversationStatus::Open, ada.to_string()));
    chat.say("more").await.unwrap();
    assert_eq!(close(&agent, &chat.id).await.close_number, 2, "E4: each close has its number");
    assert_eq!(Account::explained(&agent, &chat.id, 1).await.decision.unwrap().close_number, 1);
    assert_eq!(Account::explained(&agent, &chat.id, 2).await.decision.unwrap().close_number, 2);

    // C12: a repeated close that arrives after a reopening gets the first response and closes nothing.
    let retried =
        CloseConversationRequest { conversation_id: chat.id.clone(), request_id: request_id(), ..Default::default() };
    conversations.close_conversation(retried.clone()).await.unwrap();
    conversations.reopen_conversation(reopen.clone()).await.unwrap();
    let late = conversations.close_conversation(retried).await.unwrap().into_inner().conversation.unwrap();
    assert_eq!(late.status(), ConversationStatus::Open);
    close(&agent, &chat.id).await;

    let anew = account.start_chat(account.visitor("v"), &channel).await;
    assert_ne!(anew.id, chat.id);
    let request = GetChatRequest { chat_id: anew.id.clone() };
    let next =
        VisitorServiceClient::new(anew.visitor.clone()).get_chat(request).await.unwrap().into_inner().chat.unwrap();
    assert_eq!(next.previous_chat_id, chat.id, "E3: the new conversation names the previous one");
    let refused = conversations.reopen_conversation(reopen).await.unwrap_err();
    assert_eq!(reason(&refused), "NEWER_CONVERSATION_OPEN");
}

#[tokio::test]
async fn c9_the_inbox_lists_by_owner_and_status_in_pages_newest_first() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(account.start_chat(account.visitor(&format!("v{number}")), &channel).await.id);
    }
    ids.reverse();
    let of = |assignee| AssigneeFilter { assignee: Some(assignee) };
    let mut inbox = ConversationServiceClient::new(agent.clone());
    let unassigned = vec![of(Assignee::Unassigned(Unassigned {}))];
    let first = ListConversationsRequest { page_size: 2, assignees: unassigned, ..Default::default() };
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let page = ListConversationsRequest { page_token: token.clone(), ..first.clone() };
        let page = inbox.list_conversations(page).await.unwrap().into_inner();
        seen.extend(page.rows.into_iter().map(|row| row.conversation.unwrap().id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids);
    ThreadServiceClient::new(agent.clone()).post_message(message(&ids[4], "mine")).await.unwrap();
    let mine = ListConversationsRequest { assignees: vec![of(Assignee::Me(Me {}))], ..Default::default() };
    let mine = inbox.list_conversations(mine).await.unwrap().into_inner().rows;
    let found: Vec<_> = mine.iter().map(|row| row.conversation.as_ref().unwrap().id.as_str()).collect();
    assert_eq!(found, [ids[4].as_str()]);
    let last = mine[0].last_entry.clone().unwrap();
    assert!(matches!(last.content, Some(Content::Message(message)) if message.text == "mine"), "the newest message");

    let page = inbox.list_conversations(first.clone()).await.unwrap().into_inner();
    let statuses = vec![ConversationStatus::Open.into()];
    let swapped = ListConversationsRequest { page_token: page.next_page_token, statuses, ..first };
    let refused = inbox.list_conversations(swapped).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "a page token of another filter is refused");
}

#[tokio::test]
async fn c10_watches_resume_by_sequence_without_gap_or_repeat() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let writer = tokio::spawn({
        let chat = chat.clone();
        async move {
            for number in 0..60 {
                chat.say(&format!("m{number}")).await.unwrap();
            }
        }
    });
    // The watcher reconnects after every seven entries, with the last sequence that it received.
    let (mut cursor, mut texts) = (0, Vec::new());
    while texts.len() < 60 {
        let request = WatchThreadRequest { conversation_id: chat.id.clone(), after_sequence: cursor };
        let mut lines = ThreadServiceClient::new(agent.clone()).watch_thread(request).await.unwrap().into_inner();
        for _ in 0..7.min(60 - texts.len()) {
            let entry = next_entry(&mut lines).await.unwrap().unwrap();
            assert_eq!(entry.sequence, cursor + 1);
            cursor = entry.sequence;
            let Some(Content::Message(message)) = entry.content else { panic!("messages only") };
            texts.push(message.text);
        }
    }
    writer.await.unwrap();
    assert_eq!(texts, (0..60).map(|number| format!("m{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn c7_s3_no_internal_content_reaches_the_visitor() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (ada, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "vera@visitor.example"), &channel).await;
    let mut threads = ThreadServiceClient::new(agent.clone());
    let comment = |text: &str| PostCommentRequest {
        conversation_id: chat.id.clone(),
        text: text.into(),
        request_id: request_id(),
        ..Default::default()
    };
    threads.post_comment(comment("CANARY-COMMENT")).await.unwrap();
    threads.post_message(message(&chat.id, "hello")).await.unwrap();
    threads.post_comment(comment("CANARY-COMMENT")).await.unwrap();
    close(&agent, &chat.id).await;
    threads.post_comment(comment("CANARY-COMMENT")).await.unwrap();

    let lines = chat.until("the end", |line| matches!(line.content, Some(chat_entry::Content::Ended(_)))).await;
    assert!(
        (1..).zip(&lines).all(|(number, line)| line.visitor_sequence == number),
        "dense: no gap tells of hidden activity"
    );
    let fetched = VisitorServiceClient::new(chat.visitor.clone())
        .get_chat(GetChatRequest { chat_id: chat.id.clone() })
        .await
        .unwrap();
    let wire = format!("{lines:?} {fetched:?}");
    for internal in ["CANARY", &ada.to_string(), "epoch", "vera@visitor.example"] {
        assert!(!wire.contains(internal), "{internal} in {wire}");
    }
    let thread = Account::thread(&agent, &chat.id).await;
    assert_eq!(thread.iter().filter(|entry| matches!(entry.content, Some(Content::Comment(_)))).count(), 3);
    assert!(thread.iter().any(|entry| {
        entry.author.as_ref().is_some_and(|author| author.kind() == ActorKind::Agent && author.name == "Ada")
    }));
}

#[tokio::test]
async fn s3_another_visitors_chat_is_not_found() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let thief = Chat { visitor: account.visitor("w"), id: chat.id.clone() };
    let absent = Chat { visitor: account.visitor("w"), id: request_id() };
    let (taken, missing) = (thief.say("hi").await.unwrap_err(), absent.say("hi").await.unwrap_err());
    assert_eq!(
        (taken.code(), taken.message(), taken.details()),
        (Code::NotFound, missing.message(), missing.details())
    );
    let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
    assert_eq!(
        VisitorServiceClient::new(thief.visitor.clone()).watch_chat(request).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn c4_text_keeps_line_breaks_and_pages_of_large_threads_fit_client_limits() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let lines = "one\n\n  two\ttabs 💥 Grüße";
    chat.say(lines).await.unwrap();
    assert_eq!(chat.say(" \n ").await.unwrap_err().code(), Code::InvalidArgument, "a message says something");
    let large = "💥".repeat(10_000);
    for _ in 0..120 {
        chat.say(&large).await.unwrap();
    }
    let (mut after, mut seen, mut pages) = (0, 0, 0);
    loop {
        let request = frontdesk_proto::conversation::v1::ListEntriesRequest {
            conversation_id: chat.id.clone(),
            after_sequence: after,
            page_size: 1_000,
            ..Default::default()
        };
        // Clients accept messages of up to 4 MiB by default.
        let page = ThreadServiceClient::new(agent.clone()).list_entries(request).await.unwrap().into_inner();
        assert!(page.entries.iter().zip(after + 1..).all(|(entry, number)| entry.sequence == number));
        if after == 0 {
            assert!(matches!(&page.entries[0].content, Some(Content::Message(message)) if message.text == lines));
        }
        seen += page.entries.len();
        pages += 1;
        after = page.entries.last().map_or(after, |entry| entry.sequence);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(seen, 121);
    assert!(pages > 1);
}

#[tokio::test]
async fn e2a_a_message_racing_a_close_is_stored_before_it_or_refused() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    for round in 0..20 {
        let chat = account.start_chat(account.visitor(&format!("v{round}")), &channel).await;
        let (said, _) = tokio::join!(chat.say("wait!"), close(&agent, &chat.id));
        let thread = Account::thread(&agent, &chat.id).await;
        assert!(
            matches!(thread.last().and_then(|entry| entry.content.as_ref()), Some(Content::Closed(_))),
            "nothing after the close"
        );
        assert_eq!(said.is_ok(), thread.len() == 2, "accepted and stored, or refused and not stored: {thread:?}");
    }
}
