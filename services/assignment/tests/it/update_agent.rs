use frontdesk_proto::{
    assignment::v1::{Agent, CreateAgentRequest, UpdateAgentRequest},
    event::v1::AgentUpdated,
};
use frontdesk_testkit::Mode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, new_agent, rejection};

frontdesk_testkit::on_both_modes! {
    c12_a_repeated_edit_succeeds_with_its_old_etag_and_changes_nothing,
    an_edit_with_an_old_etag_is_rejected,
    an_edit_clears_the_address_and_keeps_what_is_not_set,
    c12_twenty_edits_of_one_etag_at_once_and_one_is_made,
    twenty_agents_take_one_handle_or_address_at_once_and_one_gets_it,
    s2_an_agent_of_another_account_is_not_found,
}

fn rename(agent: &Agent, name: &str, etag: &str) -> UpdateAgentRequest {
    UpdateAgentRequest {
        agent_id: agent.id.clone(),
        name: Some(name.into()),
        etag: etag.into(),
        ..UpdateAgentRequest::default()
    }
}

async fn c12_a_repeated_edit_succeeds_with_its_old_etag_and_changes_nothing(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    assert_eq!((ada.version, ada.update_time), (1, ada.create_time));
    let mut roster = service.roster(here);
    let same = roster.update_agent(rename(&ada, "ADA", &ada.etag)).await.unwrap().into_inner().agent;
    assert_eq!(same.as_ref(), Some(&ada));
    assert!(service.appended::<AgentUpdated>().await.is_empty());

    let renamed = roster.update_agent(rename(&ada, "Ada L", &ada.etag)).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.version), ("Ada L", 2));
    assert!(renamed.etag != ada.etag && renamed.update_time != ada.update_time);
    let repeat = roster.update_agent(rename(&ada, "Ada L", &ada.etag)).await.unwrap().into_inner().agent;
    assert_eq!(repeat, Some(renamed));
    assert_eq!(service.appended::<AgentUpdated>().await.len(), 1);
}

async fn an_edit_with_an_old_etag_is_rejected(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut roster = service.roster(here);
    roster.update_agent(rename(&ada, "Ada L", &ada.etag)).await.unwrap();
    let late = roster.update_agent(rename(&ada, "Ada", &ada.etag)).await.unwrap_err();
    assert_eq!(rejection(&late), (Code::Aborted, "ETAG_MISMATCH".into()));
    let unconditional = roster.update_agent(rename(&ada, "Ada", "")).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((unconditional.name.as_str(), unconditional.version), ("Ada", 3));
}

async fn an_edit_clears_the_address_and_keeps_what_is_not_set(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let address = || "ada@example.org".to_owned();
    let mut roster = service.roster(here);
    let ada = roster.create_agent(CreateAgentRequest { email: address(), ..new_agent("ada", "1") }).await;
    let ada = ada.unwrap().into_inner().agent.unwrap();
    let bob = service.agent(here, "bob").await;
    let email = |agent: &Agent, email: String| UpdateAgentRequest {
        agent_id: agent.id.clone(),
        email: Some(email),
        ..UpdateAgentRequest::default()
    };

    let taken = roster.update_agent(email(&bob, address())).await.unwrap_err();
    assert_eq!(rejection(&taken), (Code::AlreadyExists, "EMAIL_TAKEN".into()));
    let cleared = roster.update_agent(email(&ada, String::new())).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((cleared.name.as_str(), cleared.handle.as_str(), cleared.email.as_str()), ("ADA", "ada", ""));
    let bob = roster.update_agent(email(&bob, address())).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(bob.email, address(), "it is free again");
}

async fn c12_twenty_edits_of_one_etag_at_once_and_one_is_made(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut edits = JoinSet::new();
    for number in 0..20 {
        let (mut roster, request) = (service.roster(here), rename(&ada, &format!("Ada {number}"), &ada.etag));
        edits.spawn(async move { roster.update_agent(request).await });
    }
    let (made, rejected): (Vec<_>, Vec<_>) = edits.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), rejected.len()), (1, 19));
    assert_eq!(service.appended::<AgentUpdated>().await.len(), 1);
    for rejected in rejected {
        assert_eq!(rejection(&rejected.unwrap_err()), (Code::Aborted, "ETAG_MISMATCH".into()));
    }
}

async fn twenty_agents_take_one_handle_or_address_at_once_and_one_gets_it(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut agents = Vec::new();
    for number in 0..20 {
        agents.push(service.agent(here, &format!("agent{number}")).await);
    }
    let handle = UpdateAgentRequest { handle: Some("boss".into()), ..UpdateAgentRequest::default() };
    let email = UpdateAgentRequest { email: Some("boss@example.org".into()), ..UpdateAgentRequest::default() };
    for (edit, reason) in [(handle, "HANDLE_TAKEN"), (email, "EMAIL_TAKEN")] {
        let mut edits = JoinSet::new();
        for agent in &agents {
            let (mut roster, agent_id) = (service.roster(here), agent.id.clone());
            let request = UpdateAgentRequest { agent_id, ..edit.clone() };
            edits.spawn(async move { roster.update_agent(request).await });
        }
        let (made, rejected): (Vec<_>, Vec<_>) = edits.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), rejected.len()), (1, 19));
        for rejected in rejected {
            assert_eq!(rejection(&rejected.unwrap_err()), (Code::AlreadyExists, reason.into()));
        }
    }
    assert_eq!(service.appended::<AgentUpdated>().await.len(), 2);
}

async fn s2_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let foreign = service.roster(account()).update_agent(rename(&ada, "Eve", "")).await.unwrap_err();
    assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
}
