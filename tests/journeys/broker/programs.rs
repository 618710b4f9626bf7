//! The programs of `tests/clients` that read events from NATS: across a restart of the broker, each event once.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use frontdesk_test_servers::Nats;
use frontdesk_tests::new_id;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
};

use super::{OPERATOR, READER, STREAM, User, add_reader, broker, password, play_chat, suite};
use crate::clients::{go_is_installed, python};

/// The folder of a prepared client.
fn client(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients").join(name)
}

async fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await.expect("an event in time");
    line.unwrap().expect("a program that runs until the last event")
}

/// Publishes the first event of the stream again, as it comes again after the broker lost it.
async fn repeat_first_event(nats: &Nats) {
    let (operator, service) = (User::connect(nats, OPERATOR).await, User::connect(nats, "conversation").await);
    let stream = operator.jet_stream().get_stream(STREAM).await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    let mut headers = first.headers;
    headers.insert("Nats-Msg-Id", new_id().to_string().as_str());
    let acknowledged = service.jet_stream().publish_with_headers(first.subject, headers, first.payload).await.unwrap();
    assert!(!acknowledged.await.unwrap().duplicate);
}

/// Plays a chat while the program runs. It prints a line for each event, `again …` for one that it has handled before,
/// and `done` after the close.
async fn reads_each_event_once(mut program: Command) {
    let mut nats = broker().await;
    let suite = suite(&nats).await;
    let account = suite.account().await;
    add_reader(&User::connect(&nats, OPERATOR).await, &account).await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(Some(&account.bot().await)).await;
    let program = program
        .env("NATS_URL", nats.url())
        .env("NATS_USER", READER)
        .env("NATS_PASSWORD", password(READER))
        .env("STREAM", STREAM)
        .env("UNTIL", "frontdesk.event.v1.ConversationClosed")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = program.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = vec![next_line(&mut lines).await];

    nats.kill().await;
    nats.restart().await;
    repeat_first_event(&nats).await;
    let chat = play_chat(&account, &agent, &channel, "v").await;
    while printed.last().unwrap() != "done" {
        printed.push(next_line(&mut lines).await);
    }
    assert!(child.wait().await.unwrap().success(), "{printed:#?}");
    assert!(printed.iter().any(|line| line.starts_with("again ")), "{printed:#?}");
    let handled = printed.iter().filter(|line| !line.starts_with("again "));
    let mut versions: Vec<i32> = handled
        .filter(|line| line.contains(&format!("conversation {}", chat.id)))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect();
    versions.sort_unstable();
    assert!(versions.len() > 3, "{printed:#?}");
    assert_eq!(versions, (1..=versions.len() as i32).collect::<Vec<_>>(), "each once: {printed:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_python_program_reads_each_event_once_across_a_restart_of_the_broker() {
    let folder = client("python");
    assert!(folder.join(".done").exists(), "run `make clients`, or `make test` which does");
    let mut program = Command::new(python());
    program.arg("events.py").env("PYTHONPATH", "stubs").current_dir(folder);
    reads_each_event_once(program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i17_a_go_program_reads_each_event_once_across_a_restart_of_the_broker() {
    let program = client("go").join("visitor");
    if !program.exists() {
        let has_go = go_is_installed().await;
        assert!(!has_go, "{} is missing: run `make clients`, or `make test` which does", program.display());
        println!("skipped: Go is not installed");
        return;
    }
    let mut program = Command::new(program);
    program.arg("events");
    reads_each_event_once(program).await;
}
