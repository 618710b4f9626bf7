use frontdesk_proto::{
    assignment::v1::{DeactivateAgentRequest, ReactivateAgentRequest},
    event::v1::AgentReactivated,
};
use frontdesk_testkit::Mode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection, take_over};

frontdesk_testkit::on_both_modes! {
    a2_a_reactivated_agent_takes_conversations_again,
    c12_twenty_reactivations_at_once_change_the_agent_once,
    s2_an_agent_of_another_account_is_not_found,
}

async fn a2_a_reactivated_agent_takes_conversations_again(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    let mut roster = service.roster(here);
    let reactivate = ReactivateAgentRequest { agent_id: ada.id.clone() };
    let active = roster.reactivate_agent(reactivate.clone()).await.unwrap().into_inner().agent;
    assert_eq!(active.as_ref(), Some(&ada), "an active agent stays as they are");
    assert!(service.appended::<AgentReactivated>().await.is_empty());

    roster.deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    let (conversation, mut calls) = (service.conversation(), service.calls_of(here, &ada));
    let deactivated = calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap_err();
    assert_eq!(rejection(&deactivated).1, "AGENT_DEACTIVATED");

    let again = roster.reactivate_agent(reactivate).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((again.deactivate_time, again.version), (None, 3));
    assert_eq!(service.agent_now(here, &ada).await, again);
    assert_eq!(service.appended::<AgentReactivated>().await, [AgentReactivated { agent_id: ada.id.clone() }]);
    calls.take_over_conversation(take_over(conversation, 1, "1")).await.unwrap();
    assert_eq!(service.owner(conversation), (2, ada.id));
}

async fn c12_twenty_reactivations_at_once_change_the_agent_once(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: ada.id.clone() }).await.unwrap();
    let mut reactivations = JoinSet::new();
    for _ in 0..20 {
        let (mut roster, agent_id) = (service.roster(here), ada.id.clone());
        reactivations.spawn(async move { roster.reactivate_agent(ReactivateAgentRequest { agent_id }).await });
    }
    for answer in reactivations.join_all().await {
        assert_eq!(answer.unwrap().into_inner().agent.unwrap().version, 3);
    }
    assert_eq!(service.appended::<AgentReactivated>().await.len(), 1);
}

async fn s2_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let reactivate = ReactivateAgentRequest { agent_id: ada.id };
    let foreign = service.roster(account()).reactivate_agent(reactivate).await.unwrap_err();
    assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
}
