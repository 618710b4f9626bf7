//! `ChangeAssignee`: rules A1, A3, A8, C12. The assignment service is the only caller.

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::AssignmentCause,
    conversation::{
        internal::v1::{ApplyAgentRequest, ChangeAssigneeRequest, ChangeAssigneeResponse},
        v1::{AssigneeChangedEntry, Entry, entry::Content},
    },
    event::v1::AssigneeChanged,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id};
use tonic::{Code, Status};

use crate::fixture::{ADA, BOB, Fixture, ROBIN, twenty};

on_both_modes!(
    a3_a_takeover_ends_the_bots_session_and_answers_owner_epoch_and_time,
    a8_the_cause_travels_to_the_entry_and_the_event,
    a8_a_change_of_an_administrator_is_recorded_with_their_subject,
    a8_the_thread_has_the_name_of_an_administrator_and_the_event_has_none,
    c12_a_repeat_gets_the_epoch_and_time_of_the_first_call_though_the_owner_changed_since,
    a1_twenty_changes_at_one_epoch_and_one_wins,
    a1_the_same_owner_changes_nothing_and_answers_the_current_epoch,
    e3_a_closed_conversation_changes_no_owner,
    a2_an_agent_who_was_deactivated_after_the_caller_read_them_gets_nothing,
    s2_another_accounts_conversation_does_not_exist,
);

fn request(conversation: &str, expected_epoch: i32, agent: Option<uuid::Uuid>) -> ChangeAssigneeRequest {
    ChangeAssigneeRequest {
        conversation_id: conversation.into(),
        expected_epoch,
        agent_id: agent.map(|agent| agent.to_string()).unwrap_or_default(),
        agent_name: "Ada".into(),
        request_id: request_id(),
        cause: AssignmentCause::ByHand.into(),
        agent_version: 1,
        only_if_visitor_waits: false,
        administrator_name: String::new(),
    }
}

async fn change(fixture: &Fixture, request: ChangeAssigneeRequest) -> Result<ChangeAssigneeResponse, Status> {
    change_as(fixture, &format!("agent:{BOB}"), request).await
}

/// Bob makes the conversation unassigned.
pub async fn unassign(fixture: &Fixture, conversation: &str, expected_epoch: i32) {
    change(fixture, request(conversation, expected_epoch, None)).await.unwrap();
}

async fn change_as(
    fixture: &Fixture,
    actor: &str,
    request: ChangeAssigneeRequest,
) -> Result<ChangeAssigneeResponse, Status> {
    let request = fixture.on_behalf_of(actor, request);
    Ok(fixture.arbiter("assignment").change_assignee(request).await?.into_inner())
}

/// The newest entry of the thread, which records a change of owner.
async fn newest_change(fixture: &Fixture, conversation: &str) -> (Entry, AssigneeChangedEntry) {
    let entry = fixture.entries(conversation).await.pop().unwrap();
    let Some(Content::AssigneeChanged(change)) = entry.content.clone() else { panic!("{entry:?}") };
    (entry, change)
}

async fn a3_a_takeover_ends_the_bots_session_and_answers_owner_epoch_and_time(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.bot_chat("v").await;
    let changed = change(&fixture, request(&chat.id, 1, Some(ADA))).await.unwrap();
    let conversation = changed.conversation.unwrap();
    assert_eq!(conversation.assignee.unwrap().name, "Ada");
    assert_eq!((conversation.epoch, changed.epoch), (2, 2));
    assert!(conversation.bot_session.is_none());
    assert_eq!(changed.previous_owner.unwrap().id, ROBIN.to_string());
    let event = fixture.service.appended::<AssigneeChanged>().await.pop().unwrap();
    assert_eq!((event.change_time, event.ended_bot_session_id), (changed.change_time, chat.session));
    assert_eq!(event.by.unwrap().id, BOB.to_string());
}

async fn a8_the_cause_travels_to_the_entry_and_the_event(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let cause = AssignmentCause::HandedOff;
    let request = ChangeAssigneeRequest { cause: cause.into(), ..request(&chat.id, 1, Some(ADA)) };
    change(&fixture, request).await.unwrap();
    assert_eq!(fixture.service.appended::<AssigneeChanged>().await.pop().unwrap().cause(), cause);
    let (_, change) = newest_change(&fixture, &chat.id).await;
    assert_eq!((change.cause(), change.previous_owner, change.epoch), (cause, None, 2));
    assert_eq!(change.new_owner.unwrap().name, "Ada");
}

async fn a8_a_change_of_an_administrator_is_recorded_with_their_subject(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    change_as(&fixture, "admin:root@shop", request(&chat.id, 1, Some(ADA))).await.unwrap();
    let (entry, _) = newest_change(&fixture, &chat.id).await;
    let event = fixture.service.appended::<AssigneeChanged>().await.pop().unwrap();
    for by in [entry.author.unwrap(), event.by.unwrap()] {
        assert_eq!((by.kind(), by.id.as_str()), (ActorKind::Admin, "root@shop"));
    }
    assert_eq!(fixture.conversation(&chat.id).await.assignee.unwrap().kind(), ActorKind::Agent);
}

async fn a8_the_thread_has_the_name_of_an_administrator_and_the_event_has_none(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let named = |name: &str, epoch: i32, agent| ChangeAssigneeRequest {
        administrator_name: name.into(),
        ..request(&chat.id, epoch, agent)
    };
    let first = named("Olga", 1, Some(ADA));
    let answer = change_as(&fixture, "admin:root@shop", first.clone()).await.unwrap();
    let (entry, _) = newest_change(&fixture, &chat.id).await;
    assert_eq!(entry.author.unwrap().name, "Olga");
    let event = fixture.service.appended::<AssigneeChanged>().await.pop().unwrap();
    assert_eq!(event.by.unwrap().name, "");
    // A repeat with a newer token is the same request, and no name replaces the one that is known.
    let again = ChangeAssigneeRequest { administrator_name: "Olga Z".into(), ..first };
    let again = change_as(&fixture, "admin:root@shop", again).await.unwrap();
    assert_eq!((again.epoch, again.change_time), (answer.epoch, answer.change_time));
    change_as(&fixture, "admin:root@shop", named("", 2, None)).await.unwrap();
    let (entry, _) = newest_change(&fixture, &chat.id).await;
    assert_eq!(entry.author.unwrap().name, "Olga Z");
}

async fn c12_a_repeat_gets_the_epoch_and_time_of_the_first_call_though_the_owner_changed_since(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let first = request(&chat.id, 1, Some(ADA));
    let answer = change(&fixture, first.clone()).await.unwrap();
    change(&fixture, request(&chat.id, 2, Some(BOB))).await.unwrap();
    // A rename of the agent makes no other request of it.
    let again = change(&fixture, ChangeAssigneeRequest { agent_name: "Ada L.".into(), ..first.clone() }).await.unwrap();
    assert_eq!((again.epoch, again.change_time, again.previous_owner), (2, answer.change_time, None));
    // Nor does the cause, which earlier releases of the caller do not send.
    let again = change(&fixture, ChangeAssigneeRequest { cause: 0, ..first.clone() }).await.unwrap();
    assert_eq!((again.epoch, again.change_time), (2, answer.change_time));
    let other = change(&fixture, ChangeAssigneeRequest { agent_id: BOB.to_string(), ..first }).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

async fn a1_twenty_changes_at_one_epoch_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let answers = twenty(|n| change(&fixture, request(&chat.id, 1, Some(uuid::Uuid::from_u128(1 + n as u128))))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "OWNERSHIP_CHANGED"));
    }
    assert_eq!(fixture.service.appended::<AssigneeChanged>().await.len(), 1);
}

async fn a1_the_same_owner_changes_nothing_and_answers_the_current_epoch(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let unassigned = change(&fixture, request(&chat.id, 1, None)).await.unwrap();
    assert_eq!((unassigned.epoch, unassigned.change_time), (1, None));
    change(&fixture, request(&chat.id, 1, Some(ADA))).await.unwrap();
    let again = change(&fixture, request(&chat.id, 2, Some(ADA))).await.unwrap();
    assert_eq!((again.epoch, again.change_time), (2, None));
    assert_eq!(fixture.service.appended::<AssigneeChanged>().await.len(), 1);
}

async fn e3_a_closed_conversation_changes_no_owner(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    crate::close_conversation::close(&fixture, &chat.id).await;
    let refused = change(&fixture, request(&chat.id, 1, Some(ADA))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
}

async fn s2_another_accounts_conversation_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let other = fixture.in_another_account().account;
    let request = fixture.on_behalf_of_in(other, &format!("agent:{ADA}"), request(&chat.id, 1, Some(ADA)));
    let refused = fixture.arbiter("assignment").change_assignee(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn a2_an_agent_who_was_deactivated_after_the_caller_read_them_gets_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let apply = ApplyAgentRequest { agent_id: ADA.to_string(), name: "Ada".into(), active: false, version: 2 };
    let apply = fixture.on_behalf_of("service:assignment", apply);
    fixture.arbiter("assignment").apply_agent(apply).await.unwrap();
    let refused = change(&fixture, request(&chat.id, 1, Some(ADA))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "AGENT_NOT_ACTIVE"));
    assert_eq!(fixture.conversation(&chat.id).await.assignee, None);

    // Read after a reactivation that has not arrived here yet.
    let reactivated = ChangeAssigneeRequest { agent_version: 3, ..request(&chat.id, 1, Some(ADA)) };
    change(&fixture, reactivated).await.unwrap();
    fixture.post(&chat.id, "back").await;
    // A caller of the release before sends no version.
    let earlier = ChangeAssigneeRequest { agent_version: 0, ..request(&chat.id, 2, Some(BOB)) };
    assert_eq!(change(&fixture, earlier).await.unwrap().epoch, 3);
}
