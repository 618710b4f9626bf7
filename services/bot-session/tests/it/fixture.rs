//! The service under test, its callers, the conversation service's part in a chat, a roster of Ada, Bob, and Gone, who was
//! deactivated, and one each of what a flow may name.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_bot_session::App;
use frontdesk_clock::Clock;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{
        Agent, GetAgentRequest, GetAgentResponse, GetOpeningHoursRequest, GetOpeningHoursResponse,
        GetRoutingPolicyRequest, GetRoutingPolicyResponse, GetTeamRequest, GetTeamResponse, OpeningHours,
        OpeningSchedule, RoutingPolicy, Team, WeeklyRange,
    },
    botsession::v1::{
        Bot, BotEngine, BotSession, CreateBotRequest, Flow, GetBotRequest, GetBotSessionRequest,
        bot_engine_service_client::BotEngineServiceClient, bot_service_client::BotServiceClient,
        bot_session_service_client::BotSessionServiceClient,
    },
    conversation::v1::{
        BotSessionInCharge, ChosenButton, CloseReason, Conversation, GetInsertRequest, GetInsertResponse, Insert,
        Message as ThreadMessage,
    },
    event::v1::{ConversationClosed, ConversationStarted, Event, MessagePosted},
};
use frontdesk_testkit::{Calls, FakeConversations, FakeServices, Mode, ServiceUnderTest, new_id, request_id};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, Statement};
use tonic::{Request, Status};
use uuid::Uuid;

pub const ADA: Uuid = Uuid::from_u128(0xADA);
pub const BOB: Uuid = Uuid::from_u128(0xB0B);
pub const GONE: Uuid = Uuid::from_u128(0x60E);

/// A routing policy, an insert, opening hours that are never open, and a team.
pub const POLICY: Uuid = Uuid::from_u128(0x1);
pub const INSERT: Uuid = Uuid::from_u128(0x2);
pub const CLOSED_HOURS: Uuid = Uuid::from_u128(0x3);
pub const TEAM: Uuid = Uuid::from_u128(0x4);

/// The bot-session service with a fake of the conversation service.
pub struct Fixture {
    pub fake: FakeServices,
    pub conversations: FakeConversations,
    pub clock: Clock,
    service: ServiceUnderTest,
}

/// A conversation that began with a bot.
#[derive(Clone, Debug)]
pub struct Chat {
    pub account: AccountId,
    pub conversation: Uuid,
    pub session: Uuid,
    pub started: ConversationStarted,
}

impl Fixture {
    pub async fn start(mode: Mode) -> Self {
        let service = ServiceUnderTest::start::<App>(mode).await;
        let conversations = FakeConversations::default();
        conversations.serve_by(&service.fake);
        service.fake.on(|request: Request<GetAgentRequest>| {
            let id = request.get_ref().agent_id.clone();
            let deactivate_time = match id.parse().unwrap() {
                ADA | BOB => None,
                GONE => Some(prost_types::Timestamp::default()),
                _ => return Err(Status::not_found("no such agent")),
            };
            Ok(GetAgentResponse { agent: Some(Agent { id, deactivate_time, ..Agent::default() }) })
        });
        service.fake.on(|request: Request<GetRoutingPolicyRequest>| {
            let id = known(&request.get_ref().routing_policy_id, POLICY)?;
            Ok(GetRoutingPolicyResponse { routing_policy: Some(RoutingPolicy { id, ..RoutingPolicy::default() }) })
        });
        service.fake.on(|request: Request<GetTeamRequest>| {
            let id = known(&request.get_ref().team_id, TEAM)?;
            Ok(GetTeamResponse { team: Some(Team { id, ..Team::default() }), ..GetTeamResponse::default() })
        });
        service.fake.on(|request: Request<GetInsertRequest>| {
            let id = known(&request.get_ref().insert_id, INSERT)?;
            Ok(GetInsertResponse { insert: Some(Insert { id, ..Insert::default() }) })
        });
        service.fake.on(|request: Request<GetOpeningHoursRequest>| {
            known(&request.get_ref().opening_hours_id, CLOSED_HOURS)?;
            Ok(GetOpeningHoursResponse { opening_hours: Some(opening_hours(Vec::new(), 1)) })
        });
        Self { fake: service.fake.clone(), conversations, clock: service.clock.clone(), service }
    }

    fn calls(&self, account: AccountId) -> Calls {
        self.service.calls(account, CallerKind::Admin, "root")
    }

    pub fn bots(&self, account: AccountId) -> BotServiceClient<Calls> {
        BotServiceClient::new(self.calls(account))
    }

    /// Calls of an agent whose role lets them change bots.
    pub fn bots_as(&self, account: AccountId, agent: Uuid) -> BotServiceClient<Calls> {
        let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["bots.write".into()];
        BotServiceClient::new(self.service.calls_with(account, CallerKind::Agent, &agent.to_string(), permit))
    }

    pub fn sessions(&self, account: AccountId) -> BotSessionServiceClient<Calls> {
        BotSessionServiceClient::new(self.calls(account))
    }

    /// Calls of the program that is the bot with this id.
    pub fn engine(&self, account: AccountId, bot: &str) -> BotEngineServiceClient<Calls> {
        BotEngineServiceClient::new(self.service.calls(account, CallerKind::Bot, bot))
    }

    /// Creates a bot that is a program of the customer's.
    pub async fn create_engine(&self, account: AccountId, engine: BotEngine) -> Bot {
        let (name, request_id) = ("Robo".into(), request_id());
        let request = CreateBotRequest { name, engine: Some(engine), request_id, ..CreateBotRequest::default() };
        self.bots(account).create_bot(request).await.unwrap().into_inner().bot.unwrap()
    }

    pub async fn create_bot(&self, account: AccountId, flow: Flow) -> Bot {
        self.bots(account).create_bot(new_bot(flow, &request_id())).await.unwrap().into_inner().bot.unwrap()
    }

    pub async fn bot(&self, account: AccountId, id: &str) -> Result<Bot, Status> {
        let request = GetBotRequest { bot_id: id.into() };
        Ok(self.bots(account).get_bot(request).await?.into_inner().bot.unwrap())
    }

    pub async fn session(&self, chat: &Chat) -> Result<BotSession, Status> {
        let request = GetBotSessionRequest { bot_session_id: chat.session.to_string() };
        Ok(self.sessions(chat.account).get_bot_session(request).await?.into_inner().bot_session.unwrap())
    }

    /// Adds a conversation whose session is in charge. Its event is still to be published.
    pub fn new_chat(&self, account: AccountId, bot: &Bot, timeout: Option<Duration>) -> Chat {
        let (conversation, session) = (new_id(), new_id());
        let in_charge = BotSessionInCharge { bot_session_id: session.to_string(), ..BotSessionInCharge::default() };
        self.conversations.insert(Conversation {
            id: conversation.to_string(),
            bot_session: Some(in_charge),
            ..Conversation::default()
        });
        let started = ConversationStarted {
            conversation_id: conversation.to_string(),
            bot_id: bot.id.clone(),
            bot_session_id: session.to_string(),
            inactivity_timeout: timeout.map(|timeout| timeout.try_into().unwrap()),
            start_time: Some(self.clock.now().to_proto()),
            epoch: 1,
            ..ConversationStarted::default()
        };
        Chat { account, conversation, session, started }
    }

    /// Starts a conversation with the bot and waits for the bot's first turn.
    pub async fn start_chat(&self, account: AccountId, bot: &Bot, timeout: Option<Duration>) -> Chat {
        let chat = self.new_chat(account, bot, timeout);
        self.publish(account, &chat.started).await;
        self.settled().await;
        chat
    }

    /// Appends a message of the visitor to the thread, typed unless it chooses a button; returns its sequence.
    pub fn append(&self, chat: &Chat, text: &str, button: &str) -> i32 {
        self.append_choice(chat, text, button, 0)
    }

    /// Appends a message that chooses a button of the message with this visitor sequence.
    pub fn append_choice(&self, chat: &Chat, text: &str, button: &str, question: i32) -> i32 {
        let chosen = ChosenButton { button_id: button.into(), visitor_sequence: question };
        let chosen_button = Some(chosen).filter(|chosen| !chosen.button_id.is_empty());
        let message = ThreadMessage { text: text.into(), chosen_button, ..ThreadMessage::default() };
        self.conversations.with(chat.conversation, |row| row.append(ActorKind::Visitor, message))
    }

    /// Sends a message of the visitor and waits until the service has handled it.
    pub async fn send(&self, chat: &Chat, text: &str, button: &str) {
        let sequence = self.append(chat, text, button);
        self.publish(chat.account, &chat.posted(sequence)).await;
        self.settled().await;
    }

    /// What the bot has said.
    pub fn said(&self, chat: &Chat) -> Vec<String> {
        self.conversations.with(chat.conversation, |row| row.texts_of(ActorKind::Bot))
    }

    /// Publishes an event as the conversation service would.
    pub async fn publish<M: Message + Name>(&self, account: AccountId, message: &M) {
        self.publish_all(&[event(account, message)]).await;
    }

    pub async fn publish_all(&self, events: &[Event]) {
        assert!(self.service.bus.publish(events).await.iter().all(Result::is_ok));
    }

    /// Waits until every event is published and handled.
    pub async fn settled(&self) {
        self.service.settled().await;
    }

    /// Reasons of the dead letters.
    pub async fn dead_letters(&self) -> Vec<String> {
        let letters = frontdesk_bus::list_dead_letters(&self.service.db).await.unwrap();
        letters.into_iter().map(|letter| letter.reason).collect()
    }

    /// The service's events of one type, oldest first.
    pub async fn events<M: Message + Name + Default>(&self) -> Vec<M> {
        self.service.appended().await
    }

    /// Number of rows of `table`, which may have a condition after its name.
    pub async fn count(&self, table: &str) -> i64 {
        let db = self.service.db.read();
        let sql = format!("SELECT count(*) AS number FROM {table}");
        let statement = Statement::from_string(db.get_database_backend(), sql);
        db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "number").unwrap()
    }

    /// Statements run on the service's database as its own work, for all accounts.
    pub async fn execute(&self, sql: &str) {
        let tx = self.service.db.begin().await.unwrap();
        tx.conn().execute_unprepared(sql).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// The id as it was asked for. NOT_FOUND: it is not the known one.
fn known(id: &str, known: Uuid) -> Result<String, Status> {
    if id == known.to_string() { Ok(id.to_owned()) } else { Err(Status::not_found("there is no such thing")) }
}

/// [`CLOSED_HOURS`] with these ranges of each week.
pub fn opening_hours(weekly_ranges: Vec<WeeklyRange>, version: i32) -> OpeningHours {
    let schedule = OpeningSchedule { time_zone: "UTC".into(), weekly_ranges, ..OpeningSchedule::default() };
    OpeningHours { id: CLOSED_HOURS.to_string(), schedule: Some(schedule), version, ..OpeningHours::default() }
}

impl Chat {
    /// The event of a message of the visitor.
    pub fn posted(&self, sequence: i32) -> MessagePosted {
        MessagePosted {
            conversation_id: self.conversation.to_string(),
            sequence,
            author: Some(Actor { kind: ActorKind::Visitor.into(), id: "v".into(), name: String::new() }),
            bot_session_id: self.session.to_string(),
            ..MessagePosted::default()
        }
    }

    /// The event of a close for this reason.
    pub fn closed(&self, reason: CloseReason) -> ConversationClosed {
        ConversationClosed {
            conversation_id: self.conversation.to_string(),
            bot_session_id: self.session.to_string(),
            reason: reason.into(),
            ..ConversationClosed::default()
        }
    }
}

/// An event of the conversation service, with a new id.
pub fn event<M: Message + Name>(account: AccountId, message: &M) -> Event {
    frontdesk_testkit::event("conversation", account, message)
}

/// This event twenty times, each with an id of its own.
pub fn twenty<M: Message + Name>(account: AccountId, message: &M) -> Vec<Event> {
    (0..20).map(|_| event(account, message)).collect()
}

pub fn new_account() -> AccountId {
    AccountId(new_id())
}

pub fn new_bot(flow: Flow, request_id: &str) -> CreateBotRequest {
    let (name, request_id) = ("Robo".into(), request_id.into());
    CreateBotRequest { name, flow: Some(flow), request_id, ..CreateBotRequest::default() }
}
