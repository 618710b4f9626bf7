//! The end of an account: everything that was played in it is in the file of its export, and no byte of it is left after its erasure, while
//! another account goes on.

use std::time::Duration;

use frontdesk_proto::{
    assignment::v1::{ListAgentsRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{ListBotsRequest, bot_service_client::BotServiceClient},
    conversation::v1::{
        AccountJob, AccountJobStatus, CancelAccountEndRequest, CreateAccountExportLinkRequest, EndAccountRequest,
        GetAccountJobRequest, ListChannelsRequest, account_job_service_client::AccountJobServiceClient,
        channel_service_client::ChannelServiceClient,
    },
    notification::v1::{ListSendersRequest, sender_service_client::SenderServiceClient},
};
use frontdesk_tests::{Account, TestSuite, download, reason, request_id, wait_for, wait_until};
use serde_json::Value;
use tonic::Status;

use crate::erasures::{PLANTED, WORD, places, play};

const HOUR: Duration = Duration::from_secs(3600);

async fn end(account: &Account) -> AccountJob {
    let request = EndAccountRequest {
        account_id: account.id.to_string(),
        request_id: request_id(),
        erase_delay: Some(HOUR.try_into().unwrap()),
    };
    let answer = AccountJobServiceClient::new(account.admin()).end_account(request).await.unwrap();
    answer.into_inner().account_job.unwrap()
}

/// Waits until `holds` is true of the job.
async fn job(account: &Account, id: &str, holds: impl Fn(&AccountJob) -> bool) -> AccountJob {
    wait_for("the job", || async {
        let request = GetAccountJobRequest { account_job_id: id.to_owned() };
        let answer = AccountJobServiceClient::new(account.admin()).get_account_job(request).await.ok()?;
        answer.into_inner().account_job.filter(&holds)
    })
    .await
}

/// A call of each service by an administrator.
async fn calls(account: &Account) -> [Result<(), Status>; 4] {
    [
        ChannelServiceClient::new(account.admin()).list_channels(ListChannelsRequest::default()).await.map(drop),
        RosterServiceClient::new(account.admin()).list_agents(ListAgentsRequest::default()).await.map(drop),
        BotServiceClient::new(account.admin()).list_bots(ListBotsRequest::default()).await.map(drop),
        SenderServiceClient::new(account.admin()).list_senders(ListSendersRequest::default()).await.map(drop),
    ]
}

/// Waits until every service has suspended the account, and until nothing of it runs any more.
async fn suspended(suite: &TestSuite, account: &Account, id: &str) {
    job(account, id, |job| job.missing_services.is_empty()).await;
    suite.advance(Duration::from_secs(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_an_account_that_ends_is_exported_and_then_no_byte_of_it_is_left() {
    let suite = TestSuite::start().await;
    let (account, other) = (suite.account().await, suite.account().await);
    account.fallback_sender().await;
    let (_, agent) = account.agent("Canary Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let other_channel = other.channel(None).await;
    let bystander = other.start_chat(other.known_visitor("w", "sparrow@x.example"), &other_channel).await;
    bystander.say("Sparrow text").await.unwrap();
    let chat = play(&account, &agent, &channel).await;
    suite.settled().await;
    assert!(!places(&suite, WORD).await.is_empty(), "the search finds the word");

    let id = end(&account).await.id;
    wait_until("the visitor to be refused", || async {
        chat.say("Still there?").await.is_err_and(|status| reason(&status) == "ACCOUNT_ENDED")
    })
    .await;
    suspended(&suite, &account, &id).await;
    wait_until("every service to refuse the account", || async {
        calls(&account).await.iter().all(|call| call.as_ref().is_err_and(|status| reason(status) == "ACCOUNT_ENDED"))
    })
    .await;

    job(&account, &id, |job| job.status() == AccountJobStatus::Waiting).await;
    let link = CreateAccountExportLinkRequest { account_job_id: id.clone() };
    let link = AccountJobServiceClient::new(account.admin()).create_account_export_link(link).await.unwrap();
    let text = String::from_utf8(download(&link.into_inner().url).await).unwrap();
    let missing: Vec<_> = PLANTED.iter().filter(|planted| !text.contains(**planted)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in {text}");
    assert!(text.contains("Canary Ada") && !text.to_lowercase().contains("sparrow"), "{text}");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (service, table) in [
        ("conversation", "channels"),
        ("assignment", "assignments"),
        ("bot-session", "bot_flows"),
        ("notification", "deliveries"),
    ] {
        let is_of = |record: &&Value| record["service"] == service && record["record"] == table;
        assert!(records.iter().any(|record| is_of(&record)), "no {table} in {text}");
    }
    let file = records.iter().find(|record| record["record"] == "attachments").unwrap();
    assert_eq!(download(file["url"].as_str().unwrap()).await, b"canary bytes");

    suite.advance(HOUR);
    job(&account, &id, |job| job.status() == AccountJobStatus::Erasing).await;
    // Each service erases a minute after it knows that the account has ended.
    suite.settled().await;
    suite.advance(Duration::from_secs(60));
    job(&account, &id, |job| job.missing_services.is_empty()).await;
    suite.advance(Duration::from_secs(13));
    job(&account, &id, |job| job.status() == AccountJobStatus::Done).await;
    suite.settled().await;
    assert_eq!(places(&suite, WORD).await, Vec::<String>::new());
    assert!(!places(&suite, "sparrow").await.is_empty(), "another account stays");
    assert_eq!(end(&account).await.id, id, "an account ends once");
    assert!(calls(&other).await.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x2_an_account_whose_end_is_cancelled_goes_on_in_every_service() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "vera@x.example"), &channel).await;
    let id = end(&account).await.id;
    suspended(&suite, &account, &id).await;
    job(&account, &id, |job| job.status() == AccountJobStatus::Waiting).await;
    let cancel = CancelAccountEndRequest { account_job_id: id.clone() };
    AccountJobServiceClient::new(account.admin()).cancel_account_end(cancel).await.unwrap();
    wait_until("every service to serve the account", || async { calls(&account).await.iter().all(Result::is_ok) })
        .await;
    wait_for("the chat to go on", || async { chat.say("Hello again").await.ok() }).await;
}
