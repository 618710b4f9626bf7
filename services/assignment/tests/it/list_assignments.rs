use frontdesk_proto::assignment::v1::{GetAssignmentRequest, ListAssignmentsRequest};
use frontdesk_testkit::Mode;
use tonic::Code;
use uuid::Uuid;

use crate::fixture::{Fixture, account, assign, take_over, unassign};

frontdesk_testkit::on_both_modes! {
    a8_the_history_says_who_from_when_to_when_by_whom_and_why,
    a8_the_history_is_read_in_pages_oldest_first_and_a_page_knows_when_its_last_period_ended,
    s2_another_account_reads_no_history,
}

fn list(conversation: Uuid) -> ListAssignmentsRequest {
    ListAssignmentsRequest { conversation_id: conversation.to_string(), ..ListAssignmentsRequest::default() }
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

async fn a8_the_history_is_read_in_pages_oldest_first_and_a_page_knows_when_its_last_period_ended(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let (conversation, other) = (service.conversation(), service.conversation());
    let mut calls = service.calls_of(here, &ada);
    for (epoch, agent) in [(1, &ada), (2, &bob), (3, &ada), (4, &bob), (5, &ada)] {
        let change = assign(conversation, agent, epoch, &format!("{epoch}"));
        calls.assign_conversation(change).await.unwrap();
    }
    calls.take_over_conversation(take_over(other, 1, "other")).await.unwrap();
    let all = service.history(here, conversation).await;
    assert_eq!(all.iter().map(|assignment| assignment.epoch).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);

    let (mut read, mut sizes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListAssignmentsRequest { page_size: 2, page_token, ..list(conversation) };
        let page = calls.list_assignments(request).await.unwrap().into_inner();
        sizes.push(page.assignments.len());
        read.extend(page.assignments);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(read, all, "each with the end of its period");

    let first = ListAssignmentsRequest { page_size: 2, ..list(conversation) };
    let page_token = calls.list_assignments(first).await.unwrap().into_inner().next_page_token;
    let of_other = calls.list_assignments(ListAssignmentsRequest { page_token, ..list(other) }).await;
    assert_eq!(of_other.unwrap_err().code(), Code::InvalidArgument, "a token is of one conversation");
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
    assert!(calls.list_assignments(list(conversation)).await.unwrap().into_inner().assignments.is_empty());
}
