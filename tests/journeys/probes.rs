//! Probes of a process whose broker and databases are away: it lives, and is ready while it can serve calls.

use std::process::Stdio;

use frontdesk_test_servers::{Nats, Postgres};
use frontdesk_tests::{Process, binary, wait_until};
use tokio::process::Command;

use crate::metrics::{get, metrics};

/// What is measured of databases, by statements that PostgreSQL must understand too.
const GAUGES: [&str; 10] = [
    "frontdesk_outbox_unpublished",
    "frontdesk_outbox_oldest_age_seconds",
    "frontdesk_dead_letters",
    "frontdesk_bot_session_check_delay_seconds",
    "frontdesk_routing_waiting",
    "frontdesk_routing_longest_wait_seconds",
    "frontdesk_routing_decision_delay_seconds",
    "frontdesk_mail_waiting",
    "frontdesk_mail_delay_seconds",
    "frontdesk_webhook_waiting",
];

fn has_status(answer: &str, status: &str) -> bool {
    answer.split(' ').nth(1) == Some(status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_ready_without_its_broker_and_lives_without_its_databases() {
    let (mut postgres, mut nats) = tokio::join!(Postgres::start(), Nats::start());
    let ops = format!("127.0.0.1:{}", frontdesk_test_servers::free_port());
    let mut environment =
        vec![("FRONTDESK__OPS__LISTEN".to_owned(), ops.clone()), ("FRONTDESK__BUS__URL".to_owned(), nats.url())];
    for name in ["conversation", "assignment", "bot_session", "notification"] {
        let url = postgres.create_database(name).await;
        environment.push((format!("FRONTDESK__DATABASES__{}__URL", name.to_uppercase()), url));
    }
    let folder = tempfile::tempdir().unwrap();
    let migrated = Command::new(binary())
        .arg("migrate")
        .envs(environment.iter().cloned())
        .env("FRONTDESK__DATA_FOLDER", folder.path())
        .stdout(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(migrated.success());
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let _process = Process::start(folder.path(), &environment).await;
    let address = ops.as_str();
    let is_ready = || async { has_status(&get(address, "/readyz").await, "200") };
    wait_until("the start", is_ready).await;
    let are_measured = || async {
        let text = metrics(address).await;
        GAUGES.iter().all(|gauge| text.contains(&format!("\n{gauge}{{")))
    };
    wait_until("what the databases hold", are_measured).await;

    nats.kill().await;
    let log = folder.path().join("log");
    let notices = || async { std::fs::read_to_string(&log).unwrap().contains("the connection to the broker was lost") };
    wait_until("the loss of the broker", notices).await;
    assert!(is_ready().await, "calls are served without the broker");

    postgres.kill().await;
    wait_until("a process that is not ready", || async {
        let answer = get(address, "/readyz").await;
        has_status(&answer, "503") && answer.contains("the database of conversation does not answer")
    })
    .await;
    assert!(has_status(&get(address, "/livez").await, "200"), "a restart repairs no database");
    assert!(get(address, "/metrics").await.contains("frontdesk_ready{"), "metrics need no database");

    postgres.restart().await;
    wait_until("a process that is ready again", is_ready).await;
    nats.restart().await;
}
