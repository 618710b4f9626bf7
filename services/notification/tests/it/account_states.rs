//! The consumer `notification.account_states`, and the mails that it stops: rules X2, T8.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    event::v1::{AccountState, AccountStateChanged, AccountStateConfirmed, Event},
    notification::internal::v1::{ListAccountRowsRequest, account_row_service_client::AccountRowServiceClient},
};
use frontdesk_testkit::{Mode, event, new_id, on_both_modes, wait_until};
use tonic::Request;

use crate::{
    chat::Chat,
    fixture::{ADDRESS, Fixture},
};

on_both_modes!(
    x2_t8_no_mail_of_a_suspended_account_is_sent_until_its_end_is_cancelled,
    x2_the_rows_of_an_account_that_has_ended_are_erased,
    x2_t5_the_exported_rows_have_no_hash_of_a_code,
);

/// How long after an account has ended its rows are erased.
const ERASED_AFTER: Duration = Duration::from_secs(60);

/// The service has handled a change of the account's state.
async fn change(chat: &Chat, account: AccountId, state: AccountState, version: i32) {
    let changed = AccountStateChanged { account_job_id: new_id().to_string(), state: state.into() };
    chat.fixture.service.deliver_again(&Event { version, ..event("conversation", account, &changed) }).await;
    chat.fixture.service.settled().await;
}

/// Number of transcripts in this state.
async fn transcripts(chat: &Chat, state: &str) -> i64 {
    chat.fixture.count(&format!("FROM deliveries WHERE kind = 'TRANSCRIPT' AND state = '{state}'")).await
}

async fn x2_t8_no_mail_of_a_suspended_account_is_sent_until_its_end_is_cancelled(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let account = chat.account().id;
    change(&chat, account, AccountState::Suspended, 1).await;
    // The close was before the suspension: it is decided, and its mail waits.
    chat.fixture.service.publish("conversation", account, &chat.closed_event()).await;
    chat.fixture.service.settled().await;
    assert_eq!((transcripts(&chat, "QUEUED").await, transcripts(&chat, "SENT").await), (1, 0));
    let mails = chat.fixture.mailbox().len();

    change(&chat, account, AccountState::Active, 2).await;
    wait_until("the mail", || async { transcripts(&chat, "SENT").await == 1 }).await;
    assert_eq!(chat.fixture.mailbox().len(), mails + 1);
}

async fn x2_the_rows_of_an_account_that_has_ended_are_erased(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let account = chat.account().id;
    chat.fixture.service.publish("conversation", account, &chat.closed_event()).await;
    wait_until("the mail", || async { transcripts(&chat, "SENT").await == 1 }).await;
    change(&chat, account, AccountState::Suspended, 1).await;
    change(&chat, account, AccountState::Ended, 2).await;
    chat.fixture.service.clock.advance(ERASED_AFTER).unwrap();
    wait_until("the confirmation of the erasure", || async {
        chat.fixture.service.appended::<AccountStateConfirmed>().await.len() == 2
    })
    .await;
    for table in ["deliveries", "delivery_mails", "transcript_decisions", "senders", "requests", "mail_accounts"] {
        assert_eq!(chat.fixture.count(&format!("FROM {table}")).await, 0, "{table}");
    }
    // The log of administrators' calls is kept for its time.
    assert!(chat.fixture.count("FROM audit_records").await > 0);
}

async fn x2_t5_the_exported_rows_have_no_hash_of_a_code(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.account.create_sender(ADDRESS, "1").await.unwrap();
    assert_eq!(fixture.count("FROM senders WHERE code_hash IS NOT NULL").await, 1);
    let mut request = Request::new(ListAccountRowsRequest::default());
    request.metadata_mut().insert("x-frontdesk-account", fixture.account.id.to_string().parse().unwrap());
    let calls = fixture.service.calls(fixture.account.id, CallerKind::Service, "conversation");
    let rows = AccountRowServiceClient::new(calls).list_account_rows(request).await.unwrap().into_inner();
    assert!(rows.next_cursor.is_empty());
    let senders: Vec<_> = rows.records.iter().filter(|row| row.contains("\"record\":\"senders\"")).collect();
    assert!(senders.len() == 1 && senders[0].contains(ADDRESS), "{senders:?}");
    assert!(rows.records.iter().all(|row| !row.contains("hash")), "{:?}", rows.records);
}
