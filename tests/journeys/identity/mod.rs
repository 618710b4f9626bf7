//! Authentication: tokens of issuers and of visitors, certificates of services, and configurations that the server
//! refuses.

mod certificates;
mod configuration;
mod forged_tokens;
mod issuers;
mod visitor_tokens;

use frontdesk::{Server, Service, Settings};
use frontdesk_proto::conversation::v1::{
    CreateChannelRequest, ListChannelsRequest, NoGreeter, RotateVisitorKeyRequest, RotateVisitorKeyResponse,
    StartChatRequest, StartChatResponse, channel_service_client::ChannelServiceClient, create_channel_request::Greeter,
    visitor_service_client::VisitorServiceClient,
};
use frontdesk_testkit::BearerToken;
use frontdesk_tests::request_id;
use tokio::net::TcpListener;
use tonic::{
    Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

type As = InterceptedService<Channel, BearerToken>;

fn with(channel: &Channel, token: &str) -> As {
    InterceptedService::new(channel.clone(), BearerToken::new(token))
}

/// Serves all services in this process with these settings; returns the address.
async fn start(settings: Settings) -> (String, tokio::task::JoinHandle<()>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let suite = Server::open(settings, &Service::ALL).await.unwrap();
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

/// A call that administrators are permitted.
async fn list_channels(caller: As) -> Result<(), Status> {
    ChannelServiceClient::new(caller).list_channels(ListChannelsRequest::default()).await.map(drop)
}

async fn new_channel(admin: &As, bot: Option<String>) -> String {
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(bot.map_or(Greeter::NoGreeter(NoGreeter {}), Greeter::BotId)),
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
