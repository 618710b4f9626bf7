//! `frontdesk tail`: shows the events of an account as they are published.

mod data;

use std::{error::Error, time::Duration};

use frontdesk::{Server, ServerChannel, Service, Settings, dev};
use frontdesk_auth::{CallerKind, DevelopmentKey};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{
    Event, EventFilter, EventStart, SubscribeAssignmentEventsRequest, SubscribeBotSessionEventsRequest,
    SubscribeConversationEventsRequest, SubscribeNotificationEventsRequest,
    assignment_event_service_client::AssignmentEventServiceClient,
    bot_session_event_service_client::BotSessionEventServiceClient,
    conversation_event_service_client::ConversationEventServiceClient,
    notification_event_service_client::NotificationEventServiceClient, subscribe_assignment_events_response,
    subscribe_bot_session_events_response, subscribe_conversation_events_response,
    subscribe_notification_events_response,
};
use tokio::task::JoinSet;
use tonic::{Code, Status, service::interceptor::InterceptedService};
use uuid::Uuid;

use crate::{Failure, bearer::Bearer};
use data::EventData;

/// What the full names of the types of events begin with.
const TYPES: &str = "frontdesk.event.v1.";
/// Delay before a stream that ended is opened again.
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// How long the token is valid that the development key signs.
const TOKEN_TTL: Duration = Duration::from_secs(12 * 3600);

#[derive(clap::Args)]
pub(crate) struct Tail {
    /// Address of a running server, such as http://127.0.0.1:7700. Default: the addresses of the settings' peers, or else the configured
    /// address.
    #[arg(long)]
    address: Option<String>,
    /// Token of an administrator of the account. Default: one that the development key signs.
    #[arg(long, env = "FRONTDESK_TOKEN", hide_env_values = true, conflicts_with = "account")]
    token: Option<String>,
    /// UUID of the account.
    #[arg(long, default_value_t = dev::DEVELOPMENT_ACCOUNT, value_parser = crate::uuid)]
    account: Uuid,
    /// Show events of this service only.
    #[arg(long)]
    service: Option<Service>,
    /// Show events of this type only, such as ConversationClosed. May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Show events about this aggregate only, by its UUID. May be repeated.
    #[arg(long = "aggregate", value_name = "UUID", value_parser = crate::uuid)]
    aggregates: Vec<Uuid>,
    /// Begin with the oldest event that is kept, instead of now.
    #[arg(long)]
    earliest: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

/// A channel that sends the administrator's token.
type Client = InterceptedService<ServerChannel, Bearer>;

/// What is shown of the events of one service.
struct Follower {
    service: Service,
    client: Client,
    filter: EventFilter,
    start: EventStart,
    /// Of the last update. Empty: there was none.
    cursor: String,
    data: EventData,
    json: bool,
}

/// Shows events until it is stopped. Fails when a server refuses a stream for good.
pub(crate) async fn run(settings: &Settings, tail: Tail) -> Result<(), Failure> {
    let channel = match &tail.address {
        Some(address) => ServerChannel::at(address)?,
        None if !settings.peers.conversation.is_empty() => ServerChannel::to_peers(settings)?,
        None => ServerChannel::at(&format!("http://{}", settings.listen))?,
    };
    let token = match &tail.token {
        Some(token) => token.clone(),
        None => development_token(settings, AccountId(tail.account))?,
    };
    let client = InterceptedService::new(channel, Bearer::try_new(&token)?);
    let full_name = |name: &String| if name.contains('.') { name.clone() } else { format!("{TYPES}{name}") };
    let filter = EventFilter {
        event_types: tail.types.iter().map(full_name).collect(),
        aggregate_ids: tail.aggregates.iter().map(Uuid::to_string).collect(),
        ..EventFilter::default()
    };
    let start = if tail.earliest { EventStart::Earliest } else { EventStart::Latest };
    let data = EventData::try_new()?;
    let mut followers = JoinSet::new();
    for service in Service::ALL.into_iter().filter(|service| tail.service.is_none_or(|only| only == *service)) {
        let follower = Follower {
            service,
            client: client.clone(),
            filter: filter.clone(),
            start,
            cursor: String::new(),
            data: data.clone(),
            json: tail.json,
        };
        followers.spawn(follower.run());
    }
    while let Some(ended) = followers.join_next().await {
        ended??;
    }
    Ok(())
}

fn development_token(settings: &Settings, account: AccountId) -> Result<String, Failure> {
    if !settings.identity.accepts_development_key() {
        return Err("these settings do not accept the development key: pass --token, or set FRONTDESK_TOKEN".into());
    }
    let file = Server::key_file(settings);
    if !file.is_file() {
        let file = file.display();
        let message =
            format!("there is no development key {file}: run this with the settings of the server, or pass --token");
        return Err(message.into());
    }
    let key = DevelopmentKey::load_or_create(&file, &dev::clock(settings)?)?;
    Ok(key.mint(&key.claims(account, CallerKind::Admin, "frontdesk-tail", TOKEN_TTL))?)
}

/// Opens a stream of a service's events, and shows what it sends until it ends.
macro_rules! follow {
    ($self:ident, $client:ident, $method:ident, $request:ident, $response:ident) => {{
        let (filter, cursor, start) = ($self.filter.clone(), $self.cursor.clone(), $self.start.into());
        let request = $request { filter: Some(filter), cursor, start };
        let mut stream = $client::new($self.client.clone()).$method(request).await?.into_inner();
        while let Some(response) = stream.message().await? {
            if let Some($response::Update::Published(event)) = &response.update {
                $self.show(event);
            }
            $self.cursor = response.cursor;
        }
        Ok(())
    }};
}

impl Follower {
    async fn run(mut self) -> Result<(), Failure> {
        loop {
            match self.follow().await {
                Ok(()) => {}
                // A status that the server sent has no source.
                Err(status) if status.source().is_some() || passes(status.code()) => {
                    eprintln!(
                        "frontdesk: the events of the {} service: {}; connecting again",
                        self.service.name(),
                        status.message()
                    );
                }
                Err(status) => return Err(status.into()),
            }
            tokio::time::sleep(RECONNECT_DELAY).await;
        }
    }

    async fn follow(&mut self) -> Result<(), Status> {
        match self.service {
            Service::Conversation => follow!(
                self,
                ConversationEventServiceClient,
                subscribe_conversation_events,
                SubscribeConversationEventsRequest,
                subscribe_conversation_events_response
            ),
            Service::Assignment => follow!(
                self,
                AssignmentEventServiceClient,
                subscribe_assignment_events,
                SubscribeAssignmentEventsRequest,
                subscribe_assignment_events_response
            ),
            Service::BotSession => follow!(
                self,
                BotSessionEventServiceClient,
                subscribe_bot_session_events,
                SubscribeBotSessionEventsRequest,
                subscribe_bot_session_events_response
            ),
            Service::Notification => follow!(
                self,
                NotificationEventServiceClient,
                subscribe_notification_events,
                SubscribeNotificationEventsRequest,
                subscribe_notification_events_response
            ),
        }
    }

    fn show(&self, event: &Event) {
        let time = event.create_time.as_ref().map(|time| Time::from_proto(time).to_utc());
        let time = time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)).unwrap_or_default();
        let (name, data) = (event.r#type.trim_start_matches(TYPES), self.data.json(event));
        let Event { id, source, account_id, aggregate_type, aggregate_id, version, .. } = event;
        if self.json {
            let line = serde_json::json!({
                "id": id,
                "type": event.r#type,
                "source": source,
                "account_id": account_id,
                "aggregate_type": aggregate_type,
                "aggregate_id": aggregate_id,
                "version": version,
                "create_time": time,
                "data": data,
            });
            println!("{line}");
        } else {
            println!("{time}  {source}  {name}  {aggregate_type} {aggregate_id} {version}  {data}");
        }
    }
}

/// Whether a later call may succeed after a server has sent this code.
fn passes(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
}
