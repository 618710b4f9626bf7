//! `AccountJobService`: rules X2, C12, S2, S4.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::internal::v1 as assignment,
    botsession::internal::v1 as botsession,
    conversation::v1::{
        AccountJob, AccountJobStatus, CancelAccountEndRequest, CreateAccountExportLinkRequest, EndAccountRequest,
        GetAccountJobRequest, GetConversationRequest, ListAccountJobsRequest, ListChannelsRequest, SendMessageRequest,
        UpdateSettingsRequest, account_job_service_client::AccountJobServiceClient,
        conversation_service_client::ConversationServiceClient,
    },
    event::v1::{AccountErased, AccountState, AccountStateChanged, AccountStateConfirmed},
    notification::internal::v1 as notification,
};
use frontdesk_testkit::{Calls, Mode, metadata, on_both_modes, reason, request_id, wait_for, wait_until};
use http::StatusCode;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::Value;
use tonic::{Code, Request, Status};

use crate::{
    attachments,
    fixture::{ADA, Fixture, start, twenty},
};

on_both_modes!(
    x2_an_account_that_ends_is_suspended_then_exported_then_erased,
    x2_the_callers_of_an_account_that_ends_are_refused_with_its_reason,
    x2_the_end_of_an_account_is_cancelled_until_the_erasure_begins,
    x2_an_account_ends_also_after_its_settings_changed_and_they_change_after_a_cancelled_end,
    x2_an_export_says_which_service_of_the_account_is_missing_and_goes_on_when_it_answers,
    x2_a_long_export_delays_the_end_of_no_other_account,
    x2_a_confirmation_counts_once_and_for_its_state,
    x2_c12_an_account_ends_once_also_of_twenty_calls_at_once,
    x2_without_a_public_address_no_account_ends,
    s2_another_account_cannot_be_ended,
    x2_agents_end_no_account,
);

/// What is running when the last service has suspended an account has ended after this time.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// How long after an account has ended its rows are erased.
const ERASED_AFTER: Duration = Duration::from_secs(60);
/// A reader may get what it had read before for this long.
const READ_BEFORE: Duration = Duration::from_secs(13);
const DAY: Duration = Duration::from_secs(24 * 3600);
const OTHERS: [&str; 3] = ["assignment", "bot-session", "notification"];

/// From now on the other services answer with one row each.
fn serve_rows(fixture: &Fixture) {
    let fake = &fixture.service.fake;
    let record = |table: &str| vec![format!("{{\"record\":\"{table}\"}}")];
    let records = record("assignments");
    fake.on(move |_: Request<assignment::ListAccountRowsRequest>| {
        Ok(assignment::ListAccountRowsResponse { records: records.clone(), ..Default::default() })
    });
    let records = record("bots");
    fake.on(move |_: Request<botsession::ListAccountRowsRequest>| {
        Ok(botsession::ListAccountRowsResponse { records: records.clone(), ..Default::default() })
    });
    let records = record("deliveries");
    fake.on(move |request: Request<notification::ListAccountRowsRequest>| {
        // Two pages.
        let is_first = request.get_ref().cursor.is_empty();
        let next_cursor = if is_first { "next".into() } else { String::new() };
        Ok(notification::ListAccountRowsResponse { records: records.clone(), next_cursor })
    });
}

fn jobs(fixture: &Fixture) -> AccountJobServiceClient<Calls> {
    AccountJobServiceClient::new(fixture.service.calls(fixture.account, CallerKind::Admin, "root"))
}

fn request(fixture: &Fixture) -> EndAccountRequest {
    EndAccountRequest {
        account_id: fixture.account.to_string(),
        request_id: request_id(),
        erase_delay: Some(DAY.try_into().unwrap()),
    }
}

async fn end(fixture: &Fixture) -> AccountJob {
    jobs(fixture).end_account(request(fixture)).await.unwrap().into_inner().account_job.unwrap()
}

async fn cancel(fixture: &Fixture, id: &str) -> Result<AccountJob, Status> {
    let request = CancelAccountEndRequest { account_job_id: id.into() };
    Ok(jobs(fixture).cancel_account_end(request).await?.into_inner().account_job.unwrap())
}

async fn job(fixture: &Fixture, id: &str) -> AccountJob {
    let request = GetAccountJobRequest { account_job_id: id.into() };
    jobs(fixture).get_account_job(request).await.unwrap().into_inner().account_job.unwrap()
}

async fn until(fixture: &Fixture, id: &str, status: AccountJobStatus) -> AccountJob {
    wait_for("the status of the job", || async { Some(job(fixture, id).await).filter(|job| job.status() == status) })
        .await
}

async fn link(fixture: &Fixture, id: &str) -> Result<String, Status> {
    let request = CreateAccountExportLinkRequest { account_job_id: id.into() };
    Ok(jobs(fixture).create_account_export_link(request).await?.into_inner().url)
}

/// Another service confirms the state with this version.
async fn confirm(fixture: &Fixture, service: &str, id: &str, state_version: i32) {
    let confirmed = AccountStateConfirmed { account_job_id: id.into(), state_version };
    fixture.service.publish(service, fixture.account, &confirmed).await;
}

/// The versions of the account's states that were announced.
async fn announced(fixture: &Fixture) -> Vec<AccountState> {
    fixture.service.appended::<AccountStateChanged>().await.iter().map(AccountStateChanged::state).collect()
}

/// Every other service has suspended the account, and nothing runs any more.
async fn suspended(fixture: &Fixture, id: &str) {
    for service in OTHERS {
        confirm(fixture, service, id, 1).await;
    }
    wait_until("the confirmations", || async { job(fixture, id).await.missing_services.is_empty() }).await;
    fixture.service.clock.advance(SETTLED_AFTER).unwrap();
}

async fn rows_of_account(fixture: &Fixture, table: &str) -> i64 {
    let db = fixture.service.db.read();
    let account = match fixture.service.mode {
        Mode::Embedded => format!("x'{}'", fixture.account.0.simple()),
        Mode::Distributed => format!("'{}'", fixture.account),
    };
    let sql = format!("SELECT count(*) AS number FROM {table} WHERE account_id = {account}");
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
}

async fn x2_an_account_that_ends_is_suspended_then_exported_then_erased(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_rows(&fixture);
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await;
    fixture.post(&chat.id, "canary text").await;

    let job = end(&fixture).await;
    assert_eq!((job.status(), &job.account_id), (AccountJobStatus::Suspending, &fixture.account.to_string()));
    assert_eq!(job.missing_services, OTHERS);
    assert_eq!(announced(&fixture).await, [AccountState::Suspended]);
    assert_eq!(reason(&link(&fixture, &job.id).await.unwrap_err()), "ACCOUNT_EXPORT_NOT_READY");
    suspended(&fixture, &job.id).await;

    let waiting = until(&fixture, &job.id, AccountJobStatus::Waiting).await;
    assert!(waiting.erase_time.is_some() && waiting.missing_services.is_empty());
    let url = link(&fixture, &job.id).await.unwrap();
    let (status, _, bytes) = attachments::get(&fixture, &url).await;
    assert_eq!(status, StatusCode::OK);
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&records[0]["record"], &records[records.len() - 1]["record"]), (&"export".into(), &"end".into()));
    assert_eq!(records[records.len() - 1]["records"].as_u64(), Some(records.len() as u64 - 1));
    let of = |service: &str, table: &str| {
        records.iter().filter(|record| record["service"] == service && record["record"] == table).count()
    };
    assert_eq!((of("conversation", "conversations"), of("conversation", "channels")), (1, 1));
    assert!(text.contains("canary text") && of("conversation", "entries") > 0);
    assert_eq!(
        (of("assignment", "assignments"), of("bot-session", "bots"), of("notification", "deliveries")),
        (1, 1, 2)
    );

    fixture.service.clock.advance(DAY).unwrap();
    let erasing = until(&fixture, &job.id, AccountJobStatus::Erasing).await;
    assert!(erasing.missing_services.contains(&"assignment".to_owned()));
    let changes = fixture.service.appended::<AccountStateChanged>().await;
    assert_eq!(changes[changes.len() - 1].state(), AccountState::Ended);
    fixture.service.clock.advance(ERASED_AFTER).unwrap();
    // Its own confirmation of the suspension is the second event about the account.
    for service in OTHERS {
        confirm(&fixture, service, &job.id, 3).await;
    }
    wait_until("the confirmations", || async { self::job(&fixture, &job.id).await.missing_services.is_empty() }).await;
    fixture.service.clock.advance(READ_BEFORE).unwrap();
    let done = until(&fixture, &job.id, AccountJobStatus::Done).await;
    assert!(done.end_time.is_some());
    for table in ["conversations", "entries", "channels", "visitors", "search_words", "requests"] {
        assert_eq!(rows_of_account(&fixture, table).await, 0, "{table}");
    }
    assert_eq!(fixture.service.appended::<AccountErased>().await.len(), 1);
    let (status, ..) = attachments::get(&fixture, &url).await;
    assert!(status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN, "{status}");
    // The record of the job is kept, and an account ends once.
    assert_eq!(end(&fixture).await.id, job.id);
    let listed = jobs(&fixture).list_account_jobs(ListAccountJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.account_jobs, [done]);
}

async fn x2_the_callers_of_an_account_that_ends_are_refused_with_its_reason(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let chat = fixture.chat_on(&channel, "v").await;
    end(&fixture).await;
    let get = GetConversationRequest { conversation_id: chat.id.clone() };
    let send = SendMessageRequest {
        chat_id: chat.id.clone(),
        text: "Hello".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let refusals = [
        fixture.conversations(ADA).get_conversation(get.clone()).await.map(drop),
        fixture.chats("v").send_message(send).await.map(drop),
        fixture.chats("w").start_chat(start(&channel.id)).await.map(drop),
        fixture.channels().list_channels(ListChannelsRequest::default()).await.map(drop),
    ];
    for refused in refusals {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ACCOUNT_ENDED"));
    }
    // What began before goes on: services act for a suspended account.
    let get = fixture.on_behalf_of("service:assignment", get);
    ConversationServiceClient::new(fixture.as_service("assignment")).get_conversation(get).await.unwrap();
    let elsewhere = fixture.in_another_account();
    let mut channels =
        frontdesk_proto::conversation::v1::channel_service_client::ChannelServiceClient::new(elsewhere.as_admin());
    channels.list_channels(ListChannelsRequest::default()).await.unwrap();
}

async fn x2_the_end_of_an_account_is_cancelled_until_the_erasure_begins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_rows(&fixture);
    let chat = fixture.chat("v").await;
    let first = end(&fixture).await;
    let cancelled = cancel(&fixture, &first.id).await.unwrap();
    assert_eq!(cancelled.status(), AccountJobStatus::Cancelled);
    assert_eq!(cancel(&fixture, &first.id).await.unwrap(), cancelled);
    assert_eq!(announced(&fixture).await, [AccountState::Suspended, AccountState::Active]);
    // The account is in use again.
    fixture.post(&chat.id, "Hello again").await;
    // A confirmation that comes late changes nothing.
    confirm(&fixture, "assignment", &first.id, 1).await;
    fixture.service.settled().await;
    assert_eq!(job(&fixture, &first.id).await, cancelled);

    let second = end(&fixture).await;
    assert_ne!(second.id, first.id);
    // Two changes, and two own confirmations, were before.
    for service in OTHERS {
        confirm(&fixture, service, &second.id, 5).await;
    }
    wait_until("the confirmations", || async { job(&fixture, &second.id).await.missing_services.is_empty() }).await;
    fixture.service.clock.advance(SETTLED_AFTER).unwrap();
    until(&fixture, &second.id, AccountJobStatus::Waiting).await;
    fixture.service.clock.advance(DAY).unwrap();
    until(&fixture, &second.id, AccountJobStatus::Erasing).await;
    let refused = cancel(&fixture, &second.id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ACCOUNT_ERASURE_BEGUN"));
    assert_eq!(metadata(&refused, "status"), "ERASING");
}

async fn x2_an_account_ends_also_after_its_settings_changed_and_they_change_after_a_cancelled_end(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let change_settings = async || {
        for enabled in [false, true, false, true] {
            let update = UpdateSettingsRequest {
                visitor_attachments_enabled: Some(enabled),
                ..UpdateSettingsRequest::default()
            };
            fixture.settings().update_settings(update).await.unwrap();
        }
    };
    change_settings().await;
    let first = end(&fixture).await;
    cancel(&fixture, &first.id).await.unwrap();
    change_settings().await;
    let second = end(&fixture).await;
    cancel(&fixture, &second.id).await.unwrap();
    let [suspended, active] = [AccountState::Suspended, AccountState::Active];
    assert_eq!(announced(&fixture).await, [suspended, active, suspended, active]);
    change_settings().await;
}

async fn x2_an_export_says_which_service_of_the_account_is_missing_and_goes_on_when_it_answers(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    serve_rows(&fixture);
    fixture.service.fake.on(|_: Request<notification::ListAccountRowsRequest>| {
        Err::<notification::ListAccountRowsResponse, _>(Status::unavailable("for a test"))
    });
    let id = end(&fixture).await.id;
    suspended(&fixture, &id).await;
    let failed =
        wait_for("a failed attempt", || async { Some(job(&fixture, &id).await).filter(|job| !job.failure.is_empty()) })
            .await;
    assert_eq!(failed.status(), AccountJobStatus::Exporting);
    assert_eq!(failed.missing_services, ["notification"]);
    assert!(failed.failure.contains("notification"), "{}", failed.failure);
    serve_rows(&fixture);
    fixture.service.clock.advance(Duration::from_secs(15)).unwrap();
    let waiting = until(&fixture, &id, AccountJobStatus::Waiting).await;
    assert!(waiting.failure.is_empty());
    link(&fixture, &id).await.unwrap();
}

async fn x2_a_long_export_delays_the_end_of_no_other_account(mode: Mode) {
    let mut fixture = Fixture::start(mode).await;
    serve_rows(&fixture);
    let is_long = Arc::new(AtomicBool::new(true));
    let (long, account) = (is_long.clone(), fixture.account.to_string());
    // Another page follows each until the test ends it.
    fixture.service.fake.on(move |request: Request<notification::ListAccountRowsRequest>| {
        let caller = request.metadata().get("x-frontdesk-account").and_then(|value| value.to_str().ok());
        let is_long = caller == Some(account.as_str()) && long.load(Ordering::SeqCst);
        let next_cursor = if is_long { "next".into() } else { String::new() };
        Ok(notification::ListAccountRowsResponse { records: vec![r#"{"record":"deliveries"}"#.into()], next_cursor })
    });
    let first = fixture.account;
    let long_job = end(&fixture).await.id;
    suspended(&fixture, &long_job).await;
    wait_until("the long part", || async { fixture.service.fake.calls::<notification::ListAccountRowsRequest>() > 2 })
        .await;

    let other = fixture.in_another_account().account;
    fixture.account = other;
    let other_job = end(&fixture).await.id;
    suspended(&fixture, &other_job).await;
    until(&fixture, &other_job, AccountJobStatus::Waiting).await;
    link(&fixture, &other_job).await.unwrap();

    fixture.account = first;
    assert_eq!(job(&fixture, &long_job).await.status(), AccountJobStatus::Exporting);
    is_long.store(false, Ordering::SeqCst);
    until(&fixture, &long_job, AccountJobStatus::Waiting).await;
    let (status, _, bytes) = attachments::get(&fixture, &link(&fixture, &long_job).await.unwrap()).await;
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(status == StatusCode::OK && text.lines().last().unwrap().contains("\"end\""), "{status}");
}

async fn x2_a_confirmation_counts_once_and_for_its_state(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let id = end(&fixture).await.id;
    for (service, state_version) in [("assignment", 1), ("assignment", 1), ("bot-session", 2), ("notification", 7)] {
        confirm(&fixture, service, &id, state_version).await;
    }
    fixture.service.settled().await;
    let job = job(&fixture, &id).await;
    assert_eq!(
        (job.status(), job.missing_services),
        (AccountJobStatus::Suspending, vec!["bot-session".to_owned(), "notification".to_owned()])
    );
}

async fn x2_c12_an_account_ends_once_also_of_twenty_calls_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ended = twenty(|_| end(&fixture)).await;
    assert!(ended.iter().all(|job| job.id == ended[0].id));
    assert_eq!(announced(&fixture).await, [AccountState::Suspended]);
    let listed = jobs(&fixture).list_account_jobs(ListAccountJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.account_jobs.len(), 1);
}

async fn x2_without_a_public_address_no_account_ends(mode: Mode) {
    let fixture = Fixture::start_with(mode, |settings| settings.public_url.clear()).await;
    let refused = jobs(&fixture).end_account(request(&fixture)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ATTACHMENTS_DISABLED"));
    fixture.channel().await;
}

async fn s2_another_account_cannot_be_ended(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let elsewhere = fixture.in_another_account();
    let mut theirs = AccountJobServiceClient::new(elsewhere.as_admin());
    let refused = theirs.end_account(request(&fixture)).await.unwrap_err();
    assert_eq!((refused.code(), metadata(&refused, "resource")), (Code::NotFound, "account".into()));
    assert!(announced(&fixture).await.is_empty());
    let id = end(&fixture).await.id;
    let cancel = CancelAccountEndRequest { account_job_id: id.clone() };
    assert_eq!(theirs.cancel_account_end(cancel).await.unwrap_err().code(), Code::NotFound);
    let get = GetAccountJobRequest { account_job_id: id };
    assert_eq!(theirs.get_account_job(get).await.unwrap_err().code(), Code::NotFound);
}

async fn x2_agents_end_no_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["account.end".into()];
    let agent = fixture.service.calls_with(fixture.account, CallerKind::Agent, &ADA.to_string(), permit);
    let without = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["contacts.erase".into()];
    let admin = fixture.service.calls_with(fixture.account, CallerKind::Admin, "root", without);
    for calls in [agent, admin] {
        let refused = AccountJobServiceClient::new(calls).end_account(request(&fixture)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}
