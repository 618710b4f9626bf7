//! Certificates of services.

use std::{sync::Arc, time::Duration};

use frontdesk::{Server, Service, Settings};
use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    botsession::v1::{
        CreateBotRequest, Flow, HandOffStep, SayStep, Step, bot_service_client::BotServiceClient, step::Action,
    },
    conversation::{
        internal::v1::{ChangeAssigneeRequest, arbiter_service_client::ArbiterServiceClient},
        v1::{WatchChatRequest, visitor_service_client::VisitorServiceClient},
    },
};
use frontdesk_tests::{
    Chat, new_id, next_chat_entry,
    production::{Authority, TokenIssuer, publish, trust, visitor_token},
    request_id, use_test_servers, wait_for,
};
use jsonwebtoken::Algorithm;
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Code, Request, transport::Channel};

use super::{new_channel, rotate, settings, start_chat, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_services_authenticate_by_certificates_and_no_other_client_can() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::default());
    let issuer = TokenIssuer::new("https://login.example/", "ec", Algorithm::ES256);
    let jwks = folder.path().join("jwks.json");
    publish(&jwks, &[&issuer]);
    let mut settings = settings(&folder);
    trust(&mut settings, &issuer, jwks.to_str().unwrap());
    use_test_servers(&mut settings).await;
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
    Server::open(settings.clone(), &Service::ALL).await.unwrap().migrate().await.unwrap();
    let mut serving = JoinSet::new();
    for (service, listener) in listeners {
        let settings = Settings { tls: authority.settings(service.name()), ..settings.clone() };
        let suite = Server::open(settings, &[service]).await.unwrap();
        serving.spawn(async move { suite.serve(listener).await.unwrap() });
    }
    let to = |service| authority.connect(settings.peers.get(service), None);

    // A chat with a bot: the conversation service calls bot-session, and bot-session posts to the conversation.
    let account = new_id();
    let admin = |service| with(&to(service), &issuer.token(account, CallerKind::Admin, "ada"));
    let hello = Action::Say(SayStep { text: "Hello!".into(), ..Default::default() });
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Default::default() };
    let steps = vec![step("hello", hello), step("team", Action::HandOff(HandOffStep::default()))];
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
    let line =
        tokio::time::timeout(Duration::from_secs(20), next_chat_entry(&mut lines)).await.unwrap().unwrap().unwrap();
    assert_eq!(Chat::text(&line), "Hello!");

    // A client without the certificate of a service is not a service.
    let change =
        ChangeAssigneeRequest { conversation_id: chat.id.clone(), request_id: request_id(), ..Default::default() };
    let conversation = settings.peers.get(Service::Conversation);
    let call = async |channel: Channel| {
        let mut request = Request::new(change.clone());
        request.metadata_mut().insert("x-frontdesk-account", account.to_string().parse().unwrap());
        request.metadata_mut().insert("x-frontdesk-actor", format!("agent:{}", new_id()).parse().unwrap());
        ArbiterServiceClient::new(channel).change_assignee(request).await.unwrap_err().code()
    };
    assert_eq!(call(authority.connect(conversation, None)).await, Code::Unauthenticated);
    for uris in [&[][..], &["spiffe://elsewhere/assignment"], &["spiffe://frontdesk/a", "spiffe://frontdesk/b"]] {
        let certificate = Some(authority.sign(uris));
        assert_eq!(call(authority.connect(conversation, certificate)).await, Code::Unauthenticated, "{uris:?}");
    }
    let stranger = Authority::default().sign(&["spiffe://frontdesk/assignment"]);
    let refused = call(authority.connect(conversation, Some(stranger))).await;
    // The client library's codes for a connection that the server closes during the handshake.
    let closed = [Code::Unavailable, Code::Unknown, Code::Cancelled];
    assert!(closed.contains(&refused), "the handshake fails: {refused:?}");
    let genuine = authority.sign(&["spiffe://frontdesk/assignment"]);
    let known = call(authority.connect(conversation, Some(genuine))).await;
    assert_eq!(known, Code::InvalidArgument, "a service is admitted, and its request is then validated");
    let token = with(&to(Service::Conversation), &issuer.token(account, CallerKind::Admin, "ada"));
    let admin = ArbiterServiceClient::new(token).change_assignee(change.clone()).await.unwrap_err();
    assert_eq!(admin.code(), Code::PermissionDenied);

    // A replaced certificate is loaded while the process runs.
    let before = served_certificate(&authority, conversation).await;
    authority.settings("conversation");
    wait_for("the new certificate", || async {
        (served_certificate(&authority, conversation).await != before).then_some(())
    })
    .await;
}

/// The certificate that a listener presents.
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
