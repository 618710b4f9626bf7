use std::collections::HashSet;

use frontdesk_proto::assignment::v1::{DeactivateAgentRequest, GetAgentRequest, ListAgentsRequest, UpdateAgentRequest};
use tokio::task::JoinSet;
use tonic::Code;

use crate::suite::{Suite, account, new_agent, reason};

#[tokio::test]
async fn c12_twenty_creations_with_one_request_id_make_one_agent() {
    let suite = Suite::start().await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut roster = suite.roster(here);
        creations.spawn(async move { roster.create_agent(new_agent("ada", "once")).await });
    }
    let answers = creations.join_all().await;
    let ids: HashSet<String> =
        answers.into_iter().map(|answer| answer.unwrap().into_inner().agent.unwrap().id).collect();
    assert_eq!(ids.len(), 1);

    let other = suite.roster(here).create_agent(new_agent("bob", "once")).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn s2_another_account_finds_nobody_and_may_have_an_agent_with_the_same_id() {
    let suite = Suite::start().await;
    let (here, there) = (account(), account());
    let ada = suite.agent(here, "ada").await;

    let get = GetAgentRequest { agent_id: ada.id.clone() };
    let missing = GetAgentRequest { agent_id: frontdesk_clock::testing::new_id().to_string() };
    let foreign = suite.roster(there).get_agent(get).await.unwrap_err();
    let absent = suite.roster(there).get_agent(missing).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (Code::NotFound, absent.message()));
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    assert_eq!(suite.roster(there).deactivate_agent(deactivate).await.unwrap_err().code(), Code::NotFound);

    let mut taken = new_agent("eve", "r1");
    taken.agent_id = ada.id.clone();
    let refused = suite.roster(here).create_agent(taken.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("agent_id"), "{}", refused.message());

    let eve = suite.roster(there).create_agent(taken).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(eve.id, ada.id);
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    suite.roster(there).deactivate_agent(deactivate).await.unwrap();
    let get = GetAgentRequest { agent_id: ada.id.clone() };
    let still = suite.roster(here).get_agent(get).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(still, ada, "what one account does to its agent is no matter of the other's");
}

#[tokio::test]
async fn handles_and_addresses_are_one_agents_each_within_an_account() {
    let suite = Suite::start().await;
    let (here, there) = (account(), account());
    let mut ada = new_agent("ada", "1");
    ada.email = "Ada@Example.org".into();
    suite.roster(here).create_agent(ada.clone()).await.unwrap();
    suite.roster(there).create_agent(ada).await.unwrap();
    suite.agent(here, "bob").await;
    suite.agent(here, "cleo").await;

    let same_handle = suite.roster(here).create_agent(new_agent("ada", "2")).await.unwrap_err();
    let mut same_address = new_agent("adele", "3");
    same_address.email = "ada@example.org".into();
    let same_address = suite.roster(here).create_agent(same_address).await.unwrap_err();
    assert_eq!([reason(&same_handle), reason(&same_address)], ["HANDLE_TAKEN", "HANDLE_TAKEN"]);
}

#[tokio::test]
async fn an_edit_with_an_old_etag_is_refused_and_one_that_changes_nothing_keeps_it() {
    let suite = Suite::start().await;
    let here = account();
    let ada = suite.agent(here, "ada").await;
    suite.agent(here, "bob").await;
    let edit = |name: &str, etag: &str| UpdateAgentRequest {
        agent_id: ada.id.clone(),
        name: Some(name.into()),
        etag: etag.into(),
        ..UpdateAgentRequest::default()
    };
    let same = suite.roster(here).update_agent(edit("ADA", &ada.etag)).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(same.etag, ada.etag);
    suite.roster(here).update_agent(edit("Ada L", &ada.etag)).await.unwrap();
    assert_eq!(reason(&suite.roster(here).update_agent(edit("Ada", &ada.etag)).await.unwrap_err()), "ETAG_MISMATCH");
    let taken = UpdateAgentRequest { handle: Some("bob".into()), ..edit("Ada", "") };
    assert_eq!(reason(&suite.roster(here).update_agent(taken).await.unwrap_err()), "HANDLE_TAKEN");
}

#[tokio::test]
async fn the_roster_is_listed_by_name_in_pages_without_the_deactivated() {
    let suite = Suite::start().await;
    let here = account();
    for handle in ["dan", "ada", "cleo", "bob", "eve"] {
        suite.agent(here, handle).await;
    }
    let gone = suite.agent(here, "abe").await;
    suite.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id }).await.unwrap();

    let (mut handles, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListAgentsRequest { page_size: 2, page_token: token };
        let page = suite.roster(here).list_agents(request).await.unwrap().into_inner();
        handles.extend(page.agents.into_iter().map(|agent| agent.handle));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(handles, ["ada", "bob", "cleo", "dan", "eve"]);
}
