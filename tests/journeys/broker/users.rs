//! What the services and the operator's commands need, their users may do.

use std::{collections::BTreeSet, time::Duration};

use frontdesk::{
    Service,
    doctor::{Examination, State},
};
use frontdesk_tests::{Account, TestSuite, wait_for, wait_until};

use super::{OPERATOR, SERVICES, STREAM, User, broker, owner, play_chat, streams, suite};
use crate::distributed::{frontdesk, publish_invalid_on, text_of};

/// An account whose sender, bot and channel are ready, and a chat that was played to its mail.
async fn play(suite: &TestSuite) {
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(Some(&account.bot().await)).await;
    let chat = play_chat(&account, &agent, &channel, "v").await;
    Account::explained(&agent, &chat.id, 1).await;
    wait_for("the mail", || async { account.mails("vera@visitor.example").await.pop() }).await;
}

/// The consumers in the permissions of a user, with their streams.
fn permitted_consumers(user: &str) -> BTreeSet<String> {
    let file = super::folder().join(format!("permissions/{user}.conf"));
    let text = std::fs::read_to_string(file).unwrap();
    let subjects = text.split('"').filter_map(|subject| subject.strip_prefix("$JS.API.CONSUMER.MSG.NEXT."));
    subjects.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_services_work_as_the_users_of_the_shipped_configuration_and_are_refused_nothing() {
    let nats = broker().await;
    let suite = suite(&nats).await;
    play(&suite).await;

    // A dead letter, which the operator replays.
    let service = User::connect(&nats, "conversation").await;
    let event_id = publish_invalid_on(&service.client, "frontdesk").await;
    let settings = &suite.settings;
    let is_listed = async || text_of(&frontdesk(settings, &["dead-letters", "list"]).await).contains(&event_id);
    wait_until("the dead letter", || async { is_listed().await }).await;
    let replay = ["dead-letters", "replay", "notification", "notification.decide", event_id.as_str()];
    let replayed = frontdesk(settings, &replay).await;
    assert!(replayed.status.success(), "{}", text_of(&replayed));
    wait_until("the dead letter again", || async { is_listed().await }).await;

    // What the doctor asks for, as the operator for all services and as each service for itself.
    for service in Service::ALL.map(Some).into_iter().chain([None]) {
        let user = service.map_or(OPERATOR, Service::name);
        let mut settings = settings.clone();
        settings.bus.username = user.into();
        settings.bus.password = super::password(user).into();
        settings.bus.inbox_prefix = format!("_INBOX_{user}");
        let examination = Examination { service, json: false, timeout: Duration::from_secs(30), min_free_bytes: 1 };
        let report = examination.run(Ok(settings)).await;
        let states = report.0.iter().filter(|(check, _)| *check == "broker").map(|(_, finding)| finding.state);
        assert_eq!(states.collect::<Vec<_>>(), [State::Ok], "{user}:\n{report}");
    }

    let log = std::fs::read_to_string(nats.log()).unwrap();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("Violation")).collect();
    assert!(refused.is_empty(), "a file in deploy/nats/permissions lacks a subject:\n{}", refused.join("\n"));
    assert!(service.refusals.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_the_permissions_name_every_consumer_of_their_user_and_no_other() {
    let nats = broker().await;
    let _suite = suite(&nats).await;
    let streams = streams(&User::connect(&nats, OPERATOR).await).await;
    for user in SERVICES {
        let of_stream = |stream: &super::Stream| {
            let own = stream.consumers.iter().filter(|consumer| owner(consumer) == user);
            own.map(|consumer| format!("{}.{consumer}", stream.name)).collect::<Vec<_>>()
        };
        let own: BTreeSet<String> = streams.iter().flat_map(of_stream).collect();
        assert_eq!(permitted_consumers(user), own, "deploy/nats/permissions/{user}.conf");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r4_the_services_create_a_lost_stream_and_its_consumers_with_their_own_users() {
    let nats = broker().await;
    let suite = suite(&nats).await;
    play(&suite).await;
    let operator = User::connect(&nats, OPERATOR).await;
    operator.jet_stream().delete_stream(STREAM).await.unwrap();
    play(&suite).await;
}
