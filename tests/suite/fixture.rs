//! One account with one resource of each kind, callers of each kind, and valid requests for every method.
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be created fails its test by panicking")]

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use frontdesk_auth::{AccessMap, CallerKind};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        AddTeamMembersRequest, CreateOpeningHoursRequest, CreateRoutingPolicyRequest, CreateTeamRequest, DateException,
        ListAgentsRequest, OpeningSchedule, RoutingRules, RoutingStep, RoutingStrategy, UpdateAgentRequest, Weekday,
        WeeklyRange, opening_hours_service_client::OpeningHoursServiceClient,
        roster_service_client::RosterServiceClient, routing_policy_service_client::RoutingPolicyServiceClient,
        team_service_client::TeamServiceClient,
    },
    auth::v1::Principal,
    botsession::v1::{
        BotEngine, CreateBotRequest, ListBotsRequest, WatchTurnsRequest,
        bot_engine_service_client::BotEngineServiceClient, bot_service_client::BotServiceClient,
        watch_turns_response::Update,
    },
    conversation::v1::{
        CancelAccountEndRequest, CloseConversationRequest, Contact, ContactEmail, CreateAttachmentRequest,
        CreateChatAttachmentRequest, CreateChatAttachmentResponse, CreateContactRequest, CreateInsertRequest,
        CreateTicketRequest, EndAccountRequest, EraseContactRequest, GetAccountJobRequest, GetContactRequest,
        ListChannelsRequest, MergeContactsRequest, PostMessageRequest, SendMessageRequest, Snippet, StartChatRequest,
        account_job_service_client::AccountJobServiceClient, attachment_service_client::AttachmentServiceClient,
        channel_service_client::ChannelServiceClient, contact_job_service_client::ContactJobServiceClient,
        contact_service_client::ContactServiceClient, conversation_service_client::ConversationServiceClient,
        create_insert_request, insert_service_client::InsertServiceClient, thread_service_client::ThreadServiceClient,
        ticket_service_client::TicketServiceClient, visitor_service_client::VisitorServiceClient,
    },
    notification::{
        v1::{
            CreateSuppressionRequest, ListSendersRequest, UpdateTranscriptTemplateRequest,
            sender_service_client::SenderServiceClient, suppression_service_client::SuppressionServiceClient,
            template_service_client::TemplateServiceClient,
        },
        v1beta1::{
            CreateWebhookEndpointRequest, TestWebhookEndpointRequest, UpdateWebhookEndpointRequest,
            webhook_service_client::WebhookServiceClient,
        },
    },
};
use frontdesk_testkit::{call_raw, new_id, request_id, wait_for, wait_until};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind as FieldKind, MapKey, MessageDescriptor, MethodDescriptor,
    OneofDescriptor, ReflectMessage, Value,
};
use tonic::Request;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{Account, As, Chat, upload};

/// An account with one resource of each kind.
pub struct Fixture {
    /// The account.
    pub account: Account,
    /// Connection of an agent.
    pub agent: As,
    /// Id of that agent.
    pub agent_id: Uuid,
    /// Ids by the names of the request fields. The chat is the open one of the visitor `v`, with a bot in charge.
    pub ids: HashMap<&'static str, String>,
    /// The closed chat of `v`, whose transcript is decided.
    pub closed: Chat,
    /// The attachment that `v` sent in the closed chat, and the visitor sequence of its message.
    sent: (String, i32),
    /// The attachment that `v` announced for the open chat and did not send.
    unsent: String,
    /// The open chat of `w`, another visitor of the account.
    pub another: Chat,
    /// A contact that only erasures name.
    to_erase: String,
    /// The open chat of the visitor `e`, whose bot is a program of the account's, and the bot. `turn_id` is its first turn.
    pub of_engine: (Chat, String),
    /// An endpoint of webhooks and one of its deliveries that no request names.
    pub another_webhook: (String, String),
    /// A channel with a bot that no request names, for conversations that a single call changes.
    separate_channel: String,
    /// Word in every name and text.
    pub word: String,
}

/// A method of the contract and its declared access.
pub struct Declared {
    /// Its descriptor.
    pub method: MethodDescriptor,
    /// Path of its calls.
    pub path: String,
    /// Kinds of callers that it admits.
    pub principals: Vec<Principal>,
    /// Permission that it requires.
    pub permission: String,
}

/// Every method of the contract, in the order of their paths.
pub fn methods() -> Vec<Declared> {
    let pool = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
    let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
    let all = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut methods: Vec<Declared> = all
        .map(|method| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let access = access.find(&path).unwrap();
            let (principals, permission) = (access.principals().to_vec(), access.permission().to_owned());
            Declared { method, path, principals, permission }
        })
        .collect();
    methods.sort_by(|a, b| a.path.cmp(&b.path));
    methods
}

/// Path of a field within a message, through the first element of lists; within a map, the field `key` or `value`.
pub type FieldPath = Vec<FieldDescriptor>;

/// Name of the property in the maps of valid requests.
const PROPERTY: &str = "order_number";

/// Fields that a valid request has of their oneofs. Of other oneofs it has the first field.
const CHOSEN: [&str; 2] = ["hand_off", "bot_id"];

/// Whether the method is about a file that a visitor sent.
fn is_of_sent_file(method: &str) -> bool {
    ["GetChatAttachment", "CreateChatAttachmentLink"].contains(&method)
}

/// The path as text, with dots.
pub fn dotted(path: &FieldPath) -> String {
    path.iter().map(|field| field.name()).collect::<Vec<_>>().join(".")
}

/// Paths of all string fields of the message, those of its messages and maps included; of a oneof, those of the field that
/// is set.
pub fn strings(message: &DynamicMessage) -> Vec<FieldPath> {
    let mut found = Vec::new();
    for field in message.descriptor().fields() {
        let absent = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) && !message.has_field(&field);
        match (field.kind(), message.get_field(&field).as_ref()) {
            _ if absent => {}
            (FieldKind::String, _) => found.push(vec![field]),
            (FieldKind::Message(entry), Value::Map(_)) => {
                let texts = entry.fields().filter(|part| part.kind() == FieldKind::String);
                found.extend(texts.map(|part| vec![field.clone(), part]));
            }
            (FieldKind::Message(_), Value::Message(inner)) if message.has_field(&field) => {
                found.extend(strings(inner).into_iter().map(|rest| [vec![field.clone()], rest].concat()));
            }
            (FieldKind::Message(_), Value::List(items)) => {
                let inner = items.first().and_then(Value::as_message).map(strings).unwrap_or_default();
                found.extend(inner.into_iter().map(|rest| [vec![field.clone()], rest].concat()));
            }
            _ => {}
        }
    }
    found
}

/// The message with this value at the path.
pub fn with(message: &DynamicMessage, path: &[FieldDescriptor], value: &Value) -> DynamicMessage {
    let mut changed = message.clone();
    match path {
        [] => {}
        [map, part] if map.is_map() => {
            let (key, content) = match (part.name(), value) {
                ("key", Value::String(key)) => (key.clone(), Value::String("one".into())),
                _ => (PROPERTY.to_owned(), value.clone()),
            };
            changed.set_field(map, Value::Map(HashMap::from([(MapKey::String(key), content)])));
        }
        [field] if field.is_list() => changed.set_field(field, Value::List(vec![value.clone()])),
        [field] => changed.set_field(field, value.clone()),
        [field, rest @ ..] => match changed.get_field_mut(field) {
            Value::Message(inner) => *inner = with(inner, rest, value),
            Value::List(items) => {
                if let Some(Value::Message(inner)) = items.first_mut() {
                    *inner = with(inner, rest, value);
                }
            }
            other => panic!("{} holds {other:?}", field.full_name()),
        },
    }
    changed
}

/// The fields of a oneof, the one of valid requests first.
fn choices(oneof: &OneofDescriptor) -> Vec<FieldDescriptor> {
    let mut fields: Vec<_> = oneof.fields().collect();
    fields.sort_by_key(|field| !CHOSEN.contains(&field.name()));
    fields
}

/// Maximum number of fields in a oneof of the message or of its messages.
fn choice_count(message: &MessageDescriptor) -> usize {
    let own = message.oneofs().map(|oneof| oneof.fields().count());
    let inner = message.fields().filter_map(|field| field.kind().as_message().map(choice_count));
    own.chain(inner).max().unwrap_or(1)
}

impl Fixture {
    /// Creates one resource of each kind in an account that has a sender address. `word` is in every name and text.
    pub async fn new(account: Account, word: &str) -> Self {
        let account_job = Self::cancel_two_ends(&account).await;
        let (agent_id, agent) = account.agent(&format!("{word} Ada")).await;
        let (bob, _) = account.agent(&format!("{word} Bob")).await;
        let address = UpdateAgentRequest {
            agent_id: agent_id.to_string(),
            email: Some(format!("ada@{word}-team.example")),
            ..Default::default()
        };
        RosterServiceClient::new(account.admin()).update_agent(address).await.unwrap();
        let mut team = String::new();
        for number in 0..2 {
            team = Self::team(&account, &format!("{word} Team {number}"), &[agent_id, bob]).await;
        }
        let (bot, separate_bot) = (account.bot().await, account.bot().await);
        let separate_channel = account.channel(Some(&separate_bot)).await;
        let (greeted, quiet) = (account.channel(Some(&bot)).await, account.channel(None).await);
        let anonymous_token = account.anonymous_visitor(&greeted).await;
        let visitor = |id: &str| Self::visitor(&account, word, id);
        let mut attachment = String::new();
        for _ in 0..2 {
            attachment = Self::file_of_team(&agent, word).await;
        }
        let (mut closed, mut sent) = (Vec::new(), Default::default());
        for id in ["w", "v"] {
            let chat = Self::start(visitor(id), &quiet, word).await;
            let reply = PostMessageRequest {
                conversation_id: chat.id.clone(),
                text: format!("{word}-reply"),
                // So that a file of the team stays when it is deleted.
                attachment_ids: vec![attachment.clone()],
                request_id: request_id(),
                ..Default::default()
            };
            ThreadServiceClient::new(agent.clone()).post_message(reply).await.unwrap();
            sent = Self::send_file(&chat, word).await;
            let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
            ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
            closed.push(chat);
        }
        let mut open = Vec::new();
        for id in ["w", "v"] {
            let chat = Self::start(visitor(id), &greeted, word).await;
            chat.until_text("Your address?").await;
            let ticket = CreateTicketRequest {
                conversation_id: chat.id.clone(),
                subject: format!("{word}-ticket"),
                request_id: request_id(),
                ..Default::default()
            };
            let ticket = TicketServiceClient::new(agent.clone()).create_ticket(ticket).await.unwrap().into_inner();
            open.push((chat, ticket.ticket.unwrap().id));
        }
        let known = CreateContactRequest {
            name: format!("{word}-contact"),
            emails: vec![ContactEmail { email: format!("else@{word}-contact.example"), verified: true }],
            request_id: request_id(),
            ..Default::default()
        };
        ContactServiceClient::new(account.admin()).create_contact(known).await.unwrap();
        let (source, target) = (Self::contact(&account, word).await, Self::contact(&account, word).await);
        let mut insert = String::new();
        for _ in 0..2 {
            let snippet = Snippet { text: format!("{word} hello, {{{{contact.name}}}}") };
            let request = CreateInsertRequest {
                title: format!("{word} hello"),
                content: Some(create_insert_request::Content::Snippet(snippet)),
                tags: vec![format!("{word} hello")],
                request_id: request_id(),
                ..Default::default()
            };
            let created = InsertServiceClient::new(agent.clone()).create_insert(request).await.unwrap().into_inner();
            insert = created.insert.unwrap().id;
        }
        let mut hours = String::new();
        for _ in 0..2 {
            let exception =
                DateException { date: "2026-12-25".into(), name: format!("{word} day"), ranges: Vec::new() };
            let schedule = OpeningSchedule {
                time_zone: "Europe/Rome".into(),
                weekly_ranges: vec![WeeklyRange {
                    weekday: Weekday::Monday.into(),
                    start_minute: 540,
                    end_minute: 1080,
                }],
                exceptions: vec![exception],
            };
            let request = CreateOpeningHoursRequest {
                name: format!("{word} hello"),
                schedule: Some(schedule),
                request_id: request_id(),
            };
            let mut calls = OpeningHoursServiceClient::new(account.admin());
            hours = calls.create_opening_hours(request).await.unwrap().into_inner().opening_hours.unwrap().id;
        }
        let senders =
            SenderServiceClient::new(agent.clone()).list_senders(ListSendersRequest::default()).await.unwrap();
        let sender = senders.into_inner().senders.swap_remove(0).id;
        let delivery = Account::explained(&agent, &closed[1].id, 1).await.decision.unwrap().delivery_id;
        Account::explained(&agent, &closed[0].id, 1).await;
        let (chat, ticket) = open.swap_remove(1);
        let unsent = Self::announce_file(&chat, word).await.attachment.unwrap().id;
        let (of_engine, turn) = Self::leased_turn(&account, word).await;
        let conversation = Account::conversation(&agent, &chat.id).await;
        Self::merge_two_into(&account, &conversation.contact_id, word).await;
        let contact_job = Self::erase_two(&account, word).await;
        let mut policy = String::new();
        for _ in 0..2 {
            policy = Self::routing_policy(&account, &format!("{word} hello")).await;
        }
        let mut suppression = String::new();
        for number in 0..2 {
            let email = format!("no-mail-{number}@{word}-visitor.example");
            let request = CreateSuppressionRequest { email, request_id: request_id() };
            let mut calls = SuppressionServiceClient::new(account.admin());
            suppression = calls.create_suppression(request).await.unwrap().into_inner().suppression.unwrap().id;
        }
        let another_webhook = Self::disabled_webhook(&account, word, 0).await;
        let webhook = Self::disabled_webhook(&account, word, 1).await;
        // In languages that no chat has.
        for language in ["de", "fr"] {
            let request = UpdateTranscriptTemplateRequest {
                language: language.into(),
                html: Some(format!("{word} hello")),
                ..Default::default()
            };
            TemplateServiceClient::new(account.admin()).update_transcript_template(request).await.unwrap();
        }
        let ids = HashMap::from([
            ("account_id", account.id.to_string()),
            ("account_job_id", account_job),
            ("agent_id", agent_id.to_string()),
            ("aggregate_id", chat.id.clone()),
            ("anonymous_token", anonymous_token),
            ("assignee_agent_id", agent_id.to_string()),
            ("attachment_id", attachment),
            ("bot_id", bot.id.clone()),
            ("bot_session_id", conversation.bot_session.unwrap().bot_session_id),
            ("channel_id", greeted),
            ("chat_id", chat.id.clone()),
            ("contact_id", conversation.contact_id),
            ("contact_job_id", contact_job),
            ("conversation_id", chat.id),
            ("delivery_id", delivery),
            ("owner_agent_id", agent_id.to_string()),
            ("insert_id", insert),
            ("opening_hours_id", hours),
            ("hand_off_routing_policy_id", policy.clone()),
            ("routing_policy_id", policy),
            ("sender_id", sender.clone()),
            ("source_contact_id", source.id),
            ("source_etag", source.etag),
            ("suppression_id", suppression),
            ("target_contact_id", target.id),
            ("target_etag", target.etag),
            ("team_id", team),
            ("ticket_id", ticket),
            ("transcript_sender_id", sender),
            ("turn_id", turn),
            ("visitor_id", conversation.visitor_id),
            ("webhook_delivery_id", webhook.1),
            ("webhook_endpoint_id", webhook.0),
        ]);
        let (another, closed) = (open.swap_remove(0).0, closed.swap_remove(1));
        let to_erase = Self::contact(&account, word).await.id;
        let word = word.to_owned();
        Self {
            account,
            agent,
            agent_id,
            ids,
            closed,
            sent,
            unsent,
            another,
            of_engine,
            to_erase,
            another_webhook,
            separate_channel,
            word,
        }
    }

    /// A new endpoint of webhooks, and one of its two deliveries, which wait: the endpoint is disabled, so that no test depends on attempts.
    async fn disabled_webhook(account: &Account, word: &str, number: usize) -> (String, String) {
        let mut webhooks = WebhookServiceClient::new(account.admin());
        let request = CreateWebhookEndpointRequest {
            url: format!("https://{word}-hooks.example/{number}"),
            description: format!("{word} hello"),
            request_id: request_id(),
            ..Default::default()
        };
        let created = webhooks.create_webhook_endpoint(request).await.unwrap().into_inner();
        let id = created.webhook_endpoint.unwrap().id;
        let disable = UpdateWebhookEndpointRequest {
            webhook_endpoint_id: id.clone(),
            enabled: Some(false),
            ..Default::default()
        };
        webhooks.update_webhook_endpoint(disable).await.unwrap();
        let mut delivery = String::new();
        for _ in 0..2 {
            let test = TestWebhookEndpointRequest { webhook_endpoint_id: id.clone(), request_id: request_id() };
            let queued = webhooks.test_webhook_endpoint(test).await.unwrap().into_inner();
            delivery = queued.webhook_delivery.unwrap().id;
        }
        (id, delivery)
    }

    /// A chat whose bot is a program of the account's, with the id of the bot, and its first turn, leased.
    async fn leased_turn(account: &Account, word: &str) -> ((Chat, String), String) {
        let timeout = Some(prost_types::Duration { seconds: 600, nanos: 0 });
        let create = CreateBotRequest {
            name: format!("{word} engine"),
            engine: Some(BotEngine { take_timeout: timeout, answer_timeout: timeout, max_attempts: 0 }),
            request_id: request_id(),
            ..Default::default()
        };
        let created = BotServiceClient::new(account.admin()).create_bot(create).await.unwrap().into_inner();
        let bot = created.bot.unwrap();
        let channel = account.channel(Some(&bot)).await;
        let chat = Self::start(Self::visitor(account, word, "e"), &channel, word).await;
        let calls = account.with_claims(CallerKind::Bot, &bot.id, |_| {});
        let watch = BotEngineServiceClient::new(calls).watch_turns(WatchTurnsRequest::default()).await;
        let mut updates = watch.unwrap().into_inner();
        loop {
            if let Some(Update::Turn(turn)) = updates.message().await.unwrap().unwrap().update {
                return ((chat, bot.id), turn.id);
            }
        }
    }

    /// A new routing policy: any available agent.
    async fn routing_policy(account: &Account, name: &str) -> String {
        let step = RoutingStep { anybody: true, ..RoutingStep::default() };
        let rules = RoutingRules {
            steps: vec![step],
            strategy: RoutingStrategy::FewestOpen.into(),
            only_available: true,
            ..RoutingRules::default()
        };
        let request =
            CreateRoutingPolicyRequest { name: name.to_owned(), rules: Some(rules), request_id: request_id() };
        let mut policies = RoutingPolicyServiceClient::new(account.admin());
        policies.create_routing_policy(request).await.unwrap().into_inner().routing_policy.unwrap().id
    }

    /// A new team with these members.
    async fn team(account: &Account, name: &str, agents: &[Uuid]) -> String {
        let mut teams = TeamServiceClient::new(account.admin());
        let request =
            CreateTeamRequest { name: name.to_owned(), request_id: request_id(), ..CreateTeamRequest::default() };
        let team_id = teams.create_team(request).await.unwrap().into_inner().team.unwrap().id;
        let agent_ids = agents.iter().map(Uuid::to_string).collect();
        teams.add_team_members(AddTeamMembersRequest { team_id: team_id.clone(), agent_ids }).await.unwrap();
        team_id
    }

    /// A new contact.
    pub async fn contact(account: &Account, word: &str) -> Contact {
        let request =
            CreateContactRequest { name: format!("{word}-contact"), request_id: request_id(), ..Default::default() };
        let created = ContactServiceClient::new(account.admin()).create_contact(request).await.unwrap();
        created.into_inner().contact.unwrap()
    }

    /// Ends the account and cancels it, twice, and waits until every service serves it again. Returns the second job.
    async fn cancel_two_ends(account: &Account) -> String {
        let mut jobs = AccountJobServiceClient::new(account.admin());
        let mut account_job_id = String::new();
        for _ in 0..2 {
            let request =
                EndAccountRequest { account_id: account.id.to_string(), request_id: request_id(), erase_delay: None };
            account_job_id = jobs.end_account(request).await.unwrap().into_inner().account_job.unwrap().id;
            // Where the suspension came after this, it would be found to be older.
            wait_for("every service to suspend the account", || async {
                let request = GetAccountJobRequest { account_job_id: account_job_id.clone() };
                let answer = AccountJobServiceClient::new(account.admin()).get_account_job(request).await.unwrap();
                answer.into_inner().account_job.unwrap().missing_services.is_empty().then_some(())
            })
            .await;
            let request = CancelAccountEndRequest { account_job_id: account_job_id.clone() };
            jobs.cancel_account_end(request).await.unwrap();
        }
        Self::until_in_use(account).await;
        account_job_id
    }

    /// Waits until no replica refuses the account: one may know the state of 5 seconds ago.
    async fn until_in_use(account: &Account) {
        let known_for = Duration::from_secs(6);
        let served_since = std::sync::Mutex::new(None::<Instant>);
        wait_until("every replica to serve the account", || async {
            let channels =
                ChannelServiceClient::new(account.admin()).list_channels(ListChannelsRequest::default()).await.is_ok();
            let agents =
                RosterServiceClient::new(account.admin()).list_agents(ListAgentsRequest::default()).await.is_ok();
            let bots = BotServiceClient::new(account.admin()).list_bots(ListBotsRequest::default()).await.is_ok();
            let senders =
                SenderServiceClient::new(account.admin()).list_senders(ListSendersRequest::default()).await.is_ok();
            let mut since = served_since.lock().unwrap();
            *since = if channels && agents && bots && senders { since.or(Some(Instant::now())) } else { None };
            since.is_some_and(|since| since.elapsed() >= known_for)
        })
        .await;
    }

    /// Erases two new contacts. Returns the job of the second one.
    async fn erase_two(account: &Account, word: &str) -> String {
        let mut job = String::new();
        for _ in 0..2 {
            let request =
                EraseContactRequest { contact_id: Self::contact(account, word).await.id, request_id: request_id() };
            let erased = ContactJobServiceClient::new(account.admin()).erase_contact(request).await.unwrap();
            job = erased.into_inner().contact_job.unwrap().id;
        }
        job
    }

    /// Merges two new contacts into this one.
    async fn merge_two_into(account: &Account, contact: &str, word: &str) {
        let mut contacts = ContactServiceClient::new(account.admin());
        let request = GetContactRequest { contact_id: contact.to_owned() };
        let mut target = contacts.get_contact(request).await.unwrap().into_inner().contact.unwrap();
        for _ in 0..2 {
            let source = Self::contact(account, word).await;
            let request = MergeContactsRequest {
                source_contact_id: source.id,
                source_etag: source.etag,
                target_contact_id: target.id,
                target_etag: target.etag,
                request_id: request_id(),
            };
            target = contacts.merge_contacts(request).await.unwrap().into_inner().contact.unwrap();
        }
    }

    /// A visitor whose token states name and mail address.
    fn visitor(account: &Account, word: &str, id: &str) -> As {
        account.with_claims(CallerKind::Visitor, id, |claims| {
            (claims.name, claims.email) = (Some(format!("{word} {id}")), Some(Self::address_of(word, id)));
        })
    }

    fn address_of(word: &str, id: &str) -> String {
        format!("{id}@{word}-visitor.example")
    }

    /// Mail address of the visitor `v`.
    pub fn address(&self) -> String {
        Self::address_of(&self.word, "v")
    }

    async fn start(visitor: As, channel: &str, word: &str) -> Chat {
        let start = StartChatRequest {
            channel_id: channel.to_owned(),
            page_url: "https://shop.example/page".into(),
            page_title: format!("{word}-page"),
            text: format!("{word}-text"),
            request_id: request_id(),
            ..Default::default()
        };
        let chat = VisitorServiceClient::new(visitor.clone()).start_chat(start).await.unwrap().into_inner().chat;
        Chat { visitor, id: chat.unwrap().id }
    }

    /// The visitor announces a file.
    async fn announce_file(chat: &Chat, word: &str) -> CreateChatAttachmentResponse {
        let create = CreateChatAttachmentRequest {
            chat_id: chat.id.clone(),
            file_name: format!("{word}-file.txt"),
            size_bytes: 4,
            request_id: request_id(),
            ..Default::default()
        };
        let mut visitor = VisitorServiceClient::new(chat.visitor.clone());
        visitor.create_chat_attachment(create).await.unwrap().into_inner()
    }

    /// The visitor sends a file. Returns the attachment and the visitor sequence of its message.
    async fn send_file(chat: &Chat, word: &str) -> (String, i32) {
        let created = Self::announce_file(chat, word).await;
        upload(&created.upload.unwrap(), b"file").await;
        let id = created.attachment.unwrap().id;
        let send = SendMessageRequest {
            chat_id: chat.id.clone(),
            attachment_ids: vec![id.clone()],
            request_id: request_id(),
            ..Default::default()
        };
        let sent = VisitorServiceClient::new(chat.visitor.clone()).send_message(send).await.unwrap();
        (id, sent.into_inner().entry.unwrap().visitor_sequence)
    }

    /// A new file of the team.
    pub async fn file_of_team(agent: &As, word: &str) -> String {
        let create = CreateAttachmentRequest {
            file_name: format!("{word}-file.txt"),
            size_bytes: 4,
            request_id: request_id(),
            ..Default::default()
        };
        let mut attachments = AttachmentServiceClient::new(agent.clone());
        let created = attachments.create_attachment(create).await.unwrap().into_inner();
        upload(&created.upload.unwrap(), b"file").await;
        created.attachment.unwrap().id
    }

    /// The same request for a new chat, where it changes a chat.
    pub async fn with_new_chat(&self, mut request: DynamicMessage) -> DynamicMessage {
        let fresh =
            Self::start(Self::visitor(&self.account, &self.word, &request_id()), &self.separate_channel, &self.word);
        let chat = fresh.await;
        chat.until_text("Your address?").await;
        let session = Account::conversation(&self.agent, &chat.id).await.bot_session.unwrap().bot_session_id;
        for path in strings(&request) {
            let value = match path.last().unwrap().name() {
                "conversation_id" | "chat_id" => &chat.id,
                "bot_session_id" => &session,
                _ => continue,
            };
            request = with(&request, &path, &Value::String(value.clone()));
        }
        request
    }

    /// A caller of this kind, with every permission.
    pub fn caller(&self, principal: Principal) -> As {
        let account = &self.account;
        match principal {
            Principal::Visitor => Self::visitor(account, &self.word, "v"),
            Principal::Widget => account.with_claims(CallerKind::Widget, &self.ids["channel_id"], |_| {}),
            Principal::Agent => account.with_claims(CallerKind::Agent, &self.agent_id.to_string(), |claims| {
                claims.permissions = self.every_permission();
            }),
            Principal::Bot => account.with_claims(CallerKind::Bot, &self.of_engine.1, |_| {}),
            // As a service that authenticates by its certificate: without an account.
            Principal::Service => {
                account.with_claims(CallerKind::Service, "test", |claims| claims.account = AccountId(Uuid::nil()))
            }
            Principal::Admin | Principal::Unspecified => account.admin(),
        }
    }

    /// Permissions of administrators.
    pub fn every_permission(&self) -> Vec<String> {
        self.account
            .keys
            .claims(self.account.id, CallerKind::Admin, "administrator", Duration::from_secs(60))
            .permissions
    }

    /// A call with this message. A service names the account and the actor that it acts for.
    pub fn call(&self, principal: Principal, message: &[u8]) -> Request<Vec<u8>> {
        let mut request = Request::new(message.to_vec());
        if principal == Principal::Service {
            request.metadata_mut().insert("x-frontdesk-account", self.account.id.to_string().parse().unwrap());
            request.metadata_mut().insert("x-frontdesk-actor", format!("bot:{}", self.ids["bot_id"]).parse().unwrap());
        }
        request
    }

    /// A valid request with every field set, and one field of each oneof.
    pub fn request(&self, method: &MethodDescriptor) -> DynamicMessage {
        self.request_with(method, 0)
    }

    /// Valid requests that together have every field of every oneof, the one of [`Self::request`] first.
    pub fn requests(&self, method: &MethodDescriptor) -> Vec<DynamicMessage> {
        (0..choice_count(&method.input())).map(|choice| self.request_with(method, choice)).collect()
    }

    /// The request with only those fields of a valid one without which the method refuses it.
    pub async fn smallest_request(&self, declared: &Declared, principal: Principal) -> DynamicMessage {
        let mut request = DynamicMessage::new(declared.method.input());
        let empty = call_raw(&self.caller(principal), &declared.path, self.call(principal, &[])).await;
        let details = empty.err().and_then(|status| status.get_details_bad_request());
        let valid = self.request(&declared.method);
        for violation in details.map(|details| details.field_violations).unwrap_or_default() {
            let field = declared.method.input().get_field_by_name(&violation.field).unwrap();
            request.set_field(&field, valid.get_field(&field).into_owned());
        }
        request
    }

    fn request_with(&self, method: &MethodDescriptor, choice: usize) -> DynamicMessage {
        let service = method.parent_service().name().to_owned();
        let for_closed = service == "TranscriptService" || method.name() == "ReopenConversation";
        let conversation = if for_closed { &self.closed.id } else { &self.ids["conversation_id"] };
        self.message(&method.input(), method.name(), conversation, choice)
    }

    fn message(
        &self,
        descriptor: &MessageDescriptor,
        method: &str,
        conversation: &str,
        choice: usize,
    ) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        let mut fields: Vec<_> = descriptor.fields().filter(|field| field.containing_oneof().is_none()).collect();
        for oneof in descriptor.oneofs() {
            let choices = choices(&oneof);
            fields.push(choices[choice % choices.len()].clone());
        }
        for field in fields {
            let value = match (field.kind(), field.name()) {
                // The names of texts are those of the shipped template.
                (FieldKind::Message(_), "words") => None,
                (FieldKind::Message(_), _) if field.is_map() => {
                    let text = Value::String(format!("{} hello", self.word));
                    message.set_field(&field, Value::Map(HashMap::from([(MapKey::String(PROPERTY.into()), text)])));
                    continue;
                }
                (FieldKind::Message(inner), name) if inner.full_name() == "google.protobuf.Duration" => {
                    let mut duration = DynamicMessage::new(inner);
                    duration.set_field_by_name("seconds", Value::I64(if name == "by" { 0 } else { 600 }));
                    Some(Value::Message(duration))
                }
                // A period has an end after its beginning.
                (FieldKind::Message(inner), "active_before_time" | "end_time") => {
                    let mut end = DynamicMessage::new(inner);
                    end.set_field_by_name("seconds", Value::I64(4_102_444_800));
                    Some(Value::Message(end))
                }
                // In place of the text.
                (FieldKind::Message(_), "rich_text") => None,
                // The visitor may have been active since.
                (FieldKind::Message(_), "silent_since_time") => None,
                // In place of the flow.
                (FieldKind::Message(_), "engine") => None,
                (FieldKind::Message(inner), _) => {
                    Some(Value::Message(self.message(&inner, method, conversation, choice)))
                }
                // A new visitor of the channel: the fixture's has an open chat there, with a bot in charge.
                (FieldKind::String, "visitor_id") if method == "StartConversation" => {
                    Some(Value::String(format!("{}/{}", self.ids["channel_id"], request_id())))
                }
                (FieldKind::String, "contact_id") if method == "EraseContact" => {
                    Some(Value::String(self.to_erase.clone()))
                }
                // A contact is named in one way.
                (FieldKind::String, "external_id" | "email") if method == "StartConversation" => None,
                (FieldKind::String, "conversation_id") => Some(Value::String(conversation.to_owned())),
                // An upload is sent once.
                (FieldKind::String, "attachment_ids") if method == "SendMessage" => None,
                (FieldKind::String, "chat_id") if is_of_sent_file(method) => {
                    Some(Value::String(self.closed.id.clone()))
                }
                (FieldKind::String, "attachment_id") if is_of_sent_file(method) => {
                    Some(Value::String(self.sent.0.clone()))
                }
                // Only what was not sent is deleted.
                (FieldKind::String, "attachment_id") if method == "DeleteChatAttachment" => {
                    Some(Value::String(self.unsent.clone()))
                }
                (FieldKind::Int32, "visitor_sequence") if is_of_sent_file(method) => Some(Value::I32(self.sent.1)),
                // Addresses are unique, so each creation has its own; but a sender's gets a mail each time.
                (FieldKind::String, "email") if method.starts_with("Create") && method != "CreateSender" => {
                    Some(Value::String(Self::address_of(&self.word, &request_id())))
                }
                // A schedule has a time zone.
                (FieldKind::String, "time_zone") if method.ends_with("OpeningHours") => {
                    Some(Value::String("Europe/Rome".into()))
                }
                // In list methods these are filters, which would match nothing.
                (FieldKind::Enum(_), "status" | "statuses" | "kinds" | "availability")
                    if method.starts_with("List") =>
                {
                    None
                }
                (FieldKind::String, "external_id") if method.starts_with("List") => None,
                (FieldKind::String, "email") if method == "ListSuppressions" => None,
                (FieldKind::String, name) => self.text(name).map(Value::String),
                (FieldKind::Enum(_), "check") => None,
                (FieldKind::Enum(_), _) => Some(Value::EnumNumber(1)),
                (
                    FieldKind::Int32,
                    "attempt" | "conversations" | "end_minute" | "expected_epoch" | "length" | "sequence"
                    | "size_bytes" | "visitor_sequence" | "version",
                ) => Some(Value::I32(1)),
                // Less than the installation allows, and more than the files of other requests have.
                (FieldKind::Int32, "max_attachment_size_bytes") => Some(Value::I32(20_000_000)),
                _ => None,
            };
            if let Some(value) = value {
                message.set_field(&field, if field.is_list() { Value::List(vec![value]) } else { value });
            }
        }
        message
    }

    fn text(&self, field: &str) -> Option<String> {
        if let Some(id) = self.ids.get(field).or_else(|| self.ids.get(field.strip_suffix('s')?)) {
            return Some(id.clone());
        }
        Some(match field {
            "request_id" => request_id(),
            // All words of a query have to be in one text.
            "query" => self.word.clone(),
            "id" | "step_id" => "one".into(),
            "button_id" => "people".into(),
            "fallback_step_id" | "next_step_id" | "page_token" | "cursor" | "after" | "etag" | "time_zone"
            | "previous_token" | "allowed_origins" => {
                return None;
            }
            "external_id" => format!("x{}", new_id().simple()),
            "language" | "languages" => "it".into(),
            "handle" => format!("h{}", new_id().simple()),
            "shortcut" => format!("s{}", new_id().simple()),
            "amount" => "1200.00".into(),
            "currency_code" => "EUR".into(),
            "date" | "expire_date" => "2026-12-31".into(),
            "media_type" | "media_types" => "video/mp4".into(),
            "code" => "00000000".into(),
            "status_code" => "5.1.1".into(),
            "event_types" => "frontdesk.event.v1.ConversationClosed".into(),
            "property" => PROPERTY.into(),
            "aggregate_types" => "conversation".into(),
            "email" | "recipient_email" | "reply_to_email" | "unsubscribe_email" => self.address(),
            name if name.ends_with("url") => "https://shop.example/there".into(),
            _ => format!("{} hello", self.word),
        })
    }
}
