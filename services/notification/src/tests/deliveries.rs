use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_bus::Consumer;
use frontdesk_proto::event::v1::{DeliveryFailed, DeliveryParked, DeliverySent};
use sea_orm::DbBackend;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

use super::{Suite, closed_event, facts, key};
use crate::{
    NotificationSettings, SmtpSettings, SmtpTls,
    commands::{self, CreateSender},
    consumers::DecideTranscripts,
    domain::State,
    error::NotificationError,
    store,
};

async fn queue_a_code(suite: &Suite) -> Uuid {
    let admin = suite.caller(CallerKind::Admin);
    let command = CreateSender { address: "team@acme.example".into(), display_name: String::new() };
    let (_, delivery) = commands::create_sender(&suite.app, &admin, &key(&admin, "1", ""), command).await.unwrap();
    delivery.unwrap()
}

/// A mail server that takes every mail and answers the n-th with `answers[n]`; none: it hangs up instead.
async fn mail_server(answers: &'static [&'static str]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            stream.get_mut().write_all(b"220 test\r\n").await.unwrap();
            let (mut line, mut in_mail) = (String::new(), false);
            loop {
                line.clear();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    break;
                }
                let answer = match line.trim_end() {
                    "." if in_mail => {
                        in_mail = false;
                        match answers.get(counter.fetch_add(1, Ordering::SeqCst)) {
                            Some(answer) => answer,
                            None => break,
                        }
                    }
                    _ if in_mail => continue,
                    "DATA" => {
                        in_mail = true;
                        "354 go on"
                    }
                    _ => "250 ok",
                };
                stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
        }
    });
    (port, seen)
}

fn smtp(port: u16) -> NotificationSettings {
    let timeout = Duration::from_secs(2);
    NotificationSettings {
        smtp: SmtpSettings { host: "127.0.0.1".into(), port, tls: SmtpTls::None, timeout, ..SmtpSettings::default() },
        retry_pause: Duration::from_millis(20),
        ..NotificationSettings::default()
    }
}

async fn state(suite: &Suite) -> State {
    suite.deliveries().await[0].state
}

#[tokio::test]
async fn t8_a_mail_reaches_the_mailbox_once_and_its_bytes_are_forgotten() {
    let suite = Suite::start().await;
    let id = queue_a_code(&suite).await;
    suite.work_until(async || state(&suite).await == State::Sent).await;
    assert_eq!(suite.mailbox().len(), 1);
    assert!(suite.mailbox()[0].contains(&format!("<{id}@localhost.localdomain>")));
    let sent = suite.events::<DeliverySent>().await;
    assert_eq!((sent.len(), sent[0].delivery_id.as_str()), (1, id.to_string().as_str()));
    let tx = suite.app.db.begin().await.unwrap();
    assert_eq!(store::deliveries::find_mail(&tx, suite.account, id).await.unwrap(), None);
}

#[tokio::test]
async fn t8_what_may_pass_is_tried_again_until_it_is_sent() {
    let (port, seen) = mail_server(&["451 later", "452 full", "250 ok 7"]).await;
    let suite = Suite::with(smtp(port)).await;
    queue_a_code(&suite).await;
    suite.work_until(async || state(&suite).await == State::Sent).await;
    let delivery = &suite.deliveries().await[0];
    assert_eq!((delivery.attempts, delivery.last_response.as_str()), (3, "250 ok 7"));
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn t8_a_final_refusal_fails_and_a_retry_sends_the_same_mail() {
    let (port, _) = mail_server(&["550 no", "250 ok"]).await;
    let suite = Suite::with(smtp(port)).await;
    let id = queue_a_code(&suite).await;
    suite.work_until(async || state(&suite).await == State::Failed).await;
    assert_eq!(suite.events::<DeliveryFailed>().await.len(), 1);
    let before = suite.deliveries().await[0].message_id.clone();
    let caller = suite.caller(CallerKind::Agent);
    commands::retry_delivery(&suite.app, &caller, id).await.unwrap();
    suite.work_until(async || state(&suite).await == State::Sent).await;
    assert_eq!(suite.deliveries().await[0].message_id, before);
}

#[tokio::test]
async fn t8_two_unknown_outcomes_park_it() {
    let (port, seen) = mail_server(&[]).await;
    let suite = Suite::with(smtp(port)).await;
    let id = queue_a_code(&suite).await;
    suite.work_until(async || state(&suite).await == State::Parked).await;
    assert_eq!(seen.load(Ordering::SeqCst), 2, "once, and once more");
    assert_eq!(suite.events::<DeliveryParked>().await.len(), 1);
    let caller = suite.caller(CallerKind::Agent);
    let cancelled = commands::cancel_delivery(&suite.app, &caller, id).await.unwrap();
    assert_eq!(cancelled.state, State::Cancelled);
    let refused = commands::retry_delivery(&suite.app, &caller, id).await;
    assert!(matches!(refused, Err(NotificationError::DeliveryState(State::Cancelled))));
}

#[tokio::test]
async fn t8_a_worker_that_died_amid_an_attempt_leaves_an_unknown_outcome() {
    let (port, seen) = mail_server(&["250 ok", "250 ok"]).await;
    let suite = Suite::with(smtp(port)).await;
    queue_a_code(&suite).await;
    die_amid_an_attempt(&suite).await;
    suite.work_until(async || state(&suite).await == State::Sent).await;
    let delivery = &suite.deliveries().await[0];
    assert_eq!((delivery.unknown_outcomes, delivery.attempts), (1, 2));
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn t8_with_a_mailbox_folder_an_interrupted_attempt_is_simply_made_again() {
    let suite = Suite::start().await;
    queue_a_code(&suite).await;
    die_amid_an_attempt(&suite).await;
    suite.work_until(async || state(&suite).await == State::Sent).await;
    assert_eq!(suite.deliveries().await[0].unknown_outcomes, 0);
    assert_eq!(suite.mailbox().len(), 1);
}

async fn die_amid_an_attempt(suite: &Suite) {
    let (now, lease) = (suite.clock.now(), Duration::from_secs(270));
    let tx = suite.app.db.begin().await.unwrap();
    let claims = store::deliveries::claim_due(&tx, now, now.plus(lease), 8).await.unwrap();
    tx.commit().await.unwrap();
    assert!(commands::begin_attempt(&suite.app, &claims[0], lease).await.unwrap().is_some());
    assert_eq!(state(suite).await, State::Sending);
    // A SQLite database has one process: its next start ends the lease. Elsewhere the lease has to run out.
    if suite.app.db.read().get_database_backend() != DbBackend::Sqlite {
        suite.clock.advance(lease).unwrap();
    }
}

#[tokio::test]
async fn t8_a_claim_that_was_lost_changes_nothing() {
    let suite = Suite::start().await;
    let id = queue_a_code(&suite).await;
    let now = suite.clock.now();
    let tx = suite.app.db.begin().await.unwrap();
    let claims = store::deliveries::claim_due(&tx, now, now.plus(Duration::from_secs(60)), 8).await.unwrap();
    assert!(store::deliveries::claim_due(&tx, now, now, 8).await.unwrap().is_empty(), "one worker has it");
    tx.commit().await.unwrap();
    commands::cancel_delivery(&suite.app, &suite.caller(CallerKind::Agent), id).await.unwrap();
    assert!(commands::begin_attempt(&suite.app, &claims[0], Duration::from_secs(60)).await.unwrap().is_none());
    assert_eq!(state(&suite).await, State::Cancelled);
}

#[tokio::test]
async fn t8_while_the_conversation_service_is_away_a_transcript_waits_without_an_attempt() {
    let suite =
        Suite::with(NotificationSettings { retry_pause: Duration::from_secs(3600), ..NotificationSettings::default() })
            .await;
    let consumer = DecideTranscripts(suite.app.clone());
    consumer.handle(&closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &facts())).await;
    suite.work_until(async || suite.deliveries().await[0].compose_failures == 1).await;
    let delivery = &suite.deliveries().await[0];
    assert_eq!((delivery.state, delivery.attempts), (State::Queued, 0));
    assert!(delivery.failure.contains("conversation service"));
    assert!(delivery.due_at > suite.clock.now());
}

#[tokio::test]
async fn lists_are_newest_first_in_pages() {
    let suite = Suite::start().await;
    let consumer = DecideTranscripts(suite.app.clone());
    for _ in 0..5 {
        consumer.handle(&closed_event(suite.account, frontdesk_clock::testing::new_id(), 1, &facts())).await;
    }
    let all = suite.deliveries().await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store::deliveries::list(suite.app.db.read(), suite.account, None, Some(State::Queued), after, 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.id));
        seen.extend(page);
    }
    assert_eq!(seen, all);
    assert!(all.is_sorted_by(|a, b| (a.created_at, a.id) > (b.created_at, b.id)));
}
