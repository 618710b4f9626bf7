//! Who is let in: issuers' tokens, visitors' tokens, services' certificates; and what a configuration refuses to start with.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk::{Service, Settings, Suite};
use frontdesk_auth::Kind;
use frontdesk_proto::{
    assignment::v1::{ListAgentsRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{CreateBotRequest, Flow, SayStep, Step, bot_service_client::BotServiceClient},
    conversation::v1::{
        ChangeAssigneeRequest, ChatEntry, CreateChannelRequest, GetChatRequest, Greeter, ListChannelsRequest,
        ListConversationsRequest, ListVisitorKeysRequest, RotateVisitorKeyRequest, RotateVisitorKeyResponse,
        SendMessageRequest, StartChatRequest, StartChatResponse, WatchChatRequest,
        channel_service_client::ChannelServiceClient, chat_entry::Content,
        conversation_service_client::ConversationServiceClient, visitor_service_client::VisitorServiceClient,
    },
    dev::v1::{AdvanceTimeRequest, clock_service_client::ClockServiceClient},
};
use frontdesk_tests::{
    Chat, Footing, TestSuite,
    production::{Authority, TokenIssuer, publish, sign_visitor, trust, visitor_token},
    reason, request_id, wait_for,
};
use frontdesk_transport::TlsSettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

/// Sends this token.
#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

type As = InterceptedService<Channel, Bearer>;

fn with(channel: &Channel, token: &str) -> As {
    InterceptedService::new(channel.clone(), Bearer(format!("Bearer {token}").parse().unwrap()))
}

/// A suite in this process that serves everything with settings of the test's.
async fn start(settings: Settings) -> (String, tokio::task::JoinHandle<()>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let suite = Suite::open(settings, &Service::ALL).await.unwrap();
    (address, tokio::spawn(async move { suite.serve(listener).await.unwrap() }))
}

fn plain(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy()
}

fn settings(folder: &tempfile::TempDir) -> Settings {
    let mut settings = Settings { data_folder: folder.path().join("data"), ..Settings::default() };
    settings.telemetry.log = "warn".into();
    settings.limits = settings.limits.without_caller_limits();
    settings
}

/// What an administrator may do.
async fn list_channels(caller: As) -> Result<(), Status> {
    ChannelServiceClient::new(caller).list_channels(ListChannelsRequest::default()).await.map(drop)
}

async fn new_channel(admin: &As, bot: Option<String>) -> String {
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: if bot.is_some() { Greeter::Bot } else { Greeter::Nobody }.into(),
        bot_id: bot.unwrap_or_default(),
        request_id: request_id(),
        ..Default::default()
    };
    let answer = ChannelServiceClient::new(admin.clone()).create_channel(channel).await.unwrap();
    answer.into_inner().channel.unwrap().id
}

async fn rotate(admin: &As, channel: &str, keep: Option<u64>, request_id: String) -> RotateVisitorKeyResponse {
    let keep_previous = keep.map(|seconds| prost_types::Duration { seconds: seconds as i64, nanos: 0 });
    let request = RotateVisitorKeyRequest { channel_id: channel.into(), keep_previous, request_id };
    ChannelServiceClient::new(admin.clone()).rotate_visitor_key(request).await.unwrap().into_inner()
}

async fn start_chat(visitor: As, channel: &str) -> Result<StartChatResponse, Status> {
    let request = StartChatRequest {
        channel_id: channel.into(),
        page_url: "https://shop.example/page".into(),
        request_id: request_id(),
        ..Default::default()
    };
    VisitorServiceClient::new(visitor).start_chat(request).await.map(tonic::Response::into_inner)
}

/// Publishes keys over HTTP, and counts how often it is asked.
struct KeyServer {
    address: String,
    keys: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl KeyServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (keys, asked) = (Arc::<Mutex<String>>::default(), Arc::<AtomicUsize>::default());
        let (served, counted) = (keys.clone(), asked.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                counted.fetch_add(1, Ordering::SeqCst);
                // Long enough for others to come while one asks.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let body = served.lock().unwrap().clone();
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes()).await;
            }
        });
        Self { address, keys, asked, _serving: serving }
    }

    fn publish(&self, issuers: &[&TokenIssuer]) {
        let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
        *self.keys.lock().unwrap() = json!({ "keys": keys }).to_string();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_issuers_are_believed_by_the_keys_that_they_publish_and_asked_seldom() {
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
    let (channel, account) = (plain(&address), Uuid::now_v7());

    for signer in &signers {
        list_channels(with(&channel, &signer.token(account, Kind::Admin, "ada"))).await.unwrap();
    }
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "at the start");

    // Roles are data: an agent may read channels and not make them; a supervisor may look after the roster.
    let agent = Uuid::now_v7().to_string();
    let with_roles = |roles: Value| {
        let mut claims = signers[1].claims(account, Kind::Agent, &agent);
        claims["realm_access"] = json!({ "roles": roles });
        with(&channel, &signers[1].sign(&claims))
    };
    let list_agents =
        async |caller: As| RosterServiceClient::new(caller).list_agents(ListAgentsRequest::default()).await.map(drop);
    list_agents(with_roles(json!(["agent"]))).await.unwrap();
    let nothing = list_agents(with_roles(json!(["unheard of"]))).await.unwrap_err();
    assert_eq!((nothing.code(), reason(&nothing).as_str()), (Code::PermissionDenied, "NOT_PERMITTED"));
    assert_eq!(nothing.get_details_error_info().unwrap().metadata["permission"], "roster.read");

    // Nothing of the development footing is there: its key, its clock.
    let clock = ClockServiceClient::new(with(&channel, &signers[0].token(account, Kind::Admin, "ada")));
    let by = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let absent = clock.clone().advance_time(AdvanceTimeRequest { by }).await.unwrap_err();
    assert_eq!(absent.code(), Code::Unimplemented);
    assert!(!folder.path().join("data/development.key").exists());

    // A hundred tokens with made-up keys do not become a hundred questions to the issuer.
    let stranger = TokenIssuer::new(name, "made up", Algorithm::ES256);
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let header = Header { kid: Some(format!("made-up-{number}")), ..Header::new(Algorithm::ES256) };
        let token = stranger.sign_as(&header, &stranger.claims(account, Kind::Admin, "ada"));
        calls.spawn(list_channels(with(&channel, &token)));
    }
    while let Some(refused) = calls.join_next().await {
        assert_eq!(refused.unwrap().unwrap_err().code(), Code::Unauthenticated);
    }
    assert!(server.asked.load(Ordering::SeqCst) <= 2, "{:?}", server.asked);
    list_channels(with(&channel, &signers[2].token(account, Kind::Admin, "ada"))).await.unwrap();
}

/// A number of ways to be somebody else.
fn forged(
    ours: &TokenIssuer,
    rsa: &TokenIssuer,
    key: &RotateVisitorKeyResponse,
    old: &RotateVisitorKeyResponse,
    account: Uuid,
) -> Vec<(String, String)> {
    let (mut forged, theirs) = (Vec::new(), TokenIssuer::new(&ours.name, &ours.key_id, ours.algorithm));
    let mut add = |what: &str, token: String| forged.push((what.to_owned(), token));
    let claims = ours.claims(account, Kind::Admin, "ada");
    let good = ours.sign(&claims);
    let parts: Vec<&str> = good.split('.').collect();
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        ours.sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        ours.sign(&claims)
    };
    let now = claims["nbf"].as_i64().unwrap();
    let encode = |value: &Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let public = ours.jwk();
    let hs256 = |secret: &[u8], kid: &str, claims: &Value| {
        let header = Header { kid: Some(kid.into()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).unwrap()
    };

    add("nothing", String::new());
    add("a word", "token".into());
    add("three words", "a.b.c".into());
    add("signed with another key of the same name", theirs.sign(&claims));
    add("no signature", format!("{}.{}.", parts[0], parts[1]));
    add("a signature cut short", good[..good.len() - 4].into());
    add("claims of another token", format!("{}.{}.{}", parts[0], encode(&json!({"sub": "eve"})), parts[2]));
    add("parts swapped", format!("{}.{}.{}", parts[0], parts[2], parts[1]));
    add("four parts", format!("{good}.{}", parts[2]));
    for name in ["none", "None", "NONE", "nOnE"] {
        add(&format!("alg {name}"), format!("{}.{}.", encode(&json!({"alg": name, "kid": ours.key_id})), parts[1]));
        add(
            &format!("alg {name} with a signature"),
            format!("{}.{}.{}", encode(&json!({"alg": name, "kid": ours.key_id})), parts[1], parts[2]),
        );
    }
    add("no alg", format!("{}.{}.{}", encode(&json!({"kid": ours.key_id})), parts[1], parts[2]));
    add(
        "alg of another family",
        rsa.sign_as(&Header { kid: Some(ours.key_id.clone()), ..Header::new(Algorithm::RS256) }, &claims),
    );
    add("the public key as a secret, as JSON", hs256(public.to_string().as_bytes(), &ours.key_id, &claims));
    add("the public key as a secret, its x", hs256(public["x"].as_str().unwrap().as_bytes(), &ours.key_id, &claims));
    add("an empty secret", hs256(b"", &ours.key_id, &claims));
    add("a key id that is a path", hs256(b"", "../../../dev/null", &claims));
    add("a key id that is SQL", hs256(b"", "' OR '1'='1", &claims));
    add(
        "a key id that is a number",
        format!("{}.{}.{}", encode(&json!({"alg": "ES256", "kid": 7})), parts[1], parts[2]),
    );
    add("no key id among several keys", ours.sign_as(&Header::new(ours.algorithm), &claims));
    let mut header = Header { kid: Some(ours.key_id.clone()), ..Header::new(ours.algorithm) };
    header.jku = Some("https://evil.example/jwks.json".into());
    header.jwk = Some(serde_json::from_value(theirs.jwk()).unwrap());
    add("its own key in the header", theirs.sign_as(&header, &claims));
    add(
        "extensions that must be understood",
        format!("{}.{}.{}", encode(&json!({"alg": "ES256", "kid": ours.key_id, "crit": ["exp"]})), parts[1], parts[2]),
    );
    add(
        "another type",
        ours.sign_as(
            &Header { typ: Some("logout+jwt".into()), kid: Some(ours.key_id.clone()), ..Header::new(ours.algorithm) },
            &claims,
        ),
    );
    add("another audience", changed("aud", json!("others")));
    add("an audience that only begins like ours", changed("aud", json!("frontdesk.evil")));
    add("audiences without ours", changed("aud", json!(["others", "front", "desk"])));
    add("an audience that is an object", changed("aud", json!({"frontdesk": true})));
    add("another issuer", changed("iss", json!("https://evil.example/")));
    add("an issuer that only ends like ours", changed("iss", json!("https://evil.example/https://login.example/")));
    add("the issuer without its slash", changed("iss", json!("https://login.example")));
    add("several issuers", changed("iss", json!([ours.name])));
    add("the development issuer", changed("iss", json!("frontdesk-development")));
    add("the issuer of page tokens", changed("iss", json!("frontdesk")));
    for name in ["iss", "aud", "exp", "nbf", "sub", "account"] {
        add(&format!("without {name}"), without(name));
    }
    add("expired 61 seconds ago", changed("exp", json!(now + 5 - 61)));
    add("an end that is a string", changed("exp", json!((now + 3_600).to_string())));
    add("an end that is a fraction", changed("exp", json!(now as f64 + 3_600.5)));
    add("an end that is null", changed("exp", Value::Null));
    add("an end that is negative", changed("exp", json!(-1)));
    add("an end in milliseconds", changed("exp", json!((now + 3_600) * 1_000)));
    add("an end beyond numbers", changed("exp", json!(1e300)));
    add("begins in 61 seconds", changed("nbf", json!(now + 5 + 61)));
    add("a beginning that is a string", changed("nbf", json!(now.to_string())));
    add("kind service", changed("kind", json!("service")));
    add("kind root", changed("kind", json!("root")));
    add("a kind that is a list", changed("kind", json!(["admin"])));
    add("a kind that the issuer may not vouch for", changed("kind", json!("visitor")));
    add("an account that is no UUID", changed("account", json!("*")));
    add("several accounts", changed("account", json!([account])));
    add("an agent who is no UUID", {
        let mut claims = claims.clone();
        claims["kind"] = json!("agent");
        ours.sign(&claims)
    });
    add("an empty subject", changed("sub", json!("")));
    add("a subject with a line break", changed("sub", json!("ada\r\nx-frontdesk-account: *")));
    add("a subject that turns around", changed("sub", json!("\u{202e}ada")));
    add("a subject of 129 characters", changed("sub", json!("a".repeat(129))));
    add("a subject that is a number", changed("sub", json!(7)));
    add("longer than 8 KiB", changed("padding", json!("x".repeat(9_000))));

    // Of visitors.
    let id = &key.key.as_ref().unwrap().key_id;
    let (channel, _) = id.split_once('.').unwrap();
    let visitor = |changes: &[(&str, Value)]| {
        let mut claims = json!({"iss": channel, "aud": "frontdesk", "sub": "mario", "account": account, "nbf": now, "exp": now + 3_600});
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        claims
    };
    let signed = |changes: &[(&str, Value)]| sign_visitor(id, &key.secret, &visitor(changes));
    add("visitor: another secret", sign_visitor(id, &"x".repeat(43), &visitor(&[])));
    add(
        "visitor: a key that was replaced",
        sign_visitor(&old.key.as_ref().unwrap().key_id, &old.secret, &visitor(&[])),
    );
    add("visitor: the old secret under the new id", sign_visitor(id, &old.secret, &visitor(&[])));
    add("visitor: a key that is to come", sign_visitor(&format!("{channel}.99"), &key.secret, &visitor(&[])));
    add("visitor: key 0", sign_visitor(&format!("{channel}.0"), &key.secret, &visitor(&[])));
    add("visitor: key -1", sign_visitor(&format!("{channel}.-1"), &key.secret, &visitor(&[])));
    add("visitor: another spelling of the channel", sign_visitor(&id.to_uppercase(), &key.secret, &visitor(&[])));
    add("visitor: another channel's id", {
        let other = Uuid::now_v7().to_string();
        sign_visitor(&format!("{other}.1"), &key.secret, &visitor(&[("iss", json!(other))]))
    });
    add("visitor: another account", signed(&[("account", json!(Uuid::now_v7()))]));
    add("visitor: another issuer", signed(&[("iss", json!("shop"))]));
    add("visitor: another audience", signed(&[("aud", json!("others"))]));
    add("visitor: for a week", signed(&[("exp", json!(now + 7 * 24 * 3_600))]));
    add("visitor: without a beginning", signed(&[("nbf", Value::Null)]));
    add("visitor: expired", signed(&[("nbf", json!(now - 7_200)), ("exp", json!(now - 3_600))]));
    add("visitor: an empty subject", signed(&[("sub", json!(""))]));
    add("visitor: signed as 512", {
        let header = Header { kid: Some(id.clone()), ..Header::new(Algorithm::HS512) };
        jsonwebtoken::encode(&header, &visitor(&[]), &EncodingKey::from_secret(key.secret.as_bytes())).unwrap()
    });
    forged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_forged_tokens_let_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let ours = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let rsa = TokenIssuer::new("https://login.example/", "rsa", Algorithm::RS256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&ours, &rsa]);
    let mut settings = settings(&folder);
    trust(&mut settings, &ours, jwks.to_str().unwrap());
    let (address, _serving) = start(settings).await;
    let (channel, account) = (plain(&address), Uuid::now_v7());
    let admin = with(&channel, &ours.token(account, Kind::Admin, "ada"));
    let shop = new_channel(&admin, None).await;
    let old = rotate(&admin, &shop, None, request_id()).await;
    let key = rotate(&admin, &shop, Some(0), request_id()).await;

    let forged = forged(&ours, &rsa, &key, &old, account);
    for (what, token) in &forged {
        let Ok(bearer) = format!("Bearer {token}").parse() else { panic!("{what} is no metadata") };
        let caller = InterceptedService::new(channel.clone(), Bearer(bearer));
        let refused = match what.starts_with("visitor") {
            true => start_chat(caller, &shop).await.map(drop).unwrap_err(),
            false => list_channels(caller).await.unwrap_err(),
        };
        let reason = reason(&refused);
        assert_eq!(
            (refused.code(), reason.as_str()),
            (Code::Unauthenticated, "NOT_AUTHENTICATED"),
            "{what}: {refused:?}"
        );
    }
    println!("{} forged tokens, none accepted", forged.len());
    assert!(forged.len() >= 60);

    // The same hands, honest.
    list_channels(admin).await.unwrap();
    let id = key.key.unwrap().key_id;
    let mario = visitor_token(&id, &key.secret, account, "mario", Duration::from_secs(60));
    start_chat(with(&channel, &mario), &shop).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_visitors_come_with_tokens_of_their_channels_key_and_leave_with_it() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let channel = plain(suite.address.trim_start_matches("http://"));
    let bearer = |kind, subject: &str| {
        let keys = &account.keys;
        with(&channel, &keys.mint(&keys.claims(account.id, kind, subject, Duration::from_secs(600))).unwrap())
    };
    let admin = bearer(Kind::Admin, "ada");
    let (shop, help) = (account.channel(None).await, account.channel(None).await);

    let first_request = request_id();
    let first = rotate(&admin, &shop, None, first_request.clone()).await;
    let again = rotate(&admin, &shop, None, first_request).await;
    assert_eq!(first, again, "a repeat hands out the same key and secret");
    let id = first.key.clone().unwrap().key_id;
    assert_eq!(id, format!("{shop}.1"));

    let token = |key: &RotateVisitorKeyResponse, valid| {
        visitor_token(&key.key.as_ref().unwrap().key_id, &key.secret, account.id.0, "mario", Duration::from_secs(valid))
    };
    let mario = with(&channel, &token(&first, 3_600));
    let chat = start_chat(mario.clone(), &shop).await.unwrap().chat.unwrap();
    // The key speaks for its own channel.
    assert_eq!(start_chat(mario.clone(), &help).await.unwrap_err().code(), Code::NotFound);
    // The same word under another channel's key is somebody else.
    let other = rotate(&admin, &help, None, request_id()).await;
    let namesake = VisitorServiceClient::new(with(&channel, &token(&other, 60)));
    let theirs = namesake.clone().get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.unwrap_err();
    assert_eq!(theirs.code(), Code::NotFound);
    // The team sees whose word it is.
    let mut conversations = ConversationServiceClient::new(admin.clone());
    let listed = conversations.list_conversations(ListConversationsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.conversations[0].visitor_id, format!("{shop}/mario"));

    // A stream ends when its token does, and goes on with a new one.
    let mut short = VisitorServiceClient::new(with(&channel, &token(&first, 1)));
    let watch = |after| WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: after };
    let mut lines = short.watch_chat(watch(0)).await.unwrap().into_inner();
    let mut says = VisitorServiceClient::new(mario.clone());
    let message = SendMessageRequest { chat_id: chat.id.clone(), text: "Hello?".into(), request_id: request_id() };
    says.send_message(message).await.unwrap();
    let seen = lines.message().await.unwrap().unwrap().entry.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), lines.message()).await.unwrap().unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unauthenticated, "NOT_AUTHENTICATED"));
    assert_eq!(ended.get_details_error_info().unwrap().metadata["cursor"], seen.visitor_sequence.to_string());

    // Replacing the key ends what it signed, at every replica within five seconds.
    let second = rotate(&admin, &shop, Some(0), request_id()).await;
    let keys = ListVisitorKeysRequest { channel_id: shop.clone() };
    let keys = ChannelServiceClient::new(admin).list_visitor_keys(keys).await.unwrap().into_inner().keys;
    assert_eq!(keys, [second.key.clone().unwrap()]);
    let refused = wait_for("the old key to be forgotten", || async {
        says.clone().get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.err()
    })
    .await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("replaced"), "{refused}");
    let mut renewed = VisitorServiceClient::new(with(&channel, &token(&second, 60)));
    assert_eq!(
        renewed.get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.unwrap().into_inner().chat.unwrap().id,
        chat.id
    );
}

fn says(entry: &ChatEntry) -> &str {
    match &entry.content {
        Some(Content::Message(message)) => &message.text,
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_in_production_services_know_each_other_by_certificates_and_nobody_passes_for_one() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::default());
    let issuer = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&issuer]);
    let mut settings = settings(&folder);
    trust(&mut settings, &issuer, jwks.to_str().unwrap());
    frontdesk_tests::on_servers(&mut settings).await;
    settings.tls = authority.settings("migrate");
    let mut listeners = Vec::new();
    for service in Service::ALL {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        *match service {
            Service::Conversation => &mut settings.peers.conversation,
            Service::Assignment => &mut settings.peers.assignment,
            Service::BotSession => &mut settings.peers.bot_session,
            Service::Notification => &mut settings.peers.notification,
        } = address;
        listeners.push((service, listener));
    }
    Suite::open(settings.clone(), &Service::ALL).await.unwrap().migrate().await.unwrap();
    let mut serving = JoinSet::new();
    for (service, listener) in listeners {
        let settings = Settings { tls: authority.settings(service.name()), ..settings.clone() };
        let suite = Suite::open(settings, &[service]).await.unwrap();
        serving.spawn(async move { suite.serve(listener).await.unwrap() });
    }
    let to = |service| authority.connect(settings.peer(service), None);

    // A chat with a bot: conversation asks bot-session, bot-session answers in conversation's thread.
    let account = Uuid::now_v7();
    let admin = |service| with(&to(service), &issuer.token(account, Kind::Admin, "ada"));
    let steps = vec![Step { id: "hello".into(), say: Some(SayStep { text: "Hello!".into() }), ..Default::default() }];
    let bot = CreateBotRequest {
        name: "Robin".into(),
        flow: Some(Flow { steps }),
        request_id: request_id(),
        ..Default::default()
    };
    let bot =
        BotServiceClient::new(admin(Service::BotSession)).create_bot(bot).await.unwrap().into_inner().bot.unwrap();
    let shop = new_channel(&admin(Service::Conversation), Some(bot.id)).await;
    let key = rotate(&admin(Service::Conversation), &shop, None, request_id()).await;
    let token = visitor_token(&key.key.unwrap().key_id, &key.secret, account, "mario", Duration::from_secs(600));
    let mario = with(&to(Service::Conversation), &token);
    let chat = start_chat(mario.clone(), &shop).await.unwrap().chat.unwrap();
    let watch = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
    let mut lines = VisitorServiceClient::new(mario).watch_chat(watch).await.unwrap().into_inner();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(says(&line.entry.unwrap()), "Hello!");

    // Who shows no service's certificate is no service.
    let change =
        ChangeAssigneeRequest { conversation_id: chat.id.clone(), request_id: request_id(), ..Default::default() };
    let conversation = settings.peer(Service::Conversation);
    let call = async |channel: Channel| {
        let mut request = Request::new(change.clone());
        request.metadata_mut().insert("x-frontdesk-account", account.to_string().parse().unwrap());
        request.metadata_mut().insert("x-frontdesk-actor", format!("agent:{}", Uuid::now_v7()).parse().unwrap());
        ConversationServiceClient::new(channel).change_assignee(request).await.unwrap_err().code()
    };
    assert_eq!(call(authority.connect(conversation, None)).await, Code::Unauthenticated);
    for uris in [&[][..], &["spiffe://elsewhere/assignment"], &["spiffe://frontdesk/a", "spiffe://frontdesk/b"]] {
        let shows = Some(authority.sign(uris));
        assert_eq!(call(authority.connect(conversation, shows)).await, Code::Unauthenticated, "{uris:?}");
    }
    let stranger = Authority::default().sign(&["spiffe://frontdesk/assignment"]);
    let refused = call(authority.connect(conversation, Some(stranger))).await;
    // The client's own words for a connection that is closed on it, as early or late as it notices.
    let closed = [Code::Unavailable, Code::Unknown, Code::Cancelled];
    assert!(closed.contains(&refused), "the handshake fails: {refused:?}");
    let genuine = authority.sign(&["spiffe://frontdesk/assignment"]);
    let known = call(authority.connect(conversation, Some(genuine))).await;
    assert_eq!(known, Code::InvalidArgument, "a service gets as far as the field rules");
    let token = with(&to(Service::Conversation), &issuer.token(account, Kind::Admin, "ada"));
    let admin = ConversationServiceClient::new(token).change_assignee(change.clone()).await.unwrap_err();
    assert_eq!(admin.code(), Code::PermissionDenied);

    // New certificates are read while the process runs.
    let before = served_certificate(&authority, conversation).await;
    authority.settings("conversation");
    wait_for("the new certificate", || async {
        (served_certificate(&authority, conversation).await != before).then_some(())
    })
    .await;
}

/// The certificate that a listener shows now.
async fn served_certificate(authority: &Authority, address: &str) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address.trim_start_matches("https://")).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn what_a_production_configuration_cannot_do_without_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&issuer]);
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority = Authority::default();
    let outside = "0.0.0.0:7700".parse().unwrap();
    let trusted = |settings: &mut Settings| trust(settings, &issuer, jwks.to_str().unwrap());
    type Set<'a> = Box<dyn Fn(&mut Settings) + 'a>;
    let cases: Vec<(&str, Set<'_>)> = vec![
        ("identity.issuers", Box::new(|settings| settings.listen = outside)),
        (
            "identity.development_key",
            Box::new(|settings| {
                trusted(settings);
                settings.listen = outside;
                settings.identity.development_key = Some(true);
            }),
        ),
        (
            "tls.certificate_path",
            Box::new(|settings| {
                trusted(settings);
                settings.listen = outside;
            }),
        ),
        (
            "identity.secret",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.secret = String::new().into();
            }),
        ),
        (
            "at least 32 bytes",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.secret = "short".to_owned().into();
            }),
        ),
        ("tls.certificate_path", Box::new(|settings| settings.tls.certificate_path = "absent.pem".into())),
        ("absent.json", Box::new(|settings| trust(settings, &issuer, "absent.json"))),
        ("https address", Box::new(|settings| trust(settings, &issuer, "http://login.example/jwks.json"))),
        (
            "HS256",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.issuers[0].algorithms = vec!["HS256".into()];
            }),
        ),
        (
            "certificate",
            Box::new(|settings| {
                trusted(settings);
                settings.identity.issuers[0].kinds.push(Kind::Service);
            }),
        ),
        (
            "twice",
            Box::new(|settings| {
                trusted(settings);
                trusted(settings);
            }),
        ),
        (
            "go together",
            Box::new(|settings| {
                settings.tls = TlsSettings { certificate_path: PathBuf::new(), ..authority.settings("all") }
            }),
        ),
        (
            "not the key of",
            Box::new(|settings| {
                settings.tls =
                    TlsSettings { key_path: authority.settings("other").key_path, ..authority.settings("all") }
            }),
        ),
        (
            "spiffe://elsewhere/<service>",
            Box::new(|settings| {
                settings.tls = TlsSettings { trust_domain: "elsewhere".into(), ..authority.settings("all") }
            }),
        ),
        ("valid from", Box::new(|settings| settings.tls = authority.expired("all"))),
        ("limits.in_flight", Box::new(|settings| settings.limits.in_flight = 0)),
        ("leeway", Box::new(|settings| settings.identity.leeway = Duration::from_secs(61))),
    ];
    for (names, set) in cases {
        let mut settings = settings(&folder);
        set(&mut settings);
        let refused = Suite::open(settings, &Service::ALL).await.err().unwrap_or_else(|| panic!("{names}: it started"));
        assert!(refused.to_string().contains(names), "{names}: {refused}");
    }
    // A service of its own, without the development key.
    let mut settings = settings(&folder);
    trusted(&mut settings);
    settings.bus.url = "nats://127.0.0.1:1".into();
    settings.databases.assignment.url = frontdesk_db::DatabaseUrl("postgres://u@127.0.0.1:1/d".into());
    settings.peers.conversation = "http://127.0.0.1:7701".into();
    let refused = Suite::open(settings, &[Service::Assignment]).await.err().unwrap().to_string();
    assert!(refused.contains("peers.conversation") && refused.contains("https"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_who_calls_too_often_is_told_when_to_come_back_and_others_are_served() {
    let suite = TestSuite::start_on(Footing::Embedded, |settings| settings.limits.visitor_rate = 2).await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("busy"), &channel).await;
    let ask = async |visitor| {
        VisitorServiceClient::new(visitor).get_chat(GetChatRequest { chat_id: chat.id.clone() }).await.map(drop)
    };
    let mut refused = None;
    for _ in 0..20 {
        if let Err(status) = ask(account.visitor("busy")).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.expect("a limit");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(refused.get_details_error_info().unwrap().metadata["whose"], "caller");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
    assert_eq!(ask(account.visitor("other")).await.unwrap_err().code(), Code::NotFound, "others are served");
    // As told, and no sooner than that.
    tokio::time::sleep(wait + Duration::from_millis(20)).await;
    ask(account.visitor("busy")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s4_streams_have_places_and_one_that_ends_makes_room() {
    let suite = TestSuite::start_on(Footing::Embedded, |settings| {
        settings.limits.streams = 3;
        settings.limits.visitor_streams = 2;
    })
    .await;
    let account = suite.account().await;
    let channel = account.channel(None).await;
    let (one, two) = (
        account.start_chat(account.visitor("one"), &channel).await,
        account.start_chat(account.visitor("two"), &channel).await,
    );
    let watch = async |chat: &Chat| {
        let request = WatchChatRequest { chat_id: chat.id.clone(), after_visitor_sequence: 0 };
        VisitorServiceClient::new(chat.visitor.clone()).watch_chat(request).await.map(tonic::Response::into_inner)
    };
    let (_first, second) = (watch(&one).await.unwrap(), watch(&one).await.unwrap());
    let greedy = watch(&one).await.unwrap_err();
    assert_eq!((greedy.code(), reason(&greedy).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    let _third = watch(&two).await.unwrap();
    let full = watch(&two).await.unwrap_err();
    assert_eq!((full.code(), reason(&full).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(greedy.get_details_retry_info().is_some() && full.get_details_retry_info().is_some());
    drop(second);
    wait_for("room", || async { watch(&one).await.ok() }).await;
}
