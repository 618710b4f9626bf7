use std::collections::HashSet;

use frontdesk_proto::{
    assignment::v1::{
        AgentCapacity, CreateAgentRequest, DeactivateAgentRequest, GetAgentRequest, UpdateAgentRequest,
        agent_capacity::{Limit, Unlimited},
    },
    event::v1::AgentCreated,
};
use frontdesk_testkit::{Mode, new_id};
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, new_agent, rejection};

frontdesk_testkit::on_both_modes! {
    c12_twenty_creations_with_one_request_id_make_one_agent,
    twenty_creations_of_one_id_handle_or_address_at_once_make_one_agent,
    ids_handles_and_addresses_are_unique_within_an_account_and_each_has_its_reason,
    an_address_at_an_internationalised_host_is_stored_in_ascii,
    an_agent_has_a_capacity_of_five_unless_it_is_set_to_none_or_unlimited,
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
    assert_eq!((agent.name.as_str(), agent.handle.as_str(), agent.email.as_str()), ("ADA", "ada", ""));
    assert_eq!((agent.version, agent.update_time, agent.deactivate_time), (1, agent.create_time, None));
    let other = service.roster(here).create_agent(new_agent("bob", "once")).await.unwrap_err();
    assert_eq!(rejection(&other), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
}

async fn an_agent_has_a_capacity_of_five_unless_it_is_set_to_none_or_unlimited(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut roster = service.roster(here);
    let capacity = |limit| Some(AgentCapacity { limit: Some(limit) });
    let unset = service.agent(here, "ada").await;
    assert_eq!(unset.capacity, capacity(Limit::Conversations(5)));
    let none = CreateAgentRequest { capacity: capacity(Limit::Conversations(0)), ..new_agent("bob", "1") };
    let bob = roster.create_agent(none).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(bob.capacity, capacity(Limit::Conversations(0)));

    let update = |limit| UpdateAgentRequest {
        agent_id: bob.id.clone(),
        capacity: capacity(limit),
        etag: bob.etag.clone(),
        ..UpdateAgentRequest::default()
    };
    let unlimited = roster.update_agent(update(Limit::Unlimited(Unlimited {}))).await.unwrap().into_inner().agent;
    let unlimited = unlimited.unwrap();
    assert_eq!((&unlimited.capacity, unlimited.version), (&capacity(Limit::Unlimited(Unlimited {})), 2));
    assert_eq!(service.agent_now(here, &bob).await, unlimited);
    let stale = roster.update_agent(update(Limit::Conversations(3))).await.unwrap_err();
    assert_eq!(rejection(&stale), (Code::Aborted, "ETAG_MISMATCH".into()));
    for wrong in [Limit::Conversations(-1), Limit::Conversations(1_001)] {
        assert_eq!(roster.update_agent(update(wrong)).await.unwrap_err().code(), Code::InvalidArgument);
    }
    let empty = UpdateAgentRequest { capacity: Some(AgentCapacity { limit: None }), ..update(Limit::Conversations(1)) };
    assert_eq!(roster.update_agent(empty).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn an_address_at_an_internationalised_host_is_stored_in_ascii(mode: Mode) {
    let service = Fixture::start(mode).await;
    let mut roster = service.roster(account());
    let request = CreateAgentRequest { email: "Nina@müller.example".into(), ..new_agent("nina", "1") };
    let agent = roster.create_agent(request).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(agent.email, "Nina@xn--mller-kva.example");
    let update = |email: &str| UpdateAgentRequest {
        agent_id: agent.id.clone(),
        email: Some(email.into()),
        ..UpdateAgentRequest::default()
    };
    let updated = roster.update_agent(update("nina＠bücher.example")).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(updated.email, "nina@xn--bcher-kva.example");
    let cleared = roster.update_agent(update("")).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(cleared.email, "");
    assert_eq!(roster.update_agent(update("nïna@b.example")).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn twenty_creations_of_one_id_handle_or_address_at_once_make_one_agent(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, id) = (account(), new_id().to_string());
    type Share = fn(CreateAgentRequest, &str) -> CreateAgentRequest;
    let shared: [(&str, Share); 3] = [
        ("AGENT_EXISTS", |agent, id| CreateAgentRequest { agent_id: id.into(), ..agent }),
        ("HANDLE_TAKEN", |agent, _| CreateAgentRequest { handle: "boss".into(), ..agent }),
        ("EMAIL_TAKEN", |agent, _| CreateAgentRequest { email: "boss@example.org".into(), ..agent }),
    ];
    for (reason, share) in shared {
        let mut creations = JoinSet::new();
        for number in 0..20 {
            let name = format!("{}-{number}", reason.to_lowercase());
            let (mut roster, request) = (service.roster(here), share(new_agent(&name, &name), &id));
            creations.spawn(async move { roster.create_agent(request).await });
        }
        let (made, rejected): (Vec<_>, Vec<_>) = creations.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), rejected.len()), (1, 19));
        for rejected in rejected {
            assert_eq!(rejection(&rejected.unwrap_err()), (Code::AlreadyExists, reason.into()));
        }
    }
    assert_eq!(service.appended::<AgentCreated>().await.len(), 3);
}

async fn ids_handles_and_addresses_are_unique_within_an_account_and_each_has_its_reason(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let ada =
        CreateAgentRequest { agent_id: new_id().to_string(), email: "Ada@Example.org".into(), ..new_agent("ada", "1") };
    service.roster(here).create_agent(ada.clone()).await.unwrap();
    service.roster(there).create_agent(ada.clone()).await.unwrap();
    // Two agents without an address.
    service.agent(here, "bob").await;
    service.agent(here, "cleo").await;

    let create = async |agent| service.roster(here).create_agent(agent).await.unwrap_err();
    let handle = create(new_agent("ada", "2")).await;
    assert_eq!(rejection(&handle), (Code::AlreadyExists, "HANDLE_TAKEN".into()));
    let address = create(CreateAgentRequest { email: "ada@example.org".into(), ..new_agent("adele", "3") }).await;
    assert_eq!(rejection(&address), (Code::AlreadyExists, "EMAIL_TAKEN".into()));
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: ada.agent_id.clone() }).await.unwrap();
    let all_three = create(CreateAgentRequest { request_id: "4".into(), ..ada }).await;
    assert_eq!(rejection(&all_three), (Code::AlreadyExists, "AGENT_EXISTS".into()));
    assert!(all_three.message().contains("ReactivateAgent"), "{}", all_three.message());
}

async fn s2_another_account_finds_no_agent_and_may_have_one_with_the_same_id(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    let ada = service.agent(here, "ada").await;

    let get = GetAgentRequest { agent_id: ada.id.clone() };
    let missing = GetAgentRequest { agent_id: new_id().to_string() };
    let foreign = service.roster(there).get_agent(get).await.unwrap_err();
    let absent = service.roster(there).get_agent(missing).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, absent.message()));

    let taken = CreateAgentRequest { agent_id: ada.id.clone(), ..new_agent("eve", "r1") };
    let eve = service.roster(there).create_agent(taken).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(eve.id, ada.id);
    service.roster(there).deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    assert_eq!(service.agent_now(here, &ada).await, ada, "an account changes its own agent only");
}
