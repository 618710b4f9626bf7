use std::time::Duration;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        AddTeamMembersRequest, Agent, Availability, AwayReason, DeactivateAgentRequest, GetAgentStatusRequest,
        HeartbeatRequest, HeartbeatResponse, ListAgentStatusesRequest, ReactivateAgentRequest,
        SetAgentAvailabilityRequest, SetAvailabilityRequest,
    },
    event::v1::AgentAvailabilityChanged,
};
use frontdesk_testkit::{Mode, new_id, wait_until};
use sea_orm::{ConnectionTrait, Statement};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection};

frontdesk_testkit::on_both_modes! {
    a7_an_agent_sets_themself_available_and_away_and_a_repeat_changes_nothing,
    a7_an_agent_whose_heartbeats_stop_is_away_and_an_event_says_so_once,
    a7_an_agent_with_heartbeats_stays_available_and_few_of_them_are_stored,
    a7_an_administrator_sets_an_agent_who_is_available_with_the_next_heartbeat,
    a7_a_deactivated_agent_is_away_until_they_choose_again,
    a7_statuses_are_listed_by_team_and_availability,
    a7_twenty_choices_at_once_are_published_once,
    a2_an_agent_who_is_not_active_has_no_heartbeat,
    s2_the_status_of_an_agent_of_another_account_is_not_found,
}

use Availability::{Available, Away};

fn choose(availability: Availability) -> SetAvailabilityRequest {
    SetAvailabilityRequest { availability: availability.into() }
}

async fn set(service: &Fixture, account: AccountId, agent: &Agent, availability: Availability) {
    service.own_status(account, &agent.id).set_availability(choose(availability)).await.unwrap();
}

async fn heartbeat(service: &Fixture, account: AccountId, agent: &Agent) -> HeartbeatResponse {
    service.own_status(account, &agent.id).heartbeat(HeartbeatRequest {}).await.unwrap().into_inner()
}

/// What the events say, oldest first.
async fn published(service: &Fixture) -> Vec<(Availability, AwayReason)> {
    let events = service.appended::<AgentAvailabilityChanged>().await;
    events.iter().map(|event| (event.availability(), event.away_reason())).collect()
}

async fn a7_an_agent_sets_themself_available_and_away_and_a_repeat_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let new = service.status(here, &ada).await;
    assert_eq!((new.availability(), new.away_reason(), new.change_time), (Away, AwayReason::Chosen, None));
    let mut own = service.own_status(here, &ada.id);
    let first = own.set_availability(choose(Available)).await.unwrap().into_inner().status.unwrap();
    assert_eq!((first.availability(), first.away_reason()), (Available, AwayReason::Unspecified));
    assert!(first.change_time.is_some() && first.heartbeat_time == first.change_time, "{first:?}");
    let repeat = own.set_availability(choose(Available)).await.unwrap().into_inner().status.unwrap();
    assert_eq!(repeat, first);
    assert_eq!(service.status(here, &ada).await, first);

    set(&service, here, &ada, Away).await;
    let away = service.status(here, &ada).await;
    assert_eq!((away.availability(), away.away_reason()), (Away, AwayReason::Chosen));
    let expected = [(Available, AwayReason::Unspecified), (Away, AwayReason::Chosen)];
    assert_eq!(published(&service).await, expected);
    assert_eq!(service.agent_now(here, &ada).await, ada, "it is no part of the agent, whose etag stays");
    let unspecified = own.set_availability(SetAvailabilityRequest::default()).await.unwrap_err();
    assert_eq!(unspecified.code(), Code::InvalidArgument);
}

async fn a7_an_agent_whose_heartbeats_stop_is_away_and_an_event_says_so_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    set(&service, here, &ada, Available).await;
    let answer = heartbeat(&service, here, &ada).await;
    assert_eq!((answer.availability(), answer.next_heartbeat_after.map(|after| after.seconds)), (Available, Some(30)));
    let away_time = answer.away_time;
    service.clock.advance(Duration::from_secs(91)).unwrap();
    let away = service.status(here, &ada).await;
    assert_eq!((away.availability(), away.away_reason()), (Away, AwayReason::NoHeartbeat));
    assert_eq!(away.change_time, away_time, "they are away from the time that the answer said");
    wait_until("the event", || async { published(&service).await.len() == 2 }).await;
    let events = service.appended::<AgentAvailabilityChanged>().await;
    assert_eq!((events[1].availability(), events[1].away_reason()), (Away, AwayReason::NoHeartbeat));
    assert_eq!((events[1].agent_id.as_str(), events[1].change_time), (ada.id.as_str(), away_time));
    assert_eq!(service.status(here, &ada).await, away);

    let back = heartbeat(&service, here, &ada).await;
    assert_eq!(back.availability(), Available);
    assert_eq!(published(&service).await.len(), 3);
}

/// What the row of the only status holds in a column.
async fn column(service: &Fixture, name: &str) -> Option<i64> {
    let connection = service.db.read();
    let query = format!("SELECT {name} AS value FROM agent_statuses");
    let query = Statement::from_string(connection.get_database_backend(), query);
    connection.query_one_raw(query).await.unwrap().unwrap().try_get("", "value").unwrap()
}

async fn a7_an_agent_with_heartbeats_stays_available_and_few_of_them_are_stored(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    set(&service, here, &ada, Available).await;
    let (first, check) = (column(&service, "heartbeat_at").await, column(&service, "check_at").await);
    for _ in 0..20 {
        heartbeat(&service, here, &ada).await;
    }
    assert_eq!(column(&service, "heartbeat_at").await, first, "they came within a third of the interval");
    for _ in 0..4 {
        service.clock.advance(Duration::from_secs(30)).unwrap();
        assert_eq!(heartbeat(&service, here, &ada).await.availability(), Available);
    }
    assert!(column(&service, "heartbeat_at").await > first);
    // The check at the end of the first 90 seconds found later heartbeats, and comes again.
    wait_until("a later check", || async { column(&service, "check_at").await > check }).await;
    assert_eq!(published(&service).await, [(Available, AwayReason::Unspecified)]);
}

async fn a7_an_administrator_sets_an_agent_who_is_available_with_the_next_heartbeat(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let request = |availability: Availability| SetAgentAvailabilityRequest {
        agent_id: ada.id.clone(),
        availability: availability.into(),
    };
    let mut statuses = service.statuses(here);
    for _ in 0..2 {
        let set = statuses.set_agent_availability(request(Available)).await.unwrap().into_inner().status.unwrap();
        assert_eq!((set.availability(), set.away_reason()), (Away, AwayReason::NoHeartbeat));
    }
    assert!(published(&service).await.is_empty());
    assert_eq!(heartbeat(&service, here, &ada).await.availability(), Available);
    statuses.set_agent_availability(request(Away)).await.unwrap();
    let answer = heartbeat(&service, here, &ada).await;
    assert_eq!((answer.availability(), answer.away_time), (Away, None));
    let expected = [(Available, AwayReason::Unspecified), (Away, AwayReason::Chosen)];
    assert_eq!(published(&service).await, expected);
    let not_permitted = service.own_status(here, &ada.id).set_agent_availability(request(Available)).await;
    assert_eq!(not_permitted.unwrap_err().code(), Code::PermissionDenied);
}

async fn a7_a_deactivated_agent_is_away_until_they_choose_again(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    set(&service, here, &ada, Available).await;
    let mut roster = service.roster(here);
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    let gone = roster.deactivate_agent(deactivate).await.unwrap().into_inner().agent.unwrap();
    let status = service.status(here, &ada).await;
    assert_eq!((status.availability(), status.away_reason()), (Away, AwayReason::Deactivated));
    assert_eq!(status.change_time, gone.deactivate_time);
    let set_by_admin = SetAgentAvailabilityRequest { agent_id: ada.id.clone(), availability: Available.into() };
    let refused = service.statuses(here).set_agent_availability(set_by_admin).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "AGENT_DEACTIVATED".into()));

    roster.reactivate_agent(ReactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    assert_eq!(heartbeat(&service, here, &ada).await.availability(), Away);
    let expected = [(Available, AwayReason::Unspecified), (Away, AwayReason::Chosen)];
    assert_eq!(published(&service).await, expected);
}

async fn a7_statuses_are_listed_by_team_and_availability(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let (ada, bob) = (service.agent(here, "ada").await, service.agent(here, "bob").await);
    let (cleo, gone) = (service.agent(here, "cleo").await, service.agent(here, "gone").await);
    service.agent(account(), "foreign").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id }).await.unwrap();
    set(&service, here, &ada, Available).await;
    set(&service, here, &bob, Available).await;
    set(&service, here, &bob, Away).await;
    let sales = service.team(here, "Sales").await;
    let agent_ids = vec![ada.id.clone(), cleo.id.clone()];
    let members = AddTeamMembersRequest { team_id: sales.id.clone(), agent_ids };
    service.teams(here).add_team_members(members).await.unwrap();
    let list = async |team_id: &str, availability: Availability| {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let (team_id, availability) = (team_id.to_owned(), availability.into());
            let request = ListAgentStatusesRequest { team_id, availability, page_size: 1, page_token };
            let page = service.statuses(here).list_agent_statuses(request).await.unwrap().into_inner();
            ids.extend(page.statuses.into_iter().map(|status| status.agent_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    };
    let (ada, bob, cleo) = (ada.id.as_str(), bob.id.as_str(), cleo.id.as_str());
    assert_eq!(list("", Availability::Unspecified).await, [ada, bob, cleo]);
    assert_eq!(list("", Available).await, [ada]);
    assert_eq!(list("", Away).await, [bob, cleo]);
    assert_eq!(list(&sales.id, Availability::Unspecified).await, [ada, cleo]);
    assert_eq!(list(&sales.id, Away).await, [cleo]);
    assert!(list(&new_id().to_string(), Availability::Unspecified).await.is_empty());
    service.clock.advance(Duration::from_secs(91)).unwrap();
    assert!(list("", Available).await.is_empty(), "without an event too");
}

async fn a7_twenty_choices_at_once_are_published_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut choices = JoinSet::new();
    for _ in 0..20 {
        let mut own = service.own_status(here, &ada.id);
        choices.spawn(async move { own.set_availability(choose(Available)).await });
    }
    for answer in choices.join_all().await {
        assert_eq!(answer.unwrap().into_inner().status.unwrap().availability(), Available);
    }
    assert_eq!(published(&service).await, [(Available, AwayReason::Unspecified)]);
}

async fn a2_an_agent_who_is_not_active_has_no_heartbeat(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let gone = service.agent(here, "gone").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id.clone() }).await.unwrap();
    for (agent, reason) in [(gone.id, "AGENT_DEACTIVATED"), (new_id().to_string(), "NOT_ON_ROSTER")] {
        let mut own = service.own_status(here, &agent);
        let heartbeat = own.heartbeat(HeartbeatRequest {}).await.unwrap_err();
        let choice = own.set_availability(choose(Available)).await.unwrap_err();
        for refused in [heartbeat, choice] {
            assert_eq!(rejection(&refused), (Code::FailedPrecondition, reason.into()));
            assert!(refused.message().starts_with("you "), "{refused}");
        }
    }
    assert!(published(&service).await.is_empty());
}

async fn s2_the_status_of_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let mut elsewhere = service.statuses(account());
    let get = GetAgentStatusRequest { agent_id: ada.id.clone() };
    let set = SetAgentAvailabilityRequest { agent_id: ada.id, availability: Away.into() };
    let foreign =
        [elsewhere.get_agent_status(get).await.unwrap_err(), elsewhere.set_agent_availability(set).await.unwrap_err()];
    for foreign in foreign {
        assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
    }
}
