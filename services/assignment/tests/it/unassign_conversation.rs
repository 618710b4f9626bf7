use frontdesk_proto::assignment::v1::AssignmentCause;
use frontdesk_testkit::{Mode, new_id};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection, take_over, unassign};

frontdesk_testkit::on_both_modes! {
    a2_an_agent_leaves_a_conversation_unassigned_and_a_repeat_changes_nothing,
    a1_an_old_epoch_is_rejected_and_an_unassigned_conversation_stays_as_it_is,
    a1_twenty_agents_leave_a_conversation_and_one_ends_the_epoch,
    s2_a_conversation_of_another_account_is_not_found,
}

async fn a2_an_agent_leaves_a_conversation_unassigned_and_a_repeat_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    let first = calls.unassign_conversation(unassign(conversation, 2, "2")).await.unwrap().into_inner();
    let repeat = calls.unassign_conversation(unassign(conversation, 2, "2")).await.unwrap().into_inner();
    assert_eq!(first, repeat);
    let assignment = first.assignment.unwrap();
    assert_eq!((assignment.epoch, &assignment.owner), (3, &None));
    assert_eq!((assignment.by.clone().unwrap().id, assignment.cause()), (ada.id, AssignmentCause::ByHand));
    assert_eq!(service.history(here, conversation).await.last(), Some(&assignment));
}

async fn a1_an_old_epoch_is_rejected_and_an_unassigned_conversation_stays_as_it_is(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    let same = calls.unassign_conversation(unassign(conversation, 1, "1")).await.unwrap().into_inner();
    assert_eq!(same.assignment.unwrap().epoch, 1);
    calls.take_over_conversation(take_over(conversation, 1, "2")).await.unwrap();
    let late = calls.unassign_conversation(unassign(conversation, 1, "3")).await.unwrap_err();
    assert_eq!(rejection(&late), (Code::Aborted, "OWNERSHIP_CHANGED".into()));
    assert_eq!(service.owner(conversation), (2, ada.id));
}

async fn a1_twenty_agents_leave_a_conversation_and_one_ends_the_epoch(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation_of(&ada);
    let mut leaves = JoinSet::new();
    for number in 0..20 {
        let agent = service.agent(here, &format!("agent{number}")).await;
        let mut calls = service.calls_of(here, &agent);
        leaves.spawn(async move { calls.unassign_conversation(unassign(conversation, 1, "mine")).await });
    }
    let left = leaves.join_all().await.into_iter().filter(Result::is_ok).count();
    assert_eq!(left, 1);
    assert_eq!(service.owner(conversation), (2, String::new()));
    assert_eq!(service.history(here, conversation).await.len(), 1);
}

async fn s2_a_conversation_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let rejected = service.calls_of(here, &ada).unassign_conversation(unassign(new_id(), 1, "1")).await.unwrap_err();
    assert_eq!(rejection(&rejected), (Code::NotFound, "NOT_FOUND".into()), "as the conversation service answers it");
}
