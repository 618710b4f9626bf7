use frontdesk_db::AccountId;
use frontdesk_proto::assignment::v1::{DeactivateAgentRequest, ListAgentsRequest};
use frontdesk_testkit::Mode;

use crate::fixture::{Fixture, account};

frontdesk_testkit::on_both_modes! {
    the_roster_is_listed_by_name_in_pages_without_deactivated_agents,
    s2_another_account_lists_its_own_agents,
}

/// Handles of the whole roster, read in pages of two.
async fn handles(service: &Fixture, account: AccountId) -> Vec<String> {
    let (mut handles, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListAgentsRequest { page_size: 2, page_token: token };
        let page = service.roster(account).list_agents(request).await.unwrap().into_inner();
        handles.extend(page.agents.into_iter().map(|agent| agent.handle));
        token = page.next_page_token;
        if token.is_empty() {
            return handles;
        }
    }
}

async fn the_roster_is_listed_by_name_in_pages_without_deactivated_agents(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    for handle in ["dan", "ada", "cleo", "bob", "eve"] {
        service.agent(here, handle).await;
    }
    let abe = service.agent(here, "abe").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: abe.id }).await.unwrap();
    assert_eq!(handles(&service, here).await, ["ada", "bob", "cleo", "dan", "eve"]);
}

async fn s2_another_account_lists_its_own_agents(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, there) = (account(), account());
    service.agent(here, "ada").await;
    service.agent(there, "zed").await;
    assert_eq!(handles(&service, there).await, ["zed"]);
}
