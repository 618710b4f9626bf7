//! Agents who are added to the roster at their first call, and those who are not: rules A2, A6.

use frontdesk_assignment::AssignmentSettings;
use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        Agent, Availability, DeactivateAgentRequest, GetAgentRequest, HeartbeatRequest, ListAgentsRequest,
        RoutingStrategy, SetAvailabilityRequest, assignment_service_client::AssignmentServiceClient,
        availability_service_client::AvailabilityServiceClient,
    },
    event::v1::AgentCreated,
};
use frontdesk_testkit::{Calls, Mode, new_id};
use tokio::task::JoinSet;
use tonic::Code;

use crate::{
    fixture::{Fixture, account, anybody, rejection, take_over},
    routing::queued,
};

frontdesk_testkit::on_both_modes! {
    a2_a6_an_agent_is_added_at_their_first_call_and_gets_conversations,
    a2_agents_of_one_name_and_without_a_name_have_handles_of_their_own,
    a2_twenty_first_calls_at_once_add_one_agent,
    a2_an_agent_who_was_deactivated_is_not_added_again,
    a2_s2_an_agent_is_added_to_the_account_of_their_token_alone,
    a2_no_agent_is_added_unless_the_settings_say_so,
}

async fn start(mode: Mode) -> Fixture {
    let settings = AssignmentSettings { create_agents_at_first_call: true, ..AssignmentSettings::default() };
    Fixture::start_with(mode, settings).await
}

/// The agent with this id and name in their token.
fn calls(service: &Fixture, account: AccountId, id: &str, name: &str) -> Calls {
    let named =
        |claims: &mut frontdesk_auth::Claims| claims.name = Some(name.to_owned()).filter(|name| !name.is_empty());
    service.calls_with(account, CallerKind::Agent, id, named)
}

fn statuses(service: &Fixture, account: AccountId, id: &str, name: &str) -> AvailabilityServiceClient<Calls> {
    AvailabilityServiceClient::new(calls(service, account, id, name))
}

fn available() -> SetAvailabilityRequest {
    SetAvailabilityRequest { availability: Availability::Available.into() }
}

async fn agent(service: &Fixture, account: AccountId, id: &str) -> Agent {
    let get = GetAgentRequest { agent_id: id.to_owned() };
    service.roster(account).get_agent(get).await.unwrap().into_inner().agent.unwrap()
}

async fn agents(service: &Fixture, account: AccountId) -> usize {
    service.roster(account).list_agents(ListAgentsRequest::default()).await.unwrap().into_inner().agents.len()
}

async fn a2_a6_an_agent_is_added_at_their_first_call_and_gets_conversations(mode: Mode) {
    let service = start(mode).await;
    let (here, id) = (account(), new_id().to_string());
    let policy = service.policy(here, "All", anybody(RoutingStrategy::FewestOpen)).await;
    let conversation = queued(&service, here, &policy.id, 5).await;
    statuses(&service, here, &id, "Ada Lovelace").set_availability(available()).await.unwrap();
    let ada = agent(&service, here, &id).await;
    assert_eq!((ada.name.as_str(), ada.handle.as_str(), ada.email.as_str()), ("Ada Lovelace", "ada.lovelace", ""));
    assert_eq!((ada.version, ada.deactivate_time), (1, None));
    assert_eq!(service.routed(conversation).await, id);
    let created = service.appended::<AgentCreated>().await;
    assert_eq!(created.iter().map(|created| created.agent_id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    // A newer name in the token changes nothing.
    statuses(&service, here, &id, "Ada L.").heartbeat(HeartbeatRequest {}).await.unwrap();
    assert_eq!(agent(&service, here, &id).await, ada);
    // A change of owner is a first call as well.
    let (other, bob) = (service.conversation(), new_id().to_string());
    let mut assignments = AssignmentServiceClient::new(calls(&service, here, &bob, "Bob"));
    let taken = assignments.take_over_conversation(take_over(other, 1, "1")).await.unwrap().into_inner();
    assert_eq!(taken.assignment.unwrap().owner.unwrap().name, "Bob");
}

async fn a2_agents_of_one_name_and_without_a_name_have_handles_of_their_own(mode: Mode) {
    let service = start(mode).await;
    let here = account();
    let mut added = Vec::new();
    for name in ["Ada", "ada", "", "", "ada@shop.example"] {
        let id = new_id().to_string();
        statuses(&service, here, &id, name).heartbeat(HeartbeatRequest {}).await.unwrap();
        added.push(agent(&service, here, &id).await);
    }
    assert_eq!((added[0].handle.as_str(), added[2].handle.as_str()), ("ada", "agent"));
    for (like, agent) in [("ada", &added[1]), ("agent", &added[3]), ("agent", &added[4])] {
        assert_eq!(agent.handle, format!("{like}-{}", &agent.id[28..]));
    }
    let names: Vec<&str> = added.iter().map(|agent| agent.name.as_str()).collect();
    assert_eq!(names[..3], ["Ada", "ada", "agent"]);
    assert!(added[3..].iter().all(|agent| agent.name == agent.handle), "a mail address is no name that visitors see");
}

async fn a2_twenty_first_calls_at_once_add_one_agent(mode: Mode) {
    let service = start(mode).await;
    let (here, id) = (account(), new_id().to_string());
    let mut first_calls = JoinSet::new();
    for _ in 0..20 {
        let mut statuses = statuses(&service, here, &id, "Ada");
        first_calls.spawn(async move { statuses.set_availability(available()).await });
    }
    assert!(first_calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!((agents(&service, here).await, service.appended::<AgentCreated>().await.len()), (1, 1));
    assert_eq!(agent(&service, here, &id).await.handle, "ada");
}

async fn a2_an_agent_who_was_deactivated_is_not_added_again(mode: Mode) {
    let service = start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    let refused = statuses(&service, here, &ada.id, "Ada").set_availability(available()).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "AGENT_DEACTIVATED".into()));
    assert!(agent(&service, here, &ada.id).await.deactivate_time.is_some());
}

async fn a2_s2_an_agent_is_added_to_the_account_of_their_token_alone(mode: Mode) {
    let service = start(mode).await;
    let (here, there, id) = (account(), account(), new_id().to_string());
    statuses(&service, here, &id, "Ada").heartbeat(HeartbeatRequest {}).await.unwrap();
    assert_eq!((agents(&service, here).await, agents(&service, there).await), (1, 0));
    statuses(&service, there, &id, "Ada").heartbeat(HeartbeatRequest {}).await.unwrap();
    assert_eq!(agent(&service, there, &id).await.handle, "ada");
}

async fn a2_no_agent_is_added_unless_the_settings_say_so(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, id) = (account(), new_id().to_string());
    let refused = [
        statuses(&service, here, &id, "Ada").set_availability(available()).await.map(drop),
        statuses(&service, here, &id, "Ada").heartbeat(HeartbeatRequest {}).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(rejection(&refused.unwrap_err()), (Code::FailedPrecondition, "NOT_ON_ROSTER".into()));
    }
    assert_eq!(agents(&service, here).await, 0);
}
