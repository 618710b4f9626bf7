//! Tokens of issuers, whose keys the server fetches.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{ListAgentsRequest, roster_service_client::RosterServiceClient},
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
};
use frontdesk_tests::{
    new_id,
    production::{TokenIssuer, trust},
    reason,
};
use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tonic::Code;
use tonic_types::StatusExt;

use super::{As, list_channels, plain, settings, start, with};

/// Publishes a key set over HTTP and counts the requests.
struct KeyServer {
    address: String,
    keys: Arc<Mutex<String>>,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl KeyServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (keys, requests) = (Arc::<Mutex<String>>::default(), Arc::<AtomicUsize>::default());
        let (served, counted) = (keys.clone(), requests.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                counted.fetch_add(1, Ordering::SeqCst);
                // Slow, so that further calls need the keys while the first request is in progress.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let body = served.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { address, keys, requests, _serving: serving }
    }

    fn publish(&self, issuers: &[&TokenIssuer]) {
        let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
        *self.keys.lock().unwrap() = json!({ "keys": keys }).to_string();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_issuers_are_trusted_by_their_published_keys_which_are_fetched_rarely() {
    let (folder, server) = (tempfile::tempdir().unwrap(), KeyServer::start().await);
    let name = "https://login.example/";
    let signers: Vec<TokenIssuer> = [("rsa", Algorithm::RS256), ("ec", Algorithm::ES256), ("ed", Algorithm::EdDSA)]
        .into_iter()
        .map(|(id, algorithm)| TokenIssuer::new(name, id, algorithm))
        .collect();
    server.publish(&signers.iter().collect::<Vec<_>>());
    let mut settings = settings(&folder);
    trust(&mut settings, &signers[0], &server.address);
    settings.identity.issuers[0].claims.roles = "/realm_access/roles".into();
    let (address, _serving) = start(settings).await;
    let (channel, account) = (plain(&address), new_id());

    for signer in &signers {
        list_channels(with(&channel, &signer.token(account, CallerKind::Admin, "ada"))).await.unwrap();
    }
    assert_eq!(server.requests.load(Ordering::SeqCst), 1, "fetched at the start");

    // Permissions come from the roles in the token, whose meaning is configured.
    let agent = new_id().to_string();
    let with_roles = |roles: Value| {
        let mut claims = signers[1].claims(account, CallerKind::Agent, &agent);
        claims["realm_access"] = json!({ "roles": roles });
        with(&channel, &signers[1].sign(&claims))
    };
    let list_agents =
        async |caller: As| RosterServiceClient::new(caller).list_agents(ListAgentsRequest::default()).await.map(drop);
    list_agents(with_roles(json!(["agent"]))).await.unwrap();
    let unpermitted = list_agents(with_roles(json!(["unknown role"]))).await.unwrap_err();
    assert_eq!((unpermitted.code(), reason(&unpermitted).as_str()), (Code::PermissionDenied, "NOT_PERMITTED"));
    assert_eq!(unpermitted.get_details_error_info().unwrap().metadata["permission"], "roster.read");

    // Outside development mode there is neither a development key nor a clock that can be advanced.
    let clock = ClockServiceClient::new(with(&channel, &signers[0].token(account, CallerKind::Admin, "ada")));
    let by = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let absent = clock.clone().advance_time(AdvanceTimeRequest { by }).await.unwrap_err();
    assert_eq!(absent.code(), Code::Unimplemented);
    assert!(!folder.path().join("data/development.key").exists());

    // A hundred tokens with unknown key ids do not cause a hundred requests to the issuer.
    let stranger = TokenIssuer::new(name, "made up", Algorithm::ES256);
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let header = Header { kid: Some(format!("made-up-{number}")), ..Header::new(Algorithm::ES256) };
        let token = stranger.sign_as(&header, &stranger.claims(account, CallerKind::Admin, "ada"));
        calls.spawn(list_channels(with(&channel, &token)));
    }
    while let Some(refused) = calls.join_next().await {
        assert_eq!(refused.unwrap().unwrap_err().code(), Code::Unauthenticated);
    }
    assert!(server.requests.load(Ordering::SeqCst) <= 2, "{:?}", server.requests);
    list_channels(with(&channel, &signers[2].token(account, CallerKind::Admin, "ada"))).await.unwrap();
}
