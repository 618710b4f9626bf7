//! Clients in other languages, whose stubs are generated from the protos.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::botsession::v1::{BotEngine, CreateBotRequest, bot_service_client::BotServiceClient};
use frontdesk_tests::{Account, Mode, TestSuite, new_id, request_id};
use tokio::process::Command;

/// The Python with grpcio, aiosmtpd and moto that `make python` installs.
pub(crate) fn python() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/python/bin/python");
    let python = std::env::var_os("FRONTDESK_TEST_PYTHON").map_or(installed, PathBuf::from);
    assert!(python.exists(), "{} is missing: run `make python`, or `make test` which does", python.display());
    python
}

/// A program of `tests/clients` that generates its stubs from the protos and calls the suite.
pub(crate) fn python_program(file: &str, suite: &TestSuite) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut program = Command::new(python());
    program
        .arg(here.join("clients").join(file))
        .arg("--protos")
        .arg(here.join("../proto"))
        .args(["--address", suite.address.trim_start_matches("http://")])
        .kill_on_drop(true);
    program
}

/// A token for a program. It is valid for two hours, since a program may move the clock by half an hour.
pub(crate) fn token(account: &Account, kind: CallerKind, subject: &str) -> String {
    account.keys.mint(&account.keys.claims(account.id, kind, subject, Duration::from_secs(7_200))).unwrap()
}

#[tokio::test]
async fn a_python_client_plays_the_chat() {
    // Embedded: the client expects all services at one address.
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    let agent = new_id();
    let mut program = python_program("python/play.py", &suite);
    program
        .env("ADMIN_TOKEN", token(&account, CallerKind::Admin, "administrator"))
        .env("AGENT_TOKEN", token(&account, CallerKind::Agent, &agent.to_string()))
        .env("AGENT_ID", agent.to_string())
        .env("VISITOR_TOKEN", token(&account, CallerKind::Visitor, "python-visitor"));
    assert_prints(&mut program, "transcript in the mailbox").await;
}

#[tokio::test]
async fn b7_a_python_engine_answers_in_parts_and_hands_off() {
    // Embedded: the client expects all services at one address.
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    let create = CreateBotRequest {
        name: "Robin".into(),
        engine: Some(BotEngine::default()),
        request_id: request_id(),
        ..Default::default()
    };
    let created = BotServiceClient::new(account.admin()).create_bot(create).await.unwrap().into_inner();
    let bot = created.bot.unwrap();
    let channel = account.channel(Some(&bot)).await;
    let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/bot-session/flows");
    let mut program = python_program("python/engine.py", &suite);
    program
        .args([flows.join("greeter.json"), flows.join("faq.json")])
        .env("ADMIN_TOKEN", token(&account, CallerKind::Admin, "administrator"))
        .env("BOT_TOKEN", token(&account, CallerKind::Bot, &bot.id))
        .env("VISITOR_TOKEN", token(&account, CallerKind::Visitor, "python-visitor"))
        .env("CHANNEL_ID", channel);
    assert_prints(&mut program, "handed off").await;
}

#[tokio::test]
async fn b7_a_go_engine_answers_across_a_lost_connection() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/go/visitor");
    if !program.exists() {
        assert!(
            !go_is_installed().await,
            "{} is missing: run `make clients`, or `make test` which does",
            program.display()
        );
        println!("skipped: Go is not installed");
        return;
    }
    // Embedded: the client expects all services at one address.
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    // A turn that is sent on the connection when it is cut comes again after this time.
    let answer_timeout = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let create = CreateBotRequest {
        name: "Robin".into(),
        engine: Some(BotEngine { answer_timeout, ..BotEngine::default() }),
        request_id: request_id(),
        ..Default::default()
    };
    let created = BotServiceClient::new(account.admin()).create_bot(create).await.unwrap().into_inner();
    let bot = created.bot.unwrap();
    let channel = account.channel(Some(&bot)).await;
    let visitors: Vec<String> =
        (0..5).map(|number| token(&account, CallerKind::Visitor, &format!("go-visitor-{number}"))).collect();
    let mut program = Command::new(program);
    program
        .arg("engine")
        .env("ADDRESS", suite.address.trim_start_matches("http://"))
        .env("BOT_TOKEN", token(&account, CallerKind::Bot, &bot.id))
        .env("VISITOR_TOKENS", visitors.join(","))
        .env("CHANNEL_ID", channel)
        .kill_on_drop(true);
    assert_prints(&mut program, "handed off").await;
}

#[tokio::test]
async fn b4_the_example_of_a_timeout_without_waiting_works_as_the_readme_shows_it() {
    // Embedded: the client expects all services at one address.
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    let (agent, _) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/bot-session/README.md");
    let mut program = python_program("python/timeout.py", &suite);
    program
        .arg("--readme")
        .arg(readme)
        .env("AGENT_TOKEN", token(&account, CallerKind::Agent, &agent.to_string()))
        .env("VISITOR_TOKEN", token(&account, CallerKind::Visitor, "python-visitor"))
        .env("CHANNEL_ID", channel);
    assert_prints(&mut program, "closed after 30 minutes").await;
}

/// Runs the program, which succeeds and prints this among other things.
pub(crate) async fn assert_prints(program: &mut Command, text: &str) {
    let output = tokio::time::timeout(Duration::from_secs(150), program.output());
    let output = output.await.expect("the end of the program in time").unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{printed}{errors}");
    assert!(output.status.success() && printed.contains(text), "{printed}{errors}");
}

/// Plays the programs of a client of `tests/clients`, which `make` generated and compiled, against a process of its own: a first chat, a
/// visit and a whole chat. The connections are cut, the program resumes without a gap or repeat, and reads refusals.
async fn plays_the_chat(client: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let prepared = root.join("target/clients").join(client).join(".done");
    assert!(prepared.exists(), "{} is missing: run `make clients`, or `make test` which does", prepared.display());
    let mut program = Command::new(python());
    program
        .arg(root.join("tests/clients/run.py"))
        .args(["play", client])
        .env("FRONTDESK_BINARY", binary())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true);
    assert_prints(&mut program, "played the chat").await;
}

#[tokio::test]
async fn c10_a_python_client_resumes_after_a_lost_connection() {
    plays_the_chat("python").await;
}

#[tokio::test]
async fn c10_a_go_client_resumes_after_a_lost_connection() {
    if !go_is_installed().await {
        println!("skipped: Go is not installed");
        return;
    }
    plays_the_chat("go").await;
}

#[tokio::test]
async fn c10_a_page_in_a_browser_resumes_after_a_lost_connection() {
    if std::env::var("FRONTDESK_TEST_SKIP").is_ok_and(|skipped| skipped.contains("browser")) {
        println!("skipped: FRONTDESK_TEST_SKIP names the browser");
        return;
    }
    plays_the_chat("browser").await;
}

#[tokio::test]
async fn c10_the_example_pages_play_a_chat_from_the_greeting_to_the_mailbox() {
    if std::env::var("FRONTDESK_TEST_SKIP").is_ok_and(|skipped| skipped.contains("browser")) {
        println!("skipped: FRONTDESK_TEST_SKIP names the browser");
        return;
    }
    plays_the_chat("web").await;
}

pub(crate) async fn go_is_installed() -> bool {
    Command::new("go").arg("version").output().await.is_ok_and(|go| go.status.success())
}

fn binary() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("frontdesk")
}

#[tokio::test]
async fn the_demo_plays_both_chats() {
    let free = format!("127.0.0.1:{}", frontdesk_test_servers::free_port());
    let folder = tempfile::tempdir().unwrap();
    let demo = Command::new(binary())
        .arg("demo")
        .env("FRONTDESK__LISTEN", free)
        .env("TMPDIR", folder.path())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_secs(120), demo).await.expect("the end of the program in time").unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && output_text.contains("Every promise was kept."),
        "{output_text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
