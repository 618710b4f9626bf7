//! The local copy of teams, and the inbox of a team: rule C9.

use frontdesk_proto::{
    assignment::v1::{GetTeamRequest, GetTeamResponse, Team},
    conversation::v1::{
        AssigneeFilter, ConversationStatus, ListConversationsRequest,
        assignee_filter::{Assignee, Unassigned},
        conversation_service_client::ConversationServiceClient,
    },
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    close_conversation::close,
    fixture::{ADA, BOB, Fixture, message},
};

on_both_modes!(
    c9_the_inbox_of_a_team_has_the_conversations_of_its_members,
    c9_members_who_join_and_leave_change_the_inbox_and_an_older_answer_changes_nothing,
    c9_the_inbox_of_a_large_team_is_complete_in_pages_and_in_its_order,
    c9_an_inbox_of_a_team_that_no_copy_knows_needs_the_roster,
    an_event_about_a_team_that_does_not_exist_holds_nothing_up,
    s2_the_team_of_another_account_has_no_conversations,
);

fn of(assignees: impl IntoIterator<Item = Assignee>) -> ListConversationsRequest {
    let assignees = assignees.into_iter().map(|assignee| AssigneeFilter { assignee: Some(assignee) });
    ListConversationsRequest { assignees: assignees.collect(), ..ListConversationsRequest::default() }
}

fn of_team(team: Uuid) -> ListConversationsRequest {
    of([Assignee::TeamId(team.to_string())])
}

/// Ids of all pages, in their order.
async fn list(fixture: &Fixture, mut request: ListConversationsRequest) -> Result<Vec<String>, Status> {
    let mut ids = Vec::new();
    loop {
        let page = fixture.conversations(ADA).list_conversations(request.clone()).await?.into_inner();
        ids.extend(page.rows.into_iter().map(|row| row.conversation.unwrap().id));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}

/// A chat of this agent.
async fn chat_of(fixture: &Fixture, agent: Uuid, visitor: &str) -> String {
    let id = fixture.chat(visitor).await.id;
    fixture.threads(agent).post_message(message(&id, "hello")).await.unwrap();
    id
}

async fn c9_the_inbox_of_a_team_has_the_conversations_of_its_members(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    let (ada, bob) = (chat_of(&fixture, ADA, "a").await, chat_of(&fixture, BOB, "b").await);
    let unassigned = fixture.chat("c").await.id;
    let closed = chat_of(&fixture, ADA, "d").await;
    close(&fixture, &closed).await;
    fixture.answer_team(team, &[ADA], 3);
    assert_eq!(list(&fixture, of_team(team)).await.unwrap(), [closed.as_str(), ada.as_str()]);
    let open = ListConversationsRequest { statuses: vec![ConversationStatus::Open.into()], ..of_team(team) };
    assert_eq!(list(&fixture, open).await.unwrap(), [ada.as_str()]);
    let nobody = Assignee::Unassigned(Unassigned {});
    let with_unassigned = of([Assignee::TeamId(team.to_string()), nobody, Assignee::AgentId(BOB.to_string())]);
    let mut all = [&ada, &bob, &unassigned, &closed].map(String::clone);
    let mut listed = list(&fixture, with_unassigned).await.unwrap();
    all.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, all);
    assert_eq!(fixture.service.fake.calls::<GetTeamRequest>(), 1, "it is asked for a team that the copy lacks");

    assert!(list(&fixture, of_team(new_id())).await.unwrap().is_empty(), "an unknown team has no members");
    let two = of([team, new_id()].map(|team| Assignee::TeamId(team.to_string())));
    let refused = list(&fixture, two).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
}

async fn c9_members_who_join_and_leave_change_the_inbox_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    let (ada, bob) = (chat_of(&fixture, ADA, "a").await, chat_of(&fixture, BOB, "b").await);
    let steps: [(&[Uuid], i32, &[&String]); 5] = [
        (&[ADA], 2, &[&ada]),
        (&[ADA, BOB], 3, &[&bob, &ada]),
        (&[ADA], 2, &[&bob, &ada]),
        (&[BOB], 5, &[&bob]),
        (&[], 6, &[]),
    ];
    for (members, version, expected) in steps {
        fixture.answer_team(team, members, version);
        for _ in 0..2 {
            fixture.handle_members_changed(team).await;
            let listed = list(&fixture, of_team(team)).await.unwrap();
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "version {version}");
        }
    }
    let deleted = Team {
        id: team.to_string(),
        version: 7,
        delete_time: Some(prost_types::Timestamp::default()),
        ..Team::default()
    };
    fixture.service.fake.on(move |_: Request<GetTeamRequest>| {
        Ok(GetTeamResponse { team: Some(deleted.clone()), agent_ids: vec![ADA.to_string()] })
    });
    fixture.handle_members_changed(team).await;
    assert!(list(&fixture, of_team(team)).await.unwrap().is_empty(), "a deleted team matches nothing");
}

async fn c9_the_inbox_of_a_large_team_is_complete_in_pages_and_in_its_order(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    let mut newest_first = Vec::new();
    for (number, agent) in [ADA, BOB, BOB, ADA, BOB, ADA].into_iter().enumerate() {
        newest_first.insert(0, chat_of(&fixture, agent, &format!("v{number}")).await);
    }
    // With two statuses each, they need several statements.
    let mut members: Vec<Uuid> = (0..498).map(|_| new_id()).collect();
    members.extend([ADA, BOB]);
    fixture.answer_team(team, &members, 1);
    let pages = ListConversationsRequest { page_size: 2, ..of_team(team) };
    assert_eq!(list(&fixture, pages).await.unwrap(), newest_first);
    let visitor_id = fixture.conversation(&newest_first[0]).await.visitor_id;
    let of_visitor = ListConversationsRequest { visitor_id, ..of_team(team) };
    assert_eq!(list(&fixture, of_visitor).await.unwrap(), newest_first[..1]);
}

async fn c9_an_inbox_of_a_team_that_no_copy_knows_needs_the_roster(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (team, ada) = (new_id(), chat_of(&fixture, ADA, "a").await);
    let away = |_: Request<GetTeamRequest>| -> Result<GetTeamResponse, Status> { Err(Status::unavailable("not now")) };
    fixture.service.fake.on(away);
    assert_eq!(list(&fixture, of_team(team)).await.unwrap_err().code(), Code::Unavailable);
    fixture.answer_team(team, &[ADA], 1);
    assert_eq!(list(&fixture, of_team(team)).await.unwrap(), [ada.as_str()]);
    fixture.service.fake.on(away);
    assert_eq!(list(&fixture, of_team(team)).await.unwrap(), [ada.as_str()], "the copy answers");
}

async fn an_event_about_a_team_that_does_not_exist_holds_nothing_up(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (team, ada) = (new_id(), chat_of(&fixture, ADA, "a").await);
    fixture.answer_team(team, &[ADA], 1);
    fixture.handle_members_changed(new_id()).await;
    fixture.handle_members_changed(team).await;
    assert_eq!(list(&fixture, of_team(team)).await.unwrap(), [ada.as_str()]);
}

async fn s2_the_team_of_another_account_has_no_conversations(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let team = new_id();
    chat_of(&fixture, ADA, "a").await;
    fixture.answer_team(team, &[ADA], 1);
    fixture.handle_members_changed(team).await;
    fixture.answer_team(new_id(), &[], 1);
    let mut others = ConversationServiceClient::new(fixture.in_another_account().as_admin());
    let listed = others.list_conversations(of_team(team)).await.unwrap().into_inner();
    assert!(listed.rows.is_empty());
}
