use std::collections::HashSet;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        CreateTeamRequest, DeleteTeamRequest, GetTeamRequest, ListTeamsRequest, Team, UndeleteTeamRequest,
        UpdateTeamRequest,
    },
    event::v1::{TeamCreated, TeamDeleted, TeamUndeleted, TeamUpdated},
};
use frontdesk_testkit::{Mode, new_id};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, new_team, rejection};

frontdesk_testkit::on_both_modes! {
    c12_twenty_creations_with_one_request_id_make_one_team,
    twenty_creations_of_one_name_or_external_id_at_once_make_one_team,
    c12_a_repeated_edit_of_a_team_succeeds_with_its_old_etag_and_changes_nothing,
    c12_twenty_deletions_at_once_change_the_team_once,
    a_deleted_team_gives_up_its_name_and_keeps_its_external_id,
    teams_are_listed_by_name_in_pages_and_deleted_ones_only_when_they_are_asked_for,
    s2_a_team_of_another_account_is_not_found,
}

async fn team_now(service: &Fixture, account: AccountId, team: &Team) -> Team {
    let get = GetTeamRequest { team_id: team.id.clone() };
    service.teams(account).get_team(get).await.unwrap().into_inner().team.unwrap()
}

fn rename(team: &Team, name: &str, etag: &str) -> UpdateTeamRequest {
    let (team_id, name) = (team.id.clone(), Some(name.into()));
    UpdateTeamRequest { team_id, name, etag: etag.into(), ..UpdateTeamRequest::default() }
}

async fn c12_twenty_creations_with_one_request_id_make_one_team(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut teams = service.teams(here);
        creations.spawn(async move { teams.create_team(new_team("Sales", "once")).await });
    }
    let teams = creations.join_all().await.into_iter().map(|answer| answer.unwrap().into_inner().team.unwrap());
    let teams: Vec<Team> = teams.collect();
    assert_eq!(teams.iter().map(|team| team.id.as_str()).collect::<HashSet<_>>().len(), 1);
    assert_eq!(service.appended::<TeamCreated>().await, [TeamCreated { team_id: teams[0].id.clone() }]);
    let team = team_now(&service, here, &teams[0]).await;
    assert_eq!((team.name.as_str(), team.external_id.as_str(), team.member_count), ("Sales", "", 0));
    assert_eq!((team.version, team.update_time, team.delete_time), (1, team.create_time, None));
    let other = service.teams(here).create_team(new_team("Support", "once")).await.unwrap_err();
    assert_eq!(rejection(&other), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
}

async fn twenty_creations_of_one_name_or_external_id_at_once_make_one_team(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    for (reason, name, external_id) in [("TEAM_NAME_TAKEN", "Sales", ""), ("EXTERNAL_ID_TAKEN", "", "crm-7")] {
        let mut creations = JoinSet::new();
        for number in 0..20 {
            let mut teams = service.teams(here);
            let name = if name.is_empty() { format!("Team {number}") } else { name.to_owned() };
            let request = new_team(&name, &format!("{reason}-{number}"));
            let request = CreateTeamRequest { external_id: external_id.into(), ..request };
            creations.spawn(async move { teams.create_team(request).await });
        }
        let (made, rejected): (Vec<_>, Vec<_>) = creations.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), rejected.len()), (1, 19));
        for rejected in rejected {
            assert_eq!(rejection(&rejected.unwrap_err()), (Code::AlreadyExists, reason.into()));
        }
    }
    assert_eq!(service.appended::<TeamCreated>().await.len(), 2);
    service.team(account(), "Sales").await;
}

async fn c12_a_repeated_edit_of_a_team_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (sales, _support) = (service.team(here, "Sales").await, service.team(here, "Support").await);
    let mut teams = service.teams(here);
    let same = teams.update_team(rename(&sales, "Sales", "7")).await.unwrap().into_inner().team;
    assert_eq!(same.as_ref(), Some(&sales));
    assert!(service.appended::<TeamUpdated>().await.is_empty());

    let renamed = teams.update_team(rename(&sales, "Shop", &sales.etag)).await.unwrap().into_inner().team.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.version), ("Shop", 2));
    let repeat = teams.update_team(rename(&sales, "Shop", &sales.etag)).await.unwrap().into_inner().team;
    assert_eq!(repeat, Some(renamed));
    assert_eq!(service.appended::<TeamUpdated>().await.len(), 1);
    let late = teams.update_team(rename(&sales, "Sales", &sales.etag)).await.unwrap_err();
    assert_eq!(rejection(&late), (Code::Aborted, "ETAG_MISMATCH".into()));
    let taken = teams.update_team(rename(&sales, "Support", "")).await.unwrap_err();
    assert_eq!(rejection(&taken), (Code::AlreadyExists, "TEAM_NAME_TAKEN".into()));
}

async fn c12_twenty_deletions_at_once_change_the_team_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let sales = service.team(here, "Sales").await;
    let mut deletions = JoinSet::new();
    for _ in 0..20 {
        let (mut teams, team_id) = (service.teams(here), sales.id.clone());
        deletions.spawn(async move { teams.delete_team(DeleteTeamRequest { team_id }).await });
    }
    for answer in deletions.join_all().await {
        assert_eq!(answer.unwrap().into_inner().team.unwrap().version, 2);
    }
    assert_eq!(service.appended::<TeamDeleted>().await.len(), 1);
}

async fn a_deleted_team_gives_up_its_name_and_keeps_its_external_id(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut teams = service.teams(here);
    let named =
        |name: &str, request_id: &str| CreateTeamRequest { external_id: "crm-7".into(), ..new_team(name, request_id) };
    let sales = teams.create_team(named("Sales", "1")).await.unwrap().into_inner().team.unwrap();
    let deleted = teams.delete_team(DeleteTeamRequest { team_id: sales.id.clone() }).await.unwrap().into_inner().team;
    assert!(deleted.unwrap().delete_time.is_some());
    let edit = teams.update_team(rename(&sales, "Shop", "")).await.unwrap_err();
    assert_eq!(rejection(&edit), (Code::FailedPrecondition, "TEAM_DELETED".into()));
    let taken = teams.create_team(named("Other", "2")).await.unwrap_err();
    assert_eq!(rejection(&taken), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN".into()));

    let second = service.team(here, "Sales").await;
    let undelete = || UndeleteTeamRequest { team_id: sales.id.clone() };
    let taken = teams.undelete_team(undelete()).await.unwrap_err();
    assert_eq!(rejection(&taken), (Code::AlreadyExists, "TEAM_NAME_TAKEN".into()));
    teams.update_team(rename(&second, "Second", "")).await.unwrap();
    for _ in 0..2 {
        let undeleted = teams.undelete_team(undelete()).await.unwrap().into_inner().team.unwrap();
        assert_eq!((undeleted.delete_time, undeleted.version), (None, 3));
    }
    assert_eq!(service.appended::<TeamUndeleted>().await.len(), 1);
}

async fn teams_are_listed_by_name_in_pages_and_deleted_ones_only_when_they_are_asked_for(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    for name in ["Dan", "Ada", "Cleo"] {
        service.team(here, name).await;
    }
    let request = CreateTeamRequest { external_id: "crm-7".into(), ..new_team("Bob", "1") };
    let bob = service.teams(here).create_team(request).await.unwrap().into_inner().team.unwrap();
    service.teams(here).delete_team(DeleteTeamRequest { team_id: bob.id }).await.unwrap();
    service.team(account(), "Foreign").await;
    let list = async |filter: ListTeamsRequest| {
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListTeamsRequest { page_size: 2, page_token, ..filter.clone() };
            let page = service.teams(here).list_teams(request).await.unwrap().into_inner();
            names.extend(page.teams.into_iter().map(|team| team.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return names;
            }
        }
    };
    let deleted = ListTeamsRequest { show_deleted: true, ..ListTeamsRequest::default() };
    assert_eq!(list(ListTeamsRequest::default()).await, ["Ada", "Cleo", "Dan"]);
    assert_eq!(list(deleted.clone()).await, ["Ada", "Bob", "Cleo", "Dan"]);
    assert_eq!(list(ListTeamsRequest { external_id: "crm-7".into(), ..deleted }).await, ["Bob"]);
}

async fn s2_a_team_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let sales = service.team(account(), "Sales").await;
    let mut elsewhere = service.teams(account());
    let foreign = elsewhere.get_team(GetTeamRequest { team_id: sales.id.clone() }).await.unwrap_err();
    let absent = elsewhere.get_team(GetTeamRequest { team_id: new_id().to_string() }).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, absent.message()));
    let edit = elsewhere.update_team(rename(&sales, "Eve", "")).await.unwrap_err();
    let deletion = elsewhere.delete_team(DeleteTeamRequest { team_id: sales.id.clone() }).await.unwrap_err();
    let undeletion = elsewhere.undelete_team(UndeleteTeamRequest { team_id: sales.id }).await.unwrap_err();
    for foreign in [edit, deletion, undeletion] {
        assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
    }
}
