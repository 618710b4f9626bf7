use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        AddTeamMembersRequest, Agent, DeactivateAgentRequest, DeleteTeamRequest, GetTeamRequest, ListAgentsRequest,
        ListTeamsRequest, RemoveTeamMembersRequest, Team,
    },
    event::v1::TeamMembersChanged,
};
use frontdesk_testkit::{Mode, new_id};
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{Fixture, account, rejection};

frontdesk_testkit::on_both_modes! {
    agents_become_members_and_leave_and_a_repeat_changes_nothing,
    c12_twenty_calls_at_once_add_a_member_once,
    an_agent_who_is_not_active_becomes_no_member_and_the_refusal_names_them,
    a_deactivated_member_stays_one,
    a_team_has_at_most_five_hundred_members,
    the_members_of_a_deleted_team_stay_as_they_are,
    s2_an_agent_of_another_account_becomes_no_member,
}

async fn add(service: &Fixture, account: AccountId, team: &Team, agents: &[&Agent]) -> Result<Team, Status> {
    let agent_ids = agents.iter().map(|agent| agent.id.clone()).collect();
    let request = AddTeamMembersRequest { team_id: team.id.clone(), agent_ids };
    Ok(service.teams(account).add_team_members(request).await?.into_inner().team.unwrap())
}

async fn remove(service: &Fixture, account: AccountId, team: &Team, agents: &[&Agent]) -> Result<Team, Status> {
    let agent_ids = agents.iter().map(|agent| agent.id.clone()).collect();
    let request = RemoveTeamMembersRequest { team_id: team.id.clone(), agent_ids };
    Ok(service.teams(account).remove_team_members(request).await?.into_inner().team.unwrap())
}

/// Ids of the members, by `GetTeam` and by `ListAgents`.
async fn members(service: &Fixture, account: AccountId, team: &Team) -> BTreeSet<String> {
    let get = GetTeamRequest { team_id: team.id.clone() };
    let response = service.teams(account).get_team(get).await.unwrap().into_inner();
    assert_eq!(usize::try_from(response.team.unwrap().member_count), Ok(response.agent_ids.len()));
    let list = ListAgentsRequest { team_id: team.id.clone(), show_deactivated: true, ..ListAgentsRequest::default() };
    let listed = service.roster(account).list_agents(list).await.unwrap().into_inner().agents;
    let listed: BTreeSet<_> = listed.into_iter().map(|agent| agent.id).collect();
    assert_eq!(listed, response.agent_ids.into_iter().collect::<BTreeSet<_>>());
    listed
}

fn ids(agents: &[&Agent]) -> BTreeSet<String> {
    agents.iter().map(|agent| agent.id.clone()).collect()
}

async fn agents_become_members_and_leave_and_a_repeat_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let (sales, support) = (service.team(here, "Sales").await, service.team(here, "Support").await);
    for _ in 0..2 {
        let team = add(&service, here, &sales, &[&ada, &bob, &ada]).await.unwrap();
        assert_eq!((team.member_count, team.version), (2, 2));
        assert_ne!(team.etag, sales.etag);
    }
    add(&service, here, &support, &[&ada]).await.unwrap();
    assert_eq!(members(&service, here, &sales).await, ids(&[&ada, &bob]));
    let of_ada = ListTeamsRequest { agent_id: ada.id.clone(), ..ListTeamsRequest::default() };
    let teams = service.teams(here).list_teams(of_ada.clone()).await.unwrap().into_inner().teams;
    assert_eq!(teams.iter().map(|team| team.name.as_str()).collect::<Vec<_>>(), ["Sales", "Support"]);

    for _ in 0..2 {
        let team = remove(&service, here, &sales, &[&ada]).await.unwrap();
        assert_eq!((team.member_count, team.version), (1, 3));
    }
    assert_eq!(members(&service, here, &sales).await, ids(&[&bob]));
    let teams = service.teams(here).list_teams(of_ada).await.unwrap().into_inner().teams;
    assert_eq!(teams.len(), 1);
    let changed = service.appended::<TeamMembersChanged>().await;
    let added: BTreeSet<_> = changed[0].added_agent_ids.iter().cloned().collect();
    assert_eq!((changed.len(), added), (3, ids(&[&ada, &bob])));
    assert_eq!((&changed[2].added_agent_ids, &changed[2].removed_agent_ids), (&Vec::new(), &vec![ada.id]));
}

async fn c12_twenty_calls_at_once_add_a_member_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, sales) = (service.agent(here, "ada").await, service.team(here, "Sales").await);
    let mut additions = JoinSet::new();
    for _ in 0..20 {
        let mut teams = service.teams(here);
        let request = AddTeamMembersRequest { team_id: sales.id.clone(), agent_ids: vec![ada.id.clone()] };
        additions.spawn(async move { teams.add_team_members(request).await });
    }
    for answer in additions.join_all().await {
        let team = answer.unwrap().into_inner().team.unwrap();
        assert_eq!((team.member_count, team.version), (1, 2));
    }
    assert_eq!(service.appended::<TeamMembersChanged>().await.len(), 1);
}

/// The agent whom the refusal names, and their name.
fn refused(status: &Status) -> (String, String) {
    assert_eq!(rejection(status), (Code::FailedPrecondition, "MEMBER_NOT_ACTIVE".into()));
    let metadata = status.get_details_error_info().unwrap().metadata;
    (metadata["agent_id"].clone(), metadata["agent_name"].clone())
}

async fn an_agent_who_is_not_active_becomes_no_member_and_the_refusal_names_them(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, gone) = (service.agent(here, "ada").await, service.agent(here, "gone").await);
    let sales = service.team(here, "Sales").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id.clone() }).await.unwrap();
    let inactive = add(&service, here, &sales, &[&ada, &gone]).await.unwrap_err();
    assert_eq!(refused(&inactive), (gone.id, "GONE".into()));
    let absent = Agent { id: new_id().to_string(), ..Agent::default() };
    let unknown = add(&service, here, &sales, &[&absent]).await.unwrap_err();
    assert_eq!(refused(&unknown), (absent.id, String::new()));
    assert!(members(&service, here, &sales).await.is_empty(), "all of them or none");
    let none = AddTeamMembersRequest { team_id: sales.id, agent_ids: Vec::new() };
    assert_eq!(service.teams(here).add_team_members(none).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn a_deactivated_member_stays_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, sales) = (service.agent(here, "ada").await, service.team(here, "Sales").await);
    add(&service, here, &sales, &[&ada]).await.unwrap();
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    assert_eq!(members(&service, here, &sales).await, ids(&[&ada]));
    assert_eq!(add(&service, here, &sales, &[&ada]).await.unwrap().version, 2, "a repeat");
    assert_eq!(remove(&service, here, &sales, &[&ada]).await.unwrap().member_count, 0);
}

async fn a_team_has_at_most_five_hundred_members(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let sales = service.team(here, "Sales").await;
    let nearly_full = format!("UPDATE teams SET member_count = 499 WHERE name = '{}'", sales.name);
    let tx = service.db.begin().await.unwrap();
    tx.conn().execute_unprepared(&nearly_full).await.unwrap();
    tx.commit().await.unwrap();
    let full = add(&service, here, &sales, &[&ada, &bob]).await.unwrap_err();
    assert_eq!(rejection(&full), (Code::FailedPrecondition, "TEAM_FULL".into()));
    assert_eq!(full.get_details_error_info().unwrap().metadata["max_members"], "500");
    assert_eq!(add(&service, here, &sales, &[&ada]).await.unwrap().member_count, 500);
}

async fn the_members_of_a_deleted_team_stay_as_they_are(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let sales = service.team(here, "Sales").await;
    add(&service, here, &sales, &[&ada]).await.unwrap();
    service.teams(here).delete_team(DeleteTeamRequest { team_id: sales.id.clone() }).await.unwrap();
    let added = add(&service, here, &sales, &[&bob]).await.unwrap_err();
    let removed = remove(&service, here, &sales, &[&ada]).await.unwrap_err();
    for refused in [added, removed] {
        assert_eq!(rejection(&refused), (Code::FailedPrecondition, "TEAM_DELETED".into()));
    }
    assert_eq!(members(&service, here, &sales).await, ids(&[&ada]));
}

async fn s2_an_agent_of_another_account_becomes_no_member(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let (zed, sales) = (service.agent(there, "zed").await, service.team(here, "Sales").await);
    let foreign = add(&service, here, &sales, &[&zed]).await.unwrap_err();
    assert_eq!(refused(&foreign), (zed.id.clone(), String::new()));
    let elsewhere = [
        add(&service, there, &sales, &[&zed]).await.unwrap_err(),
        remove(&service, there, &sales, &[&zed]).await.unwrap_err(),
    ];
    for elsewhere in elsewhere {
        assert_eq!(rejection(&elsewhere), (Code::NotFound, "NOT_FOUND".into()));
    }
}
