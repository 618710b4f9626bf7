//! `ChangeAssignees`: rules A1, A2, A3, C12. The assignment service is the only caller.

use frontdesk_proto::{
    assignment::v1::AssignmentCause,
    conversation::internal::v1::{
        ApplyAgentRequest, ChangeAssigneeOutcome, ChangeAssigneeRequest, ChangeAssigneeResult, ChangeAssigneesRequest,
    },
    event::v1::AssigneeChanged,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, request_id};
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::fixture::{ADA, BOB, Fixture, ROBIN, twenty};

on_both_modes!(
    a1_a3_each_change_is_made_or_has_an_outcome_of_its_own,
    a1_changes_of_one_conversation_are_made_in_their_order,
    c12_a_repeat_alone_or_among_others_gets_the_first_answer,
    c12_a_change_that_changes_nothing_is_remembered_too,
    a1_twenty_batches_at_one_epoch_change_each_owner_once,
    a1_a_conversation_that_cannot_be_read_holds_up_no_other_one,
    a2_an_agent_who_was_deactivated_after_the_caller_read_them_gets_nothing,
    s2_another_accounts_conversations_are_answered_like_absent_ones,
);

fn request(conversation: &str, expected_epoch: i32, agent: Uuid) -> ChangeAssigneeRequest {
    ChangeAssigneeRequest {
        conversation_id: conversation.into(),
        expected_epoch,
        agent_id: agent.to_string(),
        agent_name: "Ada".into(),
        request_id: request_id(),
        cause: AssignmentCause::Routed.into(),
        agent_version: 1,
        only_if_visitor_waits: false,
        administrator_name: String::new(),
    }
}

async fn change(fixture: &Fixture, changes: Vec<ChangeAssigneeRequest>) -> Vec<ChangeAssigneeResult> {
    let request = fixture.on_behalf_of("service:assignment", ChangeAssigneesRequest { changes });
    fixture.arbiter("assignment").change_assignees(request).await.unwrap().into_inner().results
}

fn outcomes(results: &[ChangeAssigneeResult]) -> Vec<ChangeAssigneeOutcome> {
    results.iter().map(ChangeAssigneeResult::outcome).collect()
}

async fn owner(fixture: &Fixture, conversation: &str) -> (i32, String) {
    let now = fixture.conversation(conversation).await;
    (now.epoch, now.assignee.map(|owner| owner.id).unwrap_or_default())
}

async fn events(fixture: &Fixture) -> usize {
    fixture.service.appended::<AssigneeChanged>().await.len()
}

async fn a1_a3_each_change_is_made_or_has_an_outcome_of_its_own(mode: Mode) {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(mode).await;
    let (waits, of_bot, closed) = (fixture.chat("a").await, fixture.bot_chat("b").await, fixture.chat("c").await);
    let old = fixture.chat("d").await;
    crate::close_conversation::close(&fixture, &closed.id).await;
    fixture.assign_ada(&old.id, 1).await;
    let before = events(&fixture).await;
    let changes = vec![
        request(&waits.id, 1, ADA),
        request(&of_bot.id, 1, BOB),
        request(&closed.id, 1, ADA),
        request(&old.id, 1, BOB),
        request(&new_id().to_string(), 1, ADA),
        ChangeAssigneeRequest { only_if_visitor_waits: true, ..request(&old.id, 2, BOB) },
    ];
    let results = change(&fixture, changes.clone()).await;
    assert_eq!(outcomes(&results)[..5], [Changed, Changed, Refused, Refused, Refused]);
    assert_eq!(results[1].conversation_id, of_bot.id);
    assert_eq!((owner(&fixture, &waits.id).await, results[0].epoch), ((2, ADA.to_string()), 2));
    assert_eq!((owner(&fixture, &of_bot.id).await, results[1].epoch), ((2, BOB.to_string()), 2));
    assert!(fixture.conversation(&of_bot.id).await.bot_session.is_none());
    let published = fixture.service.appended::<AssigneeChanged>().await;
    let of_the_bot = published.iter().find(|event| event.conversation_id == of_bot.id).unwrap();
    assert_eq!(
        (of_the_bot.change_time, of_the_bot.ended_bot_session_id.as_str()),
        (results[1].change_time, of_bot.session.as_str())
    );
    assert_eq!(of_the_bot.previous_owner.as_ref().unwrap().id, ROBIN.to_string());
    assert_eq!(of_the_bot.cause(), AssignmentCause::Routed);
    // Again they change nothing.
    let made = events(&fixture).await;
    assert_eq!(change(&fixture, changes).await, results);
    assert_eq!((events(&fixture).await, made >= before + 2), (made, true));
}

async fn a1_changes_of_one_conversation_are_made_in_their_order(mode: Mode) {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let changes = vec![request(&chat.id, 1, ADA), request(&chat.id, 1, BOB), request(&chat.id, 2, BOB)];
    let results = change(&fixture, changes).await;
    assert_eq!(outcomes(&results), [Changed, Refused, Changed]);
    assert_eq!((results[0].epoch, results[2].epoch), (2, 3));
    assert_eq!((owner(&fixture, &chat.id).await, events(&fixture).await), ((3, BOB.to_string()), 2));
}

async fn c12_a_repeat_alone_or_among_others_gets_the_first_answer(mode: Mode) {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(mode).await;
    let (together, alone) = (fixture.chat("a").await, fixture.chat("b").await);
    let first = request(&together.id, 1, ADA);
    let made = change(&fixture, vec![first.clone()]).await;
    let by_itself = request(&alone.id, 1, ADA);
    let call = |request| fixture.on_behalf_of("service:assignment", request);
    let answered = fixture.arbiter("assignment").change_assignee(call(by_itself.clone())).await.unwrap().into_inner();
    // Both have other owners since.
    change(&fixture, vec![request(&together.id, 2, BOB), request(&alone.id, 2, BOB)]).await;
    let again = change(&fixture, vec![by_itself, first.clone()]).await;
    assert_eq!(again[1], made[0]);
    assert_eq!((again[0].outcome(), again[0].epoch, again[0].change_time), (Changed, 2, answered.change_time));
    let again = fixture.arbiter("assignment").change_assignee(call(first.clone())).await.unwrap().into_inner();
    assert_eq!((again.epoch, again.change_time), (2, made[0].change_time));
    let other = ChangeAssigneeRequest { agent_id: BOB.to_string(), ..first };
    assert_eq!(outcomes(&change(&fixture, vec![other]).await), [Refused], "another change");
    assert_eq!(owner(&fixture, &together.id).await, (3, BOB.to_string()));
}

async fn c12_a_change_that_changes_nothing_is_remembered_too(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.assign_ada(&chat.id, 1).await;
    let same = request(&chat.id, 2, ADA);
    let results = change(&fixture, vec![same.clone()]).await;
    assert_eq!(
        (results[0].outcome(), results[0].epoch, results[0].change_time),
        (ChangeAssigneeOutcome::Changed, 2, None)
    );
    change(&fixture, vec![request(&chat.id, 2, BOB)]).await;
    assert_eq!(change(&fixture, vec![same]).await, results);
}

async fn a1_twenty_batches_at_one_epoch_change_each_owner_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chats = [fixture.chat("a").await, fixture.chat("b").await];
    let results = twenty(|number| {
        let agent = Uuid::from_u128(1 + number as u128);
        change(&fixture, chats.iter().map(|chat| request(&chat.id, 1, agent)).collect())
    })
    .await;
    for place in 0..2 {
        let made = results.iter().filter(|results| results[place].outcome() == ChangeAssigneeOutcome::Changed);
        assert_eq!((made.count(), fixture.conversation(&chats[place].id).await.epoch), (1, 2));
    }
    assert_eq!(events(&fixture).await, 2);
}

async fn a1_a_conversation_that_cannot_be_read_holds_up_no_other_one(mode: Mode) {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(mode).await;
    let (bad, good) = (fixture.chat("bad").await, fixture.chat("good").await);
    let tx = fixture.service.db.begin().await.unwrap();
    let later = "UPDATE conversations SET close_reason = 'LATER_RELEASE' WHERE visitor_id = 'bad'";
    tx.conn().execute_unprepared(later).await.unwrap();
    tx.commit().await.unwrap();
    let results = change(&fixture, vec![request(&bad.id, 1, ADA), request(&good.id, 1, ADA)]).await;
    assert_eq!(outcomes(&results), [Failed, Changed]);
}

/// PostgreSQL: SQLite has no locks of rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_a_locked_conversation_is_not_waited_for_and_the_others_change() {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(Mode::Distributed).await;
    let (held, other) = (fixture.chat("held").await, fixture.chat("other").await);
    let changes = vec![request(&held.id, 1, ADA), request(&other.id, 1, ADA)];
    let tx = fixture.service.db.begin().await.unwrap();
    tx.conn().execute_unprepared("SELECT 1 FROM conversations WHERE visitor_id = 'held' FOR UPDATE").await.unwrap();
    assert_eq!(outcomes(&change(&fixture, changes.clone()).await), [Failed, Changed]);
    drop(tx);
    let alone = fixture.on_behalf_of("service:assignment", changes[0].clone());
    assert_eq!(fixture.arbiter("assignment").change_assignee(alone).await.unwrap().into_inner().epoch, 2);
    assert_eq!(outcomes(&change(&fixture, changes).await), [Changed, Changed]);
    assert_eq!(events(&fixture).await, 2);
}

async fn a2_an_agent_who_was_deactivated_after_the_caller_read_them_gets_nothing(mode: Mode) {
    use ChangeAssigneeOutcome::*;
    let fixture = Fixture::start(mode).await;
    let (first, second) = (fixture.chat("a").await, fixture.chat("b").await);
    let apply = ApplyAgentRequest { agent_id: ADA.to_string(), name: "Ada".into(), active: false, version: 2 };
    let apply = fixture.on_behalf_of("service:assignment", apply);
    fixture.arbiter("assignment").apply_agent(apply).await.unwrap();
    let results = change(&fixture, vec![request(&first.id, 1, ADA), request(&second.id, 1, BOB)]).await;
    assert_eq!(outcomes(&results), [AgentNotActive, Changed]);
    assert_eq!(owner(&fixture, &first.id).await, (1, String::new()));
    // Read after a reactivation that has not arrived here yet.
    let reactivated = ChangeAssigneeRequest { agent_version: 3, ..request(&first.id, 1, ADA) };
    assert_eq!(outcomes(&change(&fixture, vec![reactivated]).await), [Changed]);
    fixture.post(&first.id, "back").await;
}

async fn s2_another_accounts_conversations_are_answered_like_absent_ones(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let other = fixture.in_another_account().account;
    let changes = vec![request(&chat.id, 1, ADA), request(&new_id().to_string(), 1, ADA)];
    let request = fixture.on_behalf_of_in(other, "service:assignment", ChangeAssigneesRequest { changes });
    let results = fixture.arbiter("assignment").change_assignees(request).await.unwrap().into_inner().results;
    assert_eq!(outcomes(&results), [ChangeAssigneeOutcome::Refused; 2]);
    assert_eq!(owner(&fixture, &chat.id).await, (1, String::new()));
}
