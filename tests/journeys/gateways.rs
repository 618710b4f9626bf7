//! The configurations of gateways in `deploy/gateway`, run by NGINX and Envoy where they are installed.

use std::{
    env, iter,
    path::{Path, PathBuf},
};

use frontdesk_auth::CallerKind;
use frontdesk_tests::{Mode, TestSuite, wait_for};
use tokio::net::TcpStream;

use crate::clients::{assert_prints, python_program, token};

/// The program that the environment names, that `make gateways` fetched, or that is installed.
fn program(name: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(format!("FRONTDESK_TEST_{}", name.to_uppercase())) {
        return Some(named.into());
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/gateways/envoy/_bin");
    let path = env::var_os("PATH").unwrap_or_default();
    // Ordinary users do not have the last folder in their PATH.
    let folders = iter::once(fetched).chain(env::split_paths(&path)).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(name)).find(|path| path.exists())
}

/// Programs call by gRPC, pages by gRPC-Web, and a file is uploaded, all through the gateway.
async fn plays_through(gateway: &str) {
    let Some(program) = program(gateway) else {
        println!("skipped: {gateway} is not installed; tests/README.md says how to name it");
        return;
    };
    // Embedded: one upstream has all services.
    let suite = TestSuite::start_on(Mode::Embedded, |settings| {
        settings.web.allowed_origins = Some(vec!["https://shop.example".into()]);
    })
    .await;
    let web = suite.settings.web.address().unwrap();
    wait_for("the listener for browsers", || async { TcpStream::connect(web).await.ok() }).await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let mut calls = python_program("gateway.py", &suite);
    calls
        .args(["--web", &web.to_string()])
        .arg(gateway)
        .arg(program)
        .env("ADMIN_TOKEN", token(&account, CallerKind::Admin, "administrator"))
        .env("VISITOR_TOKEN", token(&account, CallerKind::Visitor, "gateway-visitor"))
        .env("CHANNEL_ID", channel);
    assert_prints(&mut calls, &format!("{gateway}: played")).await;
}

#[tokio::test]
async fn nginx_passes_calls_pages_and_files_on() {
    plays_through("nginx").await;
}

#[tokio::test]
async fn envoy_passes_calls_pages_and_files_on() {
    plays_through("envoy").await;
}
