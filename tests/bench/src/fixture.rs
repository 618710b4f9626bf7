//! The data that every deployment starts with: an account, its agent, and conversations, which are inserted into the database.

use std::{path::Path, time::Duration};

use frontdesk_auth::{CallerKind, DevelopmentKey};
use frontdesk_clock::Clock;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    event::v1::{Event, MessagePosted},
};
use prost::{Message, Name};
use tonic::{Request, transport::Endpoint};
use uuid::Uuid;

use frontdesk_bench::messages::{CONVERSATIONS, conversation_id};

/// Id of the account.
pub const ACCOUNT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_00AC);
/// Id of the agent who posts.
pub const AGENT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_00A6);
/// Id of the bot of the bot sessions.
const BOT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_00B0);
/// Id of the channel of the conversations.
pub const CHANNEL: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_00C4);

/// The statement that inserts the conversations on PostgreSQL.
pub fn conversations() -> String {
    format!(
        "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, assignee_kind,
            assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number, created_at,
            last_visitor_activity_at, last_activity_at, version)
        SELECT ('00000000-0000-7000-8000-' || (100000000000 + number)::text)::uuid, '{ACCOUNT}', '{CHANNEL}',
            'visitor-' || number, 'OPEN', 'https://shop.example/page', 'The page', 'AGENT', '{AGENT}', 2, FALSE, TRUE, 0, 0,
            0, now_us, now_us, now_us, 0
        FROM generate_series(0, {CONVERSATIONS} - 1) AS number,
            (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us) AS clock"
    )
}

/// Id of the chat of a widget, which is numbered.
pub fn widget_chat(number: usize) -> String {
    format!("00000000-0000-7000-8200-{}", 100_000_000_000 + number)
}

/// Its visitor.
pub fn widget_visitor(number: usize) -> String {
    format!("widget-{number}")
}

/// The statement that inserts the chats of this number of widgets, without entries.
pub fn widgets(count: usize) -> String {
    format!(
        "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, epoch, bot_in_charge,
            had_agent, last_sequence, last_visitor_sequence, close_number, created_at, last_visitor_activity_at,
            last_activity_at, version)
        SELECT ('00000000-0000-7000-8200-' || (100000000000 + number)::text)::uuid, '{ACCOUNT}', '{CHANNEL}',
            'widget-' || number, 'OPEN', 'https://shop.example/page', 'The page', 1, FALSE, FALSE, 0, 0, 0, {NOW_US}, {NOW_US},
            {NOW_US}, 1
        FROM generate_series(0, {count} - 1) AS number"
    )
}

/// The statements that store closed conversations with entries of the usual size, and bring the planner's statistics up to date.
pub fn stored_conversations(conversations: u32, entries: u32) -> [String; 4] {
    let id = "('00000000-0000-7000-9000-' || (100000000000 + number)::text)::uuid";
    let us = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    let content = sample_content();
    [
        format!(
            "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, epoch,
                bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number, close_reason, closed_at,
                created_at, last_visitor_activity_at, last_activity_at, version)
            SELECT {id}, '{ACCOUNT}', '{CHANNEL}', 'stored-' || number, 'CLOSED', '', '', 3, FALSE, TRUE, {entries},
                {entries}, 1, 'AGENT', {us}, {us}, {us}, {us}, 0
            FROM generate_series(1, {conversations}) AS number"
        ),
        format!(
            "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                created_at)
            SELECT {id}, sequence, sequence, '{ACCOUNT}', 'AGENT', '{AGENT}', '{content}', {us}
            FROM generate_series(1, {conversations}) AS number, generate_series(1, {entries}) AS sequence"
        ),
        "ANALYZE".into(),
        "CHECKPOINT".into(),
    ]
}

/// The statements that store conversations with ten entries each, as an inbox has them: a quarter is open, a tenth of a third is the agent's,
/// a fifth of the channel; four of seven have a contact and six of eleven a read mark; visitors and agents wrote in turn. Those that earlier
/// rows left, of which many have no entry, come after them. At last they bring the planner's statistics up to date.
pub fn inbox(conversations: u32) -> Vec<String> {
    let other = |kind: &str, number: &str| format!("('00000000-0000-7000-{kind}-00000000000' || {number})::uuid");
    let numbered = |kind: &str| format!("('00000000-0000-7000-{kind}-' || (100000000000 + number)::text)::uuid");
    let at = format!("{NOW_US} - number::bigint * 1000000");
    let (id, contact, content) = (numbered("a000"), numbered("a100"), sample_content());
    let (channel, assignee) = (other("b000", "number % 5"), other("c000", "number % 10"));
    let numbers = format!("generate_series(1, {conversations}) AS number");
    let with_contact = "number % 7 < 4";
    vec![
        // By 30 days: more seconds than there are conversations.
        "UPDATE conversations SET last_activity_at = last_activity_at - 2592000000000".into(),
        format!(
            "INSERT INTO agents (account_id, id, name, active, version)
            SELECT '{ACCOUNT}', {assignee}, 'Agent ' || number, TRUE, 1 FROM generate_series(0, 9) AS number"
        ),
        // Their words count as indexed, for which a worker would take time of the measurement.
        format!(
            "INSERT INTO contacts (id, account_id, name, phone, time_zone, properties, created_at, version, search_version)
            SELECT {contact}, '{ACCOUNT}', 'Contact ' || number, '', '', '{{}}', {NOW_US}, 1, 1 FROM {numbers}
            WHERE {with_contact}"
        ),
        format!(
            "INSERT INTO visitors (account_id, id, contact_id, link, name)
            SELECT '{ACCOUNT}', 'inbox-' || number, {contact}, 'OWN', 'Visitor ' || number FROM {numbers} WHERE {with_contact}"
        ),
        format!(
            "INSERT INTO conversations (id, account_id, channel_id, visitor_id, contact_id, status, page_url, page_title,
                assignee_kind, assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number,
                close_reason, closed_at, created_at, last_visitor_activity_at, last_activity_at, version)
            SELECT {id}, '{ACCOUNT}', CASE number % 5 WHEN 0 THEN '{CHANNEL}' ELSE {channel} END, 'inbox-' || number,
                CASE WHEN {with_contact} THEN {contact} END, CASE number % 4 WHEN 1 THEN 'OPEN' ELSE 'CLOSED' END,
                'https://shop.example/page', 'The page', CASE WHEN number % 3 = 0 THEN 'AGENT' END,
                CASE WHEN number % 3 = 0 THEN CASE WHEN number % 10 = 5 THEN '{AGENT}' ELSE {assignee} END END, 3, FALSE, TRUE,
                10, 10, CASE number % 4 WHEN 1 THEN 0 ELSE 1 END, CASE number % 4 WHEN 1 THEN NULL ELSE 'AGENT' END,
                CASE number % 4 WHEN 1 THEN NULL ELSE {at} END, {at}, {at}, {at}, 0
            FROM {numbers}"
        ),
        format!(
            "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                created_at)
            SELECT {id}, sequence, sequence, '{ACCOUNT}', CASE sequence % 2 WHEN 0 THEN 'VISITOR' ELSE 'AGENT' END,
                CASE sequence % 2 WHEN 0 THEN 'inbox-' || number ELSE '{AGENT}' END, '{content}', {at}
            FROM {numbers}, generate_series(1, 10) AS sequence"
        ),
        format!(
            "INSERT INTO read_marks (account_id, agent_id, conversation_id, sequence, changed_at)
            SELECT '{ACCOUNT}', '{AGENT}', {id}, 6, {NOW_US} FROM {numbers} WHERE number % 11 < 6"
        ),
        "ANALYZE".into(),
        "CHECKPOINT".into(),
    ]
}

/// Bot sessions and their conversations, which are numbered.
#[derive(Clone, Copy, Debug)]
pub struct BotSessions {
    /// Number of the first.
    pub first: u32,
    /// Number of sessions.
    pub count: u32,
    /// Deadline of the first session (microseconds since 1970).
    pub deadline: i64,
    /// Interval between the deadlines of two sessions (microseconds).
    pub interval: i64,
    /// How long after the deadline the conversations' timeouts end, because their visitors wrote (microseconds).
    pub pushed_back: i64,
}

impl BotSessions {
    /// Timeout of the sessions (microseconds).
    const TIMEOUT: i64 = 7_200_000_000;

    /// The statement that inserts the conversations, which these sessions are in charge of.
    pub fn conversations(self) -> String {
        let Self { deadline, interval, pushed_back, .. } = self;
        let (id, session, numbers) = (Self::id("d000"), Self::id("d100"), self.numbers());
        let (begun, active) = (deadline - Self::TIMEOUT, deadline - Self::TIMEOUT + pushed_back);
        format!(
            "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, assignee_kind,
                assignee_id, epoch, bot_id, bot_session_id, bot_in_charge, bot_timeout_us, bot_started_at, had_agent,
                last_sequence, last_visitor_sequence, close_number, created_at, last_visitor_activity_at, last_activity_at, version)
            SELECT {id}, '{ACCOUNT}', '{CHANNEL}', 'bot-' || number, 'OPEN', 'https://shop.example/page', 'The page', 'BOT',
                '{BOT}', 1, '{BOT}', {session}, TRUE, {timeout}, {begun} + place * {interval}, FALSE, 0, 0, 0,
                {begun} + place * {interval}, {active} + place * {interval}, {active} + place * {interval}, 0
            FROM {numbers}",
            timeout = Self::TIMEOUT,
        )
    }

    /// The statement that inserts the sessions.
    pub fn sessions(self) -> String {
        let Self { deadline, interval, .. } = self;
        let (conversation, id, numbers) = (Self::id("d000"), Self::id("d100"), self.numbers());
        format!(
            "INSERT INTO bot_sessions (id, account_id, bot_id, conversation_id, status, flow, last_sequence, turn, timeout_us,
                started_at, deadline_at, ask_at, version, flow_version)
            SELECT {id}, '{ACCOUNT}', '{BOT}', {conversation}, 'OPEN', '', 0, 1, {timeout},
                {deadline} - {timeout} + place * {interval}, {deadline} + place * {interval}, {deadline} + place * {interval}, 1, 1
            FROM {numbers}",
            timeout = Self::TIMEOUT,
        )
    }

    /// The condition that selects the sessions, or the conversations with the column `bot_session_id`.
    pub fn condition(self, column: &str) -> String {
        let id = |number: u32| format!("'00000000-0000-7000-d100-{}'::uuid", 100_000_000_000 + u64::from(number));
        format!("{column} >= {} AND {column} < {}", id(self.first), id(self.first + self.count))
    }

    fn id(kind: &str) -> String {
        format!("('00000000-0000-7000-{kind}-' || (100000000000 + number)::text)::uuid")
    }

    fn numbers(self) -> String {
        let Self { first, count, .. } = self;
        format!("(SELECT place, {first} + place AS number FROM generate_series(0, {count} - 1) AS place) AS session")
    }
}

/// Conversations that wait for an agent by the default routing policy, which are numbered.
#[derive(Clone, Copy, Debug)]
pub struct WaitingConversations {
    /// Number of the first.
    pub first: u32,
    /// Number of conversations.
    pub count: u32,
}

impl WaitingConversations {
    /// The statement that inserts the conversations.
    pub fn conversations(self) -> String {
        let (id, numbers) = (Self::ID, self.numbers());
        format!(
            "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, epoch, bot_in_charge,
                had_agent, last_sequence, last_visitor_sequence, close_number, created_at, last_visitor_activity_at,
                last_activity_at, version)
            SELECT {id}, '{ACCOUNT}', '{CHANNEL}', 'waiting-' || number, 'OPEN', 'https://shop.example/page', 'The page', 1, FALSE,
                FALSE, 0, 0, 0, {NOW_US}, {NOW_US}, {NOW_US}, 1
            FROM {numbers}"
        )
    }

    /// The statement that inserts what the assignment service knows of their owners.
    pub fn owners(self) -> String {
        let (id, numbers) = (Self::ID, self.numbers());
        format!(
            "INSERT INTO conversation_owners (account_id, conversation_id, epoch, open, status_version)
            SELECT '{ACCOUNT}', {id}, 1, TRUE, 1 FROM {numbers}"
        )
    }

    /// The statement that inserts them into the queue.
    pub fn queue(self) -> String {
        let (id, numbers) = (Self::ID, self.numbers());
        format!(
            "INSERT INTO routing_queue (account_id, conversation_id, epoch, waiting_since, state, publish_at)
            SELECT '{ACCOUNT}', {id}, 1, {NOW_US} + number, 1, {NOW_US} + 500000 FROM {numbers}"
        )
    }

    /// Id of a conversation, as an expression of its number.
    const ID: &str = "('00000000-0000-7000-e000-' || (100000000000 + number)::text)::uuid";

    fn numbers(self) -> String {
        let Self { first, count } = self;
        format!("(SELECT {first} + place AS number FROM generate_series(0, {count} - 1) AS place) AS waiting")
    }
}

/// The time in microseconds, as an expression of PostgreSQL.
const NOW_US: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The statements that insert this number of agents who are available for a day and have no place, and the account of routing.
pub fn agents_without_places(agents: u32) -> [String; 3] {
    let id = format!("('{ROUTED_TO}-' || (100000000000 + number)::text)::uuid");
    let numbers = format!("generate_series(1, {agents}) AS number");
    [
        format!(
            "INSERT INTO agents (account_id, id, name, handle, email, active, version, created_at, updated_at, capacity)
            SELECT '{ACCOUNT}', {id}, 'Agent ' || number, 'agent-' || number, '', TRUE, 1, {NOW_US}, {NOW_US}, 0 FROM {numbers}"
        ),
        format!(
            "INSERT INTO agent_statuses (account_id, agent_id, chosen, published, changed_at, heartbeat_at, version)
            SELECT '{ACCOUNT}', {id}, 1, 1, {NOW_US}, {NOW_US} + 86400000000, 1 FROM {numbers}"
        ),
        format!(
            "INSERT INTO routing_accounts (account_id, look_at, last_turn) VALUES ('{ACCOUNT}', {NOW_US}, 0)
            ON CONFLICT (account_id) DO UPDATE SET look_at = excluded.look_at, last_turn = greatest(routing_accounts.last_turn, 0)"
        ),
    ]
}

/// First part of the ids of the agents whom routing gives conversations.
pub const ROUTED_TO: &str = "00000000-0000-7000-f000";

/// An encoded event of a posted message.
pub fn message_posted(id: Uuid, conversation: &str, version: i32) -> Vec<u8> {
    let message = MessagePosted {
        conversation_id: conversation.to_owned(),
        sequence: version,
        visitor_sequence: version,
        author: Some(Actor { kind: ActorKind::Agent.into(), id: AGENT.to_string(), ..Default::default() }),
        bot_session_id: String::new(),
    };
    let event = Event {
        id: id.to_string(),
        r#type: MessagePosted::full_name(),
        source: "conversation".into(),
        account_id: ACCOUNT.to_string(),
        aggregate_type: "conversation".into(),
        aggregate_id: conversation.to_owned(),
        version,
        create_time: Some(Clock::system().now().to_proto()),
        traceparent: String::new(),
        data: Some(prost_types::Any {
            type_url: format!("type.googleapis.com/{}", MessagePosted::full_name()),
            value: message.encode_to_vec(),
        }),
    };
    event.encode_to_vec()
}

/// An encoded event of the usual size.
pub fn sample_event() -> Vec<u8> {
    message_posted(frontdesk_clock::testing::new_id(), &conversation_id(0), 1_000)
}

/// The text of an entry of the usual size.
pub const SAMPLE_TEXT: &str = "My brakes squeal, please. My brakes squeal, please. My brakes squeal, please. \
    My brakes squeal, please. My brakes squeal, please. My brakes squeal, please. My brakes squeal, please. My brakes squ";

/// The content of an entry of the usual size.
pub fn sample_content() -> String {
    serde_json::json!({"type": "message", "text": SAMPLE_TEXT}).to_string()
}

/// Mints tokens with the development key of a deployment.
pub struct Tokens(DevelopmentKey);

impl Tokens {
    /// Reads the development key from the data folder, or creates it there.
    pub fn new(data_folder: &Path) -> Self {
        Self(DevelopmentKey::load_or_create(&data_folder.join("development.key"), &Clock::system()).unwrap())
    }

    /// The `authorization` header of this caller, whose token has this mail address.
    pub fn caller(&self, kind: CallerKind, subject: &str, email: Option<&str>) -> String {
        let mut claims = self.0.claims(AccountId(ACCOUNT), kind, subject, Duration::from_secs(24 * 3600));
        claims.name = Some("Ada Byron".into());
        claims.email = email.map(str::to_owned);
        format!("Bearer {}", self.0.mint(&claims).unwrap())
    }

    /// The `authorization` header of the agent.
    pub fn agent(&self) -> String {
        self.caller(CallerKind::Agent, &AGENT.to_string(), None)
    }

    /// Creates the agent in the assignment service at this address.
    ///
    /// # Panics
    /// If the service does not answer within ten seconds.
    pub async fn create_agent(&self, assignment: &str) {
        let channel = Endpoint::from_shared(assignment.to_owned()).unwrap().connect_lazy();
        let bearer = self.caller(CallerKind::Admin, "administrator", None);
        let agent = CreateAgentRequest {
            agent_id: AGENT.to_string(),
            name: "Ada Byron".into(),
            handle: "ada".into(),
            request_id: "create-agent".into(),
            ..Default::default()
        };
        let mut last_error = String::new();
        for _ in 0..100 {
            let mut request = Request::new(agent.clone());
            request.metadata_mut().insert("authorization", bearer.parse().unwrap());
            match RosterServiceClient::new(channel.clone()).create_agent(request).await {
                Ok(_) => return,
                Err(status) => last_error = status.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the agent cannot be created: {last_error}");
    }
}
