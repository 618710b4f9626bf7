use frontdesk_proto::assignment::v1::{GetAssignmentRequest, ListAssignmentsRequest};
use frontdesk_testkit::Mode;
use tonic::Code;

use crate::fixture::{Fixture, account, assign, take_over, unassign};

frontdesk_testkit::on_both_modes! {
    a8_the_history_says_who_from_when_to_when_by_whom_and_why,
    s2_another_account_reads_no_history,
}

async fn a8_the_history_says_who_from_when_to_when_by_whom_and_why(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let conversation = service.conversation();
    let mut calls = service.calls_of(here, &ada);
    let mut answers = Vec::new();
    answers.push(calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap().into_inner().assignment);
    answers.push(calls.assign_conversation(assign(conversation, &bob, 2, "2")).await.unwrap().into_inner().assignment);
    answers.push(calls.unassign_conversation(unassign(conversation, 3, "3")).await.unwrap().into_inner().assignment);

    let mut history = service.history(here, conversation).await;
    let owners: Vec<_> = history
        .iter()
        .map(|line| (line.epoch, line.owner.as_ref().map(|owner| owner.name.as_str()).unwrap_or_default()))
        .collect();
    assert_eq!(owners, [(2, "ADA"), (3, "BOB"), (4, "")]);
    assert!(history.iter().all(|assignment| assignment.by.as_ref().unwrap().name == "ADA"));
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    let now = calls.get_assignment(get).await.unwrap().into_inner().assignment.unwrap();
    assert_eq!((now.owner, now.end_time), (None, None));

    assert_eq!(history[0].end_time, history[1].start_time);
    assert_eq!(history[1].end_time, history[2].start_time);
    // What the commands answered is what the history holds, but for the ends that came later.
    history.iter_mut().for_each(|assignment| assignment.end_time = None);
    assert_eq!(answers.into_iter().flatten().collect::<Vec<_>>(), history);
}

async fn s2_another_account_reads_no_history(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (ada, zed) = (service.agent(here, "ada").await, service.agent(there, "zed").await);
    let conversation = service.conversation();
    service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();

    let mut calls = service.calls_of(there, &zed);
    let get = GetAssignmentRequest { conversation_id: conversation.to_string() };
    assert_eq!(calls.get_assignment(get).await.unwrap_err().code(), Code::NotFound);
    let list = ListAssignmentsRequest { conversation_id: conversation.to_string() };
    assert!(calls.list_assignments(list).await.unwrap().into_inner().assignments.is_empty());
}
