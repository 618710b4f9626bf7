use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{Agent, DeactivateAgentRequest, ListAgentsRequest};
use frontdesk_testkit::Mode;
use tonic::Code;

use crate::fixture::{Fixture, account};

frontdesk_testkit::on_both_modes! {
    the_roster_is_listed_by_name_in_pages_and_deactivated_agents_only_when_they_are_asked_for,
    s2_another_account_lists_its_own_agents,
}

/// The whole roster, read in pages of two.
async fn list(service: &Fixture, account: AccountId, show_deactivated: bool) -> Vec<Agent> {
    let (mut agents, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAgentsRequest { show_deactivated, page_size: 2, page_token, ..ListAgentsRequest::default() };
        let page = service.roster(account).list_agents(request).await.unwrap().into_inner();
        agents.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return agents;
        }
    }
}

fn handles(agents: &[Agent]) -> Vec<&str> {
    agents.iter().map(|agent| agent.handle.as_str()).collect()
}

async fn the_roster_is_listed_by_name_in_pages_and_deactivated_agents_only_when_they_are_asked_for(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    for handle in ["dan", "ada", "cleo", "bob", "eve"] {
        service.agent(here, handle).await;
    }
    let abe = service.agent(here, "abe").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: abe.id }).await.unwrap();
    assert_eq!(handles(&list(&service, here, false).await), ["ada", "bob", "cleo", "dan", "eve"]);
    let all = list(&service, here, true).await;
    assert_eq!(handles(&all), ["abe", "ada", "bob", "cleo", "dan", "eve"]);
    assert!(all.iter().all(|agent| agent.deactivate_time.is_some() == (agent.handle == "abe")));

    let first = ListAgentsRequest { page_size: 2, ..ListAgentsRequest::default() };
    let page_token = service.roster(here).list_agents(first).await.unwrap().into_inner().next_page_token;
    let other_filter =
        ListAgentsRequest { show_deactivated: true, page_size: 2, page_token, ..ListAgentsRequest::default() };
    let refused = service.roster(here).list_agents(other_filter).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "a token is of one filter");
}

async fn s2_another_account_lists_its_own_agents(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    service.agent(here, "ada").await;
    service.agent(there, "zed").await;
    assert_eq!(handles(&list(&service, there, true).await), ["zed"]);
}
