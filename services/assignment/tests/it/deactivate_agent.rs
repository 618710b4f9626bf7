use frontdesk_proto::{assignment::v1::DeactivateAgentRequest, event::v1::AgentDeactivated};
use frontdesk_testkit::Mode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection, take_over};

frontdesk_testkit::on_both_modes! {
    a2_a_deactivated_agent_stays_known_and_keeps_conversations,
    c12_twenty_deactivations_at_once_change_the_agent_once,
    s2_an_agent_of_another_account_is_not_found,
}

async fn a2_a_deactivated_agent_stays_known_and_keeps_conversations(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let conversation = service.conversation();
    service.calls_of(here, &ada).take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    let deactivate = DeactivateAgentRequest { agent_id: ada.id.clone() };
    let deactivated = service.roster(here).deactivate_agent(deactivate).await.unwrap().into_inner().agent;

    let deactivated = deactivated.unwrap();
    assert_eq!(service.agent_now(here, &ada).await, deactivated);
    assert_eq!((deactivated.deactivate_time, deactivated.version), (deactivated.update_time, 2));
    assert!(deactivated.deactivate_time.is_some());
    assert_eq!(service.owner(conversation), (2, ada.id));
    let history = service.history(here, conversation).await;
    assert_eq!(history[0].owner.as_ref().unwrap().name, "ADA", "the name stays in the history");
}

async fn c12_twenty_deactivations_at_once_change_the_agent_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut deactivations = JoinSet::new();
    for _ in 0..20 {
        let (mut roster, agent_id) = (service.roster(here), ada.id.clone());
        deactivations.spawn(async move { roster.deactivate_agent(DeactivateAgentRequest { agent_id }).await });
    }
    let mut etags: Vec<String> = Vec::new();
    for answer in deactivations.join_all().await {
        etags.push(answer.unwrap().into_inner().agent.unwrap().etag);
    }
    etags.dedup();
    assert_eq!(etags.len(), 1, "one change, one new etag");
    assert_ne!(etags[0], ada.etag);
    assert_eq!(service.appended::<AgentDeactivated>().await.len(), 1);
}

async fn s2_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let deactivate = DeactivateAgentRequest { agent_id: ada.id };
    let foreign = service.roster(account()).deactivate_agent(deactivate).await.unwrap_err();
    assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
}
