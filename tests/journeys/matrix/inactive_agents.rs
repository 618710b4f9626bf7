//! Every method that changes something, called by agents who are not active.

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{DeactivateAgentRequest, roster_service_client::RosterServiceClient},
    auth::v1::Principal,
};
use frontdesk_tests::{
    TestSuite, call_raw,
    fixture::{Fixture, methods},
    new_id, reason,
};
use prost_reflect::prost::Message;

/// Calls that change nothing in the fixture: its chat has the contact already, its channel and insert are not deleted, and a link is stored
/// nowhere.
const CHANGE_NOTHING: [&str; 4] = ["CreateAttachmentLink", "LinkContact", "UndeleteChannel", "UndeleteInsert"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_no_method_lets_an_agent_who_is_not_active_change_anything() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (gone, _) = account.agent("Gone").await;
    let deactivate = DeactivateAgentRequest { agent_id: gone.to_string() };
    RosterServiceClient::new(account.admin()).deactivate_agent(deactivate).await.unwrap();
    let fixture = Fixture::new(account, "word").await;
    let (mut refused, permissions) = (0, fixture.every_permission());
    for subject in [gone, new_id()] {
        let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions.clone_from(&permissions);
        let caller = fixture.account.with_claims(CallerKind::Agent, &subject.to_string(), permit);
        for declared in methods() {
            let name = declared.method.name();
            let reads = ["Get", "List", "Watch", "Explain", "Preview", "Render", "Search", "Validate"];
            let reads = reads.iter().any(|word| name.starts_with(word));
            // The clock of a server for development belongs to no account.
            if reads || !declared.principals.contains(&Principal::Agent) || name == "AdvanceTime" {
                continue;
            }
            let message = fixture.request(&declared.method).encode_to_vec();
            let answer = call_raw(&caller, &declared.path, fixture.call(Principal::Agent, &message)).await;
            if answer.is_ok() && CHANGE_NOTHING.contains(&name) {
                continue;
            }
            let reason = answer.as_ref().map_err(reason).map(|_| "accepted");
            let expected = ["AGENT_NOT_ACTIVE", "AGENT_DEACTIVATED", "NOT_ON_ROSTER"];
            assert!(reason.as_ref().is_err_and(|reason| expected.contains(&reason.as_str())), "{name}: {reason:?}");
            refused += 1;
        }
    }
    println!("{refused} calls refused");
    assert!(refused > 40, "{refused}");
}
