//! The consumer `assignment.account_states`, and the routing that it stops: rules X2, A4, S2.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::{
        internal::v1::{ListAccountRowsRequest, account_row_service_client::AccountRowServiceClient},
        v1::{ListAgentsRequest, RoutingStrategy},
    },
    event::v1::{AccountState, AccountStateChanged, AccountStateConfirmed, Event},
};
use frontdesk_testkit::{Mode, event, new_id, reason, wait_until};
use tonic::{Code, Request, Status};

use crate::{
    fixture::{Fixture, account, anybody},
    routing::{handle, started},
};

frontdesk_testkit::on_both_modes! {
    x2_a_suspended_account_is_refused_until_its_end_is_cancelled,
    x2_a4_no_conversation_of_a_suspended_account_is_given_to_an_agent,
    x2_of_two_changes_the_later_version_wins_in_whatever_order_they_come,
    x2_the_rows_of_an_account_that_has_ended_are_erased_and_no_others,
    x2_s2_the_rows_of_one_account_are_exported,
}

/// How long after an account has ended its rows are erased.
const ERASED_AFTER: Duration = Duration::from_secs(60);

/// The service has handled a change of the account's state.
async fn change(service: &Fixture, account: AccountId, state: AccountState, version: i32) {
    let changed = AccountStateChanged { account_job_id: new_id().to_string(), state: state.into() };
    service.deliver_again(&Event { version, ..event("conversation", account, &changed) }).await;
    service.settled().await;
}

async fn list_agents(service: &Fixture, account: AccountId) -> Result<usize, Status> {
    Ok(service.roster(account).list_agents(ListAgentsRequest::default()).await?.into_inner().agents.len())
}

async fn confirmed(service: &Fixture) -> Vec<i32> {
    service.appended::<AccountStateConfirmed>().await.iter().map(|event| event.state_version).collect()
}

async fn x2_a_suspended_account_is_refused_until_its_end_is_cancelled(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, elsewhere) = (account(), account());
    service.agent(here, "ada").await;
    change(&service, here, AccountState::Suspended, 1).await;
    let refused = list_agents(&service, here).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ACCOUNT_ENDED"));
    assert_eq!(list_agents(&service, elsewhere).await.unwrap(), 0);
    change(&service, here, AccountState::Active, 2).await;
    assert_eq!(list_agents(&service, here).await.unwrap(), 1);
    assert_eq!(confirmed(&service).await, [1, 2]);
}

async fn x2_a4_no_conversation_of_a_suspended_account_is_given_to_an_agent(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (ends, stays) = (account(), account());
    let mut policies = Vec::new();
    for account in [ends, stays] {
        policies.push(service.policy(account, "All", anybody(RoutingStrategy::FewestOpen)).await);
        service.available(account, "ada", 5).await;
    }
    change(&service, ends, AccountState::Suspended, 1).await;
    let (waits, other) = (service.conversation(), service.conversation());
    handle(&service, &[started(ends, waits, &policies[0].id, 5)]).await;
    handle(&service, &[started(stays, other, &policies[1].id, 5)]).await;
    // It began to wait later.
    service.routed(other).await;
    assert_eq!(service.owner(waits), (1, String::new()));

    change(&service, ends, AccountState::Active, 2).await;
    service.routed(waits).await;
}

async fn x2_of_two_changes_the_later_version_wins_in_whatever_order_they_come(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    change(&service, here, AccountState::Active, 2).await;
    change(&service, here, AccountState::Suspended, 1).await;
    change(&service, here, AccountState::Active, 2).await;
    assert_eq!(list_agents(&service, here).await.unwrap(), 0);
    assert_eq!(confirmed(&service).await, [2]);
}

async fn x2_the_rows_of_an_account_that_has_ended_are_erased_and_no_others(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, elsewhere) = (account(), account());
    service.agent(here, "ada").await;
    service.agent(elsewhere, "bob").await;
    change(&service, here, AccountState::Suspended, 1).await;
    change(&service, here, AccountState::Ended, 2).await;
    service.clock.advance(ERASED_AFTER).unwrap();
    wait_until("the confirmation of the erasure", || async { confirmed(&service).await == [1, 2] }).await;
    assert!(rows(&service, here).await.is_err_and(|status| reason(&status) == "ACCOUNT_ENDED"));
    // As after a mistake of the platform: the end of an account is final, and its rows are gone.
    change(&service, here, AccountState::Active, 3).await;
    assert_eq!(list_agents(&service, here).await.unwrap(), 0);
    assert_eq!(rows(&service, here).await.unwrap(), Vec::<String>::new());
    assert_eq!(list_agents(&service, elsewhere).await.unwrap(), 1);
}

/// All rows of the account, as the export asks for them.
async fn rows(service: &Fixture, account: AccountId) -> Result<Vec<String>, Status> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut request = Request::new(ListAccountRowsRequest { cursor });
        request.metadata_mut().insert("x-frontdesk-account", account.to_string().parse().unwrap());
        let calls = service.calls(account, CallerKind::Service, "conversation");
        let page = AccountRowServiceClient::new(calls).list_account_rows(request).await?.into_inner();
        rows.extend(page.records);
        if page.next_cursor.is_empty() {
            return Ok(rows);
        }
        cursor = page.next_cursor;
    }
}

async fn x2_s2_the_rows_of_one_account_are_exported(mode: Mode) {
    let service = Fixture::start(mode).await;
    let (here, elsewhere) = (account(), account());
    service.agent(here, "ada").await;
    service.agent(elsewhere, "bob").await;
    // A suspended account is exported.
    change(&service, here, AccountState::Suspended, 1).await;
    let rows = rows(&service, here).await.unwrap();
    let agents = rows.iter().filter(|row| row.contains("\"record\":\"agents\"")).count();
    assert!(agents == 1 && rows.iter().any(|row| row.contains("ada")), "{rows:?}");
    assert!(rows.iter().all(|row| !row.contains("bob") && row.contains(&here.to_string())), "{rows:?}");
}
