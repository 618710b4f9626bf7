use frontdesk_proto::{
    assignment::v1::{Agent, UpdateAgentRequest},
    event::v1::AgentUpdated,
};
use frontdesk_testkit::Mode;
use tokio::task::JoinSet;
use tonic::Code;

use crate::fixture::{Fixture, account, rejection};

frontdesk_testkit::on_both_modes! {
    an_edit_with_an_old_etag_is_rejected_and_one_that_changes_nothing_keeps_the_etag,
    twenty_edits_of_one_etag_at_once_and_one_is_made,
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

async fn an_edit_with_an_old_etag_is_rejected_and_one_that_changes_nothing_keeps_the_etag(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let ada = service.agent(here, "ada").await;
    service.agent(here, "bob").await;
    let mut roster = service.roster(here);
    let same = roster.update_agent(rename(&ada, "ADA", &ada.etag)).await.unwrap().into_inner().agent.unwrap();
    assert_eq!(same, ada);
    assert!(service.appended::<AgentUpdated>().await.is_empty());
    let renamed = roster.update_agent(rename(&ada, "Ada L", &ada.etag)).await.unwrap().into_inner().agent.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.etag != ada.etag), ("Ada L", true));
    let late = roster.update_agent(rename(&ada, "Ada", &ada.etag)).await.unwrap_err();
    assert_eq!(rejection(&late), (Code::Aborted, "ETAG_MISMATCH".into()));
    let taken = UpdateAgentRequest { handle: Some("bob".into()), ..rename(&ada, "Ada", "") };
    let taken = roster.update_agent(taken).await.unwrap_err();
    assert_eq!(rejection(&taken), (Code::FailedPrecondition, "HANDLE_TAKEN".into()));
}

async fn twenty_edits_of_one_etag_at_once_and_one_is_made(mode: Mode) {
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

async fn s2_an_agent_of_another_account_is_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let ada = service.agent(account(), "ada").await;
    let foreign = service.roster(account()).update_agent(rename(&ada, "Eve", "")).await.unwrap_err();
    assert_eq!(rejection(&foreign), (Code::NotFound, "NOT_FOUND".into()));
}
