use std::collections::HashSet;

use frontdesk_proto::{
    assignment::v1::{DeactivateAgentRequest, GetAgentRequest},
    event::v1::AgentCreated,
};
use frontdesk_testkit::{Mode, new_id};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, new_agent, rejection};

frontdesk_testkit::on_both_modes! {
    c12_twenty_creations_with_one_request_id_make_one_agent,
    handles_and_addresses_are_unique_within_an_account,
    s2_another_account_finds_no_agent_and_may_have_one_with_the_same_id,
}

async fn c12_twenty_creations_with_one_request_id_make_one_agent(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut roster = service.roster(here);
        creations.spawn(async move { roster.create_agent(new_agent("ada", "once")).await });
    }
    let agents = creations.join_all().await.into_iter().map(|answer| answer.unwrap().into_inner().agent.unwrap());
    let ids: HashSet<String> = agents.map(|agent| agent.id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(service.appended::<AgentCreated>().await.len(), 1);

    let get = GetAgentRequest { agent_id: ids.into_iter().next().unwrap() };
    let agent = service.roster(here).get_agent(get).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((agent.name.as_str(), agent.handle.as_str(), agent.active), ("ADA", "ada", true));
    let other = service.roster(here).create_agent(new_agent("bob", "once")).await.unwrap_err();
    assert_eq!(rejection(&other), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
}

async fn handles_and_addresses_are_unique_within_an_account(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let mut ada = new_agent("ada", "1");
    ada.email = "Ada@Example.org".into();
    service.roster(here).create_agent(ada.clone()).await.unwrap();
    service.roster(there).create_agent(ada).await.unwrap();
    // Two agents without an address.
    service.agent(here, "bob").await;
    service.agent(here, "cleo").await;

    let same_handle = service.roster(here).create_agent(new_agent("ada", "2")).await.unwrap_err();
    let mut same_address = new_agent("adele", "3");
    same_address.email = "ada@example.org".into();
    let same_address = service.roster(here).create_agent(same_address).await.unwrap_err();
    for rejected in [same_handle, same_address] {
        assert_eq!(rejection(&rejected), (Code::FailedPrecondition, "HANDLE_TAKEN".into()));
    }
}

async fn s2_another_account_finds_no_agent_and_may_have_one_with_the_same_id(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let ada = service.agent(here, "ada").await;

    let get = GetAgentRequest { agent_id: ada.id.clone() };
    let missing = GetAgentRequest { agent_id: new_id().to_string() };
    let foreign = service.roster(there).get_agent(get.clone()).await.unwrap_err();
    let absent = service.roster(there).get_agent(missing).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, absent.message()));

    let mut taken = new_agent("eve", "r1");
    taken.agent_id = ada.id.clone();
    let refused = service.roster(here).create_agent(taken.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("agent_id"), "{}", refused.message());

    let eve = service.roster(there).create_agent(taken).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(eve.id, ada.id);
    service.roster(there).deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    let unchanged = service.roster(here).get_agent(get).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(unchanged, ada, "an account changes its own agent only");
}
