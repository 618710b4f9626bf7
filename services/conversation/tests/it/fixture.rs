//! The running service with an account: agents Ada and Bob, Gone, who was deactivated, the bot Robin, and the sender address
//! Sales, which is not verified.

use std::{future::Future, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_conversation::{App, ConversationSettings};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        Agent, AssignmentCause, GetAgentRequest, GetAgentResponse, GetOpeningHoursRequest, GetOpeningHoursResponse,
        GetTeamRequest, GetTeamResponse, OpeningHours, OpeningSchedule, Team, WeeklyRange,
    },
    botsession::v1::{Bot, GetBotRequest, GetBotResponse, bot::Inactivity},
    conversation::internal::v1::{
        ChangeAssigneeRequest, PostBotMessageRequest, arbiter_service_client::ArbiterServiceClient,
    },
    conversation::v1::{
        AnonymousVisitors, Button, Channel, Chat, ChatEntry, Conversation, CreateAnonymousVisitorRequest,
        CreateChannelRequest, Entry, GetConversationRequest, ListChatEntriesRequest, ListEntriesRequest, NoGreeter,
        PostMessageRequest, StartChatRequest, attachment_service_client::AttachmentServiceClient,
        channel_service_client::ChannelServiceClient, contact_job_service_client::ContactJobServiceClient,
        contact_service_client::ContactServiceClient, conversation_service_client::ConversationServiceClient,
        create_channel_request::Greeter, insert_service_client::InsertServiceClient,
        settings_service_client::SettingsServiceClient, thread_service_client::ThreadServiceClient,
        ticket_service_client::TicketServiceClient, visitor_service_client::VisitorServiceClient,
    },
    event::v1::{ConversationQueueChanged, Event, TeamMembersChanged},
    notification::{
        internal::v1::{
            AddressCodeOutcome, CheckAddressCodeRequest, CheckAddressCodeResponse, MailAddressCodeRequest,
            MailAddressCodeResponse,
        },
        v1::{GetSenderRequest, GetSenderResponse, Sender},
    },
};
use frontdesk_testkit::{Calls, Mode, ServiceUnderTest, event, new_id, request_id, wait_for};
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tonic::{Request, Status};
use uuid::Uuid;

pub const ADA: Uuid = Uuid::from_u128(0xADA);
pub const BOB: Uuid = Uuid::from_u128(0xB0B);
pub const GONE: Uuid = Uuid::from_u128(0x60E);
/// An agent who is not on the roster.
pub const STRANGER: Uuid = Uuid::from_u128(0x57A);
pub const ROBIN: Uuid = Uuid::from_u128(0x0B17);
/// Opening hours: in UTC, each day from 09:00 to 18:00.
pub const OFFICE: Uuid = Uuid::from_u128(0x0FF1CE);
pub const SALES: Uuid = Uuid::from_u128(0x5A1E5);
/// The code that verifies every address.
pub const CODE: &str = "12345678";
/// Where browsers reach the service.
pub const PUBLIC_URL: &str = "https://files.test/chat";
/// Inactivity timeout of Robin's sessions.
pub const TIMEOUT: Duration = Duration::from_secs(1_800);

pub struct Fixture {
    pub service: ServiceUnderTest,
    pub account: AccountId,
}

/// A chat that a bot greeted.
pub struct BotChat {
    pub id: String,
    pub session: String,
}

impl Fixture {
    /// Waits until a transaction waits for a lock (PostgreSQL).
    pub async fn wait_for_a_lock(&self) {
        wait_for("a transaction at a lock", || async {
            let waiting =
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = Statement::from_string(DbBackend::Postgres, waiting);
            self.service.db.read().query_one_raw(waiting).await.unwrap()
        })
        .await;
    }

    pub async fn start(mode: Mode) -> Self {
        Self::start_with(mode, |_| {}).await
    }

    /// With settings that `change` has edited.
    pub async fn start_with(mode: Mode, change: impl FnOnce(&mut ConversationSettings)) -> Self {
        let mut settings = ConversationSettings { public_url: PUBLIC_URL.into(), ..ConversationSettings::default() };
        change(&mut settings);
        let service = ServiceUnderTest::start_with::<App>(mode, settings).await;
        service.fake.on(|request: Request<GetAgentRequest>| {
            let id = request.get_ref().agent_id.clone();
            let (name, active) = match id.parse::<Uuid>().unwrap() {
                ADA => ("Ada", true),
                BOB => ("Bob", true),
                GONE => ("Gone", false),
                _ => return Err(Status::not_found("no such agent")),
            };
            Ok(GetAgentResponse { agent: Some(agent(id, name, active, 1)) })
        });
        service.fake.on(|request: Request<GetBotRequest>| {
            let id = request.get_ref().bot_id.clone();
            if id != ROBIN.to_string() {
                return Err(Status::not_found("no such bot"));
            }
            Ok(GetBotResponse { bot: Some(robin(false, 1)) })
        });
        service.fake.on(|request: Request<GetSenderRequest>| {
            let id = request.get_ref().sender_id.clone();
            if id != SALES.to_string() {
                return Err(Status::not_found("no such sender"));
            }
            Ok(GetSenderResponse { sender: Some(Sender { id, verified: false, ..Sender::default() }) })
        });
        service.fake.on(|_: Request<MailAddressCodeRequest>| Ok(MailAddressCodeResponse::default()));
        service.fake.on(|request: Request<CheckAddressCodeRequest>| {
            let (outcome, remaining_attempts) = match request.get_ref().code.as_str() {
                CODE => (AddressCodeOutcome::Right, 0),
                _ => (AddressCodeOutcome::Wrong, 4),
            };
            Ok(CheckAddressCodeResponse { outcome: outcome.into(), remaining_attempts })
        });
        service.fake.on(|request: Request<GetOpeningHoursRequest>| {
            if request.get_ref().opening_hours_id != OFFICE.to_string() {
                return Err(Status::not_found("no such opening hours"));
            }
            Ok(GetOpeningHoursResponse { opening_hours: Some(office(540, false, 1)) })
        });
        Self { service, account: AccountId(new_id()) }
    }

    pub fn conversations(&self, agent: Uuid) -> ConversationServiceClient<Calls> {
        ConversationServiceClient::new(self.as_agent(agent))
    }

    pub fn threads(&self, agent: Uuid) -> ThreadServiceClient<Calls> {
        ThreadServiceClient::new(self.as_agent(agent))
    }

    pub fn contacts(&self) -> ContactServiceClient<Calls> {
        self.contacts_as(ADA)
    }

    pub fn contacts_as(&self, agent: Uuid) -> ContactServiceClient<Calls> {
        ContactServiceClient::new(self.as_agent(agent))
    }

    pub fn contact_jobs(&self) -> ContactJobServiceClient<Calls> {
        ContactJobServiceClient::new(self.service.calls(self.account, CallerKind::Admin, "root"))
    }

    pub fn tickets(&self, agent: Uuid) -> TicketServiceClient<Calls> {
        TicketServiceClient::new(self.as_agent(agent))
    }

    pub fn inserts(&self, agent: Uuid) -> InsertServiceClient<Calls> {
        InsertServiceClient::new(self.as_agent(agent))
    }

    pub fn attachments(&self, agent: Uuid) -> AttachmentServiceClient<Calls> {
        AttachmentServiceClient::new(self.as_agent(agent))
    }

    pub fn settings(&self) -> SettingsServiceClient<Calls> {
        SettingsServiceClient::new(self.service.calls(self.account, CallerKind::Admin, "root"))
    }

    /// Calls of an agent whose role lets them change settings.
    pub fn settings_as(&self, agent: Uuid) -> SettingsServiceClient<Calls> {
        let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["settings.write".into()];
        let calls = self.service.calls_with(self.account, CallerKind::Agent, &agent.to_string(), permit);
        SettingsServiceClient::new(calls)
    }

    pub fn channels(&self) -> ChannelServiceClient<Calls> {
        ChannelServiceClient::new(self.service.calls(self.account, CallerKind::Admin, "root"))
    }

    /// Calls of an agent whose role lets them change channels.
    pub fn channels_as(&self, agent: Uuid) -> ChannelServiceClient<Calls> {
        let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["channels.write".into()];
        let calls = self.service.calls_with(self.account, CallerKind::Agent, &agent.to_string(), permit);
        ChannelServiceClient::new(calls)
    }

    pub fn chats(&self, visitor: &str) -> VisitorServiceClient<Calls> {
        VisitorServiceClient::new(self.service.calls(self.account, CallerKind::Visitor, visitor))
    }

    /// A visitor whose token vouches for an address.
    pub fn chats_with_address(&self, visitor: &str, address: &str) -> VisitorServiceClient<Calls> {
        let set_address = |claims: &mut frontdesk_auth::Claims| claims.email = Some(address.into());
        VisitorServiceClient::new(self.service.calls_with(self.account, CallerKind::Visitor, visitor, set_address))
    }

    /// Calls with this visitor token or widget token.
    pub fn chats_with_token(&self, token: &str) -> VisitorServiceClient<Calls> {
        VisitorServiceClient::new(self.service.calls_with_token(token))
    }

    /// A channel with anonymous visitors, unassigned at the start.
    pub async fn open_channel(&self) -> Channel {
        let anonymous_visitors = Some(AnonymousVisitors::default());
        self.create_channel(CreateChannelRequest { anonymous_visitors, ..new_channel() }).await
    }

    /// The token of a new anonymous visitor of the channel.
    pub async fn anonymous_visitor(&self, channel: &Channel) -> String {
        let mut widget = self.chats_with_token(&channel.widget_token);
        let created = widget.create_anonymous_visitor(CreateAnonymousVisitorRequest::default()).await.unwrap();
        created.into_inner().visitor_token
    }

    fn as_agent(&self, agent: Uuid) -> Calls {
        self.service.calls(self.account, CallerKind::Agent, &agent.to_string())
    }

    /// Calls of the service `name`; each request names account and actor ([`Self::on_behalf_of`]).
    pub fn as_service(&self, name: &str) -> Calls {
        self.service.calls(self.account, CallerKind::Service, name)
    }

    /// Calls of the arbiter by the service `name`.
    pub fn arbiter(&self, name: &str) -> ArbiterServiceClient<Calls> {
        ArbiterServiceClient::new(self.as_service(name))
    }

    /// The request of a service for an actor of the account.
    pub fn on_behalf_of<T>(&self, actor: &str, message: T) -> Request<T> {
        self.on_behalf_of_in(self.account, actor, message)
    }

    pub fn on_behalf_of_in<T>(&self, account: AccountId, actor: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-frontdesk-account", account.to_string().parse().unwrap());
        request.metadata_mut().insert("x-frontdesk-actor", actor.parse().unwrap());
        request
    }

    /// The request of the bot-session service for Robin.
    pub fn by_robin<T>(&self, message: T) -> Request<T> {
        self.on_behalf_of(&format!("bot:{ROBIN}"), message)
    }

    /// The same service, seen from another account.
    pub fn in_another_account(&self) -> OtherAccount<'_> {
        OtherAccount { service: &self.service, account: AccountId(new_id()) }
    }

    /// A channel on which conversations start unassigned.
    pub async fn channel(&self) -> Channel {
        self.create_channel(new_channel()).await
    }

    /// A channel on which Robin greets.
    pub async fn bot_channel(&self) -> Channel {
        self.create_channel(CreateChannelRequest { greeter: Some(Greeter::BotId(ROBIN.to_string())), ..new_channel() })
            .await
    }

    pub async fn create_channel(&self, request: CreateChannelRequest) -> Channel {
        self.channels().create_channel(request).await.unwrap().into_inner().channel.unwrap()
    }

    /// An unassigned chat of the visitor.
    pub async fn chat(&self, visitor: &str) -> Chat {
        let channel = self.channel().await;
        self.chat_on(&channel, visitor).await
    }

    pub async fn chat_on(&self, channel: &Channel, visitor: &str) -> Chat {
        let request = start(&channel.id);
        self.chats(visitor).start_chat(request).await.unwrap().into_inner().chat.unwrap()
    }

    /// A chat that Robin greeted.
    pub async fn bot_chat(&self, visitor: &str) -> BotChat {
        let channel = self.bot_channel().await;
        let id = self.chat_on(&channel, visitor).await.id;
        let session = self.conversation(&id).await.bot_session.unwrap().bot_session_id;
        BotChat { id, session }
    }

    pub async fn conversation(&self, id: &str) -> Conversation {
        let request = GetConversationRequest { conversation_id: id.into() };
        self.conversations(ADA).get_conversation(request).await.unwrap().into_inner().conversation.unwrap()
    }

    pub async fn entries(&self, id: &str) -> Vec<Entry> {
        let request = ListEntriesRequest { conversation_id: id.into(), ..ListEntriesRequest::default() };
        self.threads(ADA).list_entries(request).await.unwrap().into_inner().entries
    }

    pub async fn chat_entries(&self, visitor: &str, chat: &str) -> Vec<ChatEntry> {
        let request = ListChatEntriesRequest { chat_id: chat.into(), ..ListChatEntriesRequest::default() };
        self.chats(visitor).list_chat_entries(request).await.unwrap().into_inner().entries
    }

    /// Ada posts a message, which makes her the assignee of an unassigned conversation.
    pub async fn post(&self, id: &str, text: &str) -> Entry {
        let response = self.threads(ADA).post_message(message(id, text)).await.unwrap();
        response.into_inner().entry.unwrap()
    }

    /// Robin posts a message, as the session that the request names.
    pub async fn post_as_robin(&self, request: PostBotMessageRequest) -> Result<Entry, Status> {
        let request = self.by_robin(request);
        Ok(self.arbiter("bot-session").post_bot_message(request).await?.into_inner().entry.unwrap())
    }

    /// The roster answers that the only team has these members, from now on.
    pub fn answer_team(&self, team: Uuid, members: &[Uuid], version: i32) {
        let agent_ids: Vec<_> = members.iter().map(Uuid::to_string).collect();
        self.service.fake.on(move |request: Request<GetTeamRequest>| {
            let id = request.get_ref().team_id.clone();
            if id != team.to_string() {
                return Err(Status::not_found("no such team"));
            }
            let agent_ids = agent_ids.clone();
            Ok(GetTeamResponse { team: Some(Team { id, version, ..Team::default() }), agent_ids })
        });
    }

    /// The event that the members of the team changed is handled.
    pub async fn handle_members_changed(&self, team: Uuid) {
        let team_id = team.to_string();
        let changed = TeamMembersChanged { team_id: team_id.clone(), ..TeamMembersChanged::default() };
        let event = Event { aggregate_id: team_id, ..event("assignment", self.account, &changed) };
        self.service.deliver_again(&event).await;
        self.service.settled().await;
    }

    /// The event about how the conversation waits in its queue is handled.
    pub async fn handle_queue_changed(&self, id: &str, version: i32, epoch: i32, waiting: bool, teams: &[Uuid]) {
        self.service.deliver_again(&self.queue_changed(id, version, epoch, waiting, teams)).await;
        self.service.settled().await;
    }

    /// The event about how the conversation waits in its queue.
    pub fn queue_changed(&self, id: &str, version: i32, epoch: i32, waiting: bool, teams: &[Uuid]) -> Event {
        let team_ids = teams.iter().map(Uuid::to_string).collect();
        let changed = ConversationQueueChanged { conversation_id: id.into(), epoch, waiting, team_ids };
        Event { version, ..event("assignment", self.account, &changed) }
    }

    /// The assignment service assigns Ada.
    pub async fn assign_ada(&self, id: &str, expected_epoch: i32) {
        let request = ChangeAssigneeRequest {
            conversation_id: id.into(),
            expected_epoch,
            agent_id: ADA.to_string(),
            agent_name: "Ada".into(),
            request_id: request_id(),
            cause: AssignmentCause::ByHand.into(),
            agent_version: 1,
            only_if_visitor_waits: false,
            administrator_name: String::new(),
        };
        let request = self.on_behalf_of(&format!("agent:{ADA}"), request);
        self.arbiter("assignment").change_assignee(request).await.unwrap();
    }
}

/// An agent as the roster answers it.
pub fn agent(id: String, name: &str, active: bool, version: i32) -> Agent {
    let deactivate_time = (!active).then(prost_types::Timestamp::default);
    Agent { id, name: name.into(), deactivate_time, version, ..Agent::default() }
}

/// Robin as the bot-session service answers it.
pub fn robin(deleted: bool, version: i32) -> Bot {
    Bot {
        id: ROBIN.to_string(),
        name: "Robin".into(),
        inactivity: Some(Inactivity::InactivityTimeout(TIMEOUT.try_into().unwrap())),
        delete_time: deleted.then(prost_types::Timestamp::default),
        version,
        ..Bot::default()
    }
}

/// The office's hours as the assignment service answers them: each day from this minute to 18:00, in UTC.
pub fn office(start_minute: i32, deleted: bool, version: i32) -> OpeningHours {
    OpeningHours {
        id: OFFICE.to_string(),
        schedule: Some(OpeningSchedule {
            time_zone: "UTC".into(),
            weekly_ranges: (1..=7).map(|weekday| WeeklyRange { weekday, start_minute, end_minute: 1_080 }).collect(),
            exceptions: Vec::new(),
        }),
        delete_time: deleted.then(prost_types::Timestamp::default),
        version,
        ..OpeningHours::default()
    }
}

/// Callers of another account.
pub struct OtherAccount<'a> {
    service: &'a ServiceUnderTest,
    pub account: AccountId,
}

impl OtherAccount<'_> {
    pub fn as_agent(&self) -> Calls {
        self.service.calls(self.account, CallerKind::Agent, &ADA.to_string())
    }

    pub fn as_admin(&self) -> Calls {
        self.service.calls(self.account, CallerKind::Admin, "root")
    }

    pub fn as_visitor(&self, visitor: &str) -> Calls {
        self.service.calls(self.account, CallerKind::Visitor, visitor)
    }
}

pub fn new_channel() -> CreateChannelRequest {
    CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(Greeter::NoGreeter(NoGreeter {})),
        request_id: request_id(),
        ..CreateChannelRequest::default()
    }
}

pub fn start(channel: &str) -> StartChatRequest {
    StartChatRequest {
        channel_id: channel.into(),
        page_url: "https://shop.example/cart".into(),
        request_id: request_id(),
        ..StartChatRequest::default()
    }
}

pub fn message(conversation: &str, text: &str) -> PostMessageRequest {
    PostMessageRequest {
        conversation_id: conversation.into(),
        text: text.into(),
        request_id: request_id(),
        ..PostMessageRequest::default()
    }
}

/// A message of Robin with the buttons `yes` and `no`.
pub fn question(chat: &BotChat) -> PostBotMessageRequest {
    let button = |id: &str, label: &str| Button { id: id.into(), label: label.into() };
    PostBotMessageRequest {
        conversation_id: chat.id.clone(),
        bot_session_id: chat.session.clone(),
        text: "Shall I?".into(),
        buttons: vec![button("yes", "Yes, please"), button("no", "No")],
        request_id: request_id(),
        ..PostBotMessageRequest::default()
    }
}

/// Makes twenty calls at once.
pub async fn twenty<T, F: Future<Output = T>>(call: impl Fn(usize) -> F) -> Vec<T> {
    join_all((0..20).map(call)).await
}
