//! Reads the final state: from the databases and the broker directly, not through the proxies, from the mail sink, and from
//! the logs of all processes.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use async_nats::jetstream;
use futures::{StreamExt, TryStreamExt};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Assignment, Attachment, ConsumerProgress, Conversation, Decision, Delivery, Entry, FinalState, Handled, Object,
    Session, StreamMessage, event::decode_event, routing,
};
use crate::{
    checker::COMMENT_CANARY,
    cluster::{Cluster, Failure, Service},
    workload::{Account, BOT_TEXTS},
};

/// Maximum time that a message may be in flight after the installation was quiescent.
const MAX_IN_FLIGHT: Duration = Duration::from_secs(10);

/// Connections to the databases of all services.
pub struct Databases([DatabaseConnection; 4]);

impl Databases {
    /// Connects to all databases.
    pub async fn connect(cluster: &Cluster) -> Result<Self, DbErr> {
        let connect = |service: Service| {
            let mut options = sea_orm::ConnectOptions::new(cluster.postgres.url(service.database()));
            options.max_connections(3).sqlx_logging(false).acquire_timeout(Duration::from_secs(20));
            sea_orm::Database::connect(options)
        };
        let [one, two, three, four] = Service::ALL;
        Ok(Self([connect(one).await?, connect(two).await?, connect(three).await?, connect(four).await?]))
    }

    /// These databases, in the order of [`Service::ALL`].
    pub fn of(databases: [DatabaseConnection; 4]) -> Self {
        Self(databases)
    }

    /// The rows of a query to the database of a service.
    pub async fn rows(&self, service: Service, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
        let database = &self.0[Cluster::index_of(service)];
        database.query_all_raw(Statement::from_string(database.get_database_backend(), sql)).await
    }

    /// Runs statements in the database of a service.
    pub async fn execute(&self, service: Service, sql: &str) -> Result<(), DbErr> {
        self.0[Cluster::index_of(service)].execute_unprepared(sql).await?;
        Ok(())
    }

    /// The single number of a query to the database of a service.
    pub async fn number(&self, service: Service, sql: &str) -> Result<i64, DbErr> {
        let rows = self.rows(service, sql).await?;
        rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))
    }
}

/// The ids of the accounts as an SQL list.
fn id_list(accounts: &[Account]) -> String {
    let quoted: Vec<String> = accounts.iter().map(|account| format!("'{}'", account.id)).collect();
    quoted.join(",")
}

/// Reads the final state of these accounts.
pub async fn read(cluster: &Cluster, databases: &Databases, accounts: &[Account]) -> Result<FinalState, Failure> {
    let ids = id_list(accounts);
    let mut state = read_databases(databases, &ids).await?;
    for account in accounts {
        state.objects.extend(read_objects(&cluster.attachments().join(account.id.to_string()))?);
    }
    routing::read_log(databases, &ids, cluster.clock_offset(), &mut state.routing).await?;
    let event_ids: HashSet<String> = state.events.iter().map(|event| event.id.clone()).collect();
    broker(cluster, &event_ids, &mut state).await?;
    state.mails = cluster.mail_sink.mails();
    state.mails.retain(|mail| accounts.iter().any(|account| mail.recipient.contains(&account.canary)));
    let offset = cluster.clock_offset();
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
    state.now = databases.number(Service::Conversation, now).await? + offset;
    state.canaries = accounts.iter().map(|account| (account.id.to_string(), account.canary.clone())).collect();
    state.bot_texts = BOT_TEXTS.iter().map(|text| (*text).to_owned()).collect();
    read_logs(cluster.logs(), &mut state)?;
    Ok(state)
}

/// Reads from the databases what the services store about some accounts. `ids`: ids of the accounts as an SQL list.
pub async fn read_databases(databases: &Databases, ids: &str) -> Result<FinalState, Failure> {
    let mut state = FinalState::default();
    conversations(databases, ids, &mut state).await?;
    entries(databases, ids, &mut state).await?;
    attachments(databases, ids, &mut state).await?;
    for service in Service::ALL {
        events(databases, service, ids, &mut state).await?;
        marks(databases, service, &mut state).await?;
    }
    other_services(databases, ids, &mut state).await?;
    state.routing = routing::read_rows(databases, ids).await?;
    let event_ids: HashSet<String> = state.events.iter().map(|event| event.id.clone()).collect();
    state.handled.retain(|mark| event_ids.contains(&mark.event));
    state.dead_letters.retain(|letter| event_ids.contains(&letter.event));
    Ok(state)
}

pub(super) fn id(row: &QueryResult, column: &str) -> Result<String, DbErr> {
    Ok(row.try_get::<Option<Uuid>>("", column)?.map(|id| id.to_string()).unwrap_or_default())
}

async fn conversations(databases: &Databases, ids: &str, state: &mut FinalState) -> Result<(), DbErr> {
    let sql = format!("SELECT * FROM conversations WHERE account_id IN ({ids})");
    for row in databases.rows(Service::Conversation, &sql).await? {
        let kind: Option<String> = row.try_get("", "assignee_kind")?;
        let in_charge: bool = row.try_get("", "bot_in_charge")?;
        state.conversations.push(Conversation {
            id: id(&row, "id")?,
            account: id(&row, "account_id")?,
            status: row.try_get("", "status")?,
            assignee: kind
                .map_or(Ok(String::new()), |kind| Ok::<_, DbErr>(format!("{kind}:{}", id(&row, "assignee_id")?)))?,
            epoch: row.try_get("", "epoch")?,
            session_in_charge: if in_charge { id(&row, "bot_session_id")? } else { String::new() },
            timeout: row.try_get::<Option<i64>>("", "bot_timeout_us")?.unwrap_or(0),
            last_sequence: row.try_get("", "last_sequence")?,
            last_visitor_sequence: row.try_get("", "last_visitor_sequence")?,
            close_number: i64::from(row.try_get::<i32>("", "close_number")?),
            last_visitor_activity: row.try_get("", "last_visitor_activity_at")?,
        });
    }
    Ok(())
}

async fn entries(databases: &Databases, ids: &str, state: &mut FinalState) -> Result<(), Failure> {
    let sql = format!("SELECT * FROM entries WHERE account_id IN ({ids}) ORDER BY conversation_id, sequence");
    for row in databases.rows(Service::Conversation, &sql).await? {
        let content: Value = serde_json::from_str(&row.try_get::<String>("", "content")?)?;
        let field = |name: &str| content.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let attachments = content.get("attachments").and_then(Value::as_array).into_iter().flatten();
        let attachments = attachments.filter_map(|sent| sent["attachment_id"].as_str()).map(str::to_owned);
        state.entries.push(Entry {
            conversation: id(&row, "conversation_id")?,
            sequence: row.try_get("", "sequence")?,
            visitor_sequence: row.try_get::<Option<i64>>("", "visitor_sequence")?.unwrap_or(0),
            author_kind: row.try_get("", "author_kind")?,
            author: row.try_get("", "author_id")?,
            kind: field("type"),
            text: field("text"),
            attachments: attachments.collect(),
            at: row.try_get("", "created_at")?,
        });
    }
    Ok(())
}

async fn attachments(databases: &Databases, ids: &str, state: &mut FinalState) -> Result<(), DbErr> {
    let sql = format!("SELECT * FROM attachments WHERE account_id IN ({ids})");
    for row in databases.rows(Service::Conversation, &sql).await? {
        state.attachments.push(Attachment {
            id: id(&row, "id")?,
            conversation: id(&row, "conversation_id")?,
            status: row.try_get("", "status")?,
            size: row.try_get("", "size")?,
            sha256: row.try_get("", "sha256")?,
            object: id(&row, "object_id")?,
            sent: row.try_get::<Option<i64>>("", "sent_at")?.is_some(),
            collect_at: row.try_get::<Option<i64>>("", "collect_at")?.unwrap_or(0),
        });
    }
    Ok(())
}

/// The objects of an account in its folder of attachments. A file whose name is no id is still being written, or was when its process ended.
pub fn read_objects(account: &Path) -> std::io::Result<Vec<Object>> {
    let id = |path: &Path| path.file_name()?.to_str()?.parse::<Uuid>().ok();
    let mut objects = Vec::new();
    for folder in files(account)? {
        for file in files(&folder)? {
            // It may be deleted meanwhile.
            if let (Some(attachment), Some(object), Ok(file)) = (id(&folder), id(&file), std::fs::metadata(&file)) {
                let (attachment, id) = (attachment.to_string(), object.to_string());
                objects.push(Object { attachment, id, size: file.len() as i64 });
            }
        }
    }
    Ok(objects)
}

/// What a folder contains. Nothing, if it does not exist.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(files) => files.map(|file| Ok(file?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Ids of the attachments of an account that were sent.
pub async fn sent_attachments(databases: &Databases, account: &Account) -> Result<Vec<String>, DbErr> {
    let sql = format!("SELECT id FROM attachments WHERE account_id = '{}' AND sent_at IS NOT NULL", account.id);
    databases.rows(Service::Conversation, &sql).await?.iter().map(|row| id(row, "id")).collect()
}

async fn events(databases: &Databases, service: Service, ids: &str, state: &mut FinalState) -> Result<(), Failure> {
    let sql = format!(
        "SELECT event, position <= (SELECT settled_to FROM outbox_progress) AS is_published \
         FROM outbox_events WHERE account_id IN ({ids}) ORDER BY position"
    );
    for row in databases.rows(service, &sql).await? {
        let is_published: bool = row.try_get("", "is_published")?;
        state.events.push(decode_event(&row.try_get::<Vec<u8>>("", "event")?, is_published)?);
    }
    Ok(())
}

async fn marks(databases: &Databases, service: Service, state: &mut FinalState) -> Result<(), DbErr> {
    for (table, to) in [("handled_events", &mut state.handled), ("dead_letters", &mut state.dead_letters)] {
        for row in databases.rows(service, &format!("SELECT consumer, event_id FROM {table}")).await? {
            to.push(Handled { consumer: row.try_get("", "consumer")?, event: id(&row, "event_id")? });
        }
    }
    Ok(())
}

async fn other_services(databases: &Databases, ids: &str, state: &mut FinalState) -> Result<(), DbErr> {
    let sql = |table: &str| format!("SELECT * FROM {table} WHERE account_id IN ({ids})");
    for row in databases.rows(Service::BotSession, &sql("bot_sessions")).await? {
        state.sessions.push(Session {
            id: id(&row, "id")?,
            conversation: id(&row, "conversation_id")?,
            status: row.try_get("", "status")?,
            deadline: row.try_get::<Option<i64>>("", "deadline_at")?.unwrap_or(0),
            step: row.try_get::<Option<String>>("", "step_id")?.unwrap_or_default(),
        });
    }
    for row in databases.rows(Service::Assignment, &sql("assignments")).await? {
        let kind = match row.try_get::<i32>("", "owner_kind")? {
            1 => "AGENT",
            2 => "BOT",
            _ => "",
        };
        let owner =
            if kind.is_empty() { String::new() } else { format!("{kind}:{}", row.try_get::<String>("", "owner_id")?) };
        state.assignments.push(Assignment {
            conversation: id(&row, "conversation_id")?,
            epoch: row.try_get("", "epoch")?,
            owner,
        });
    }
    for row in databases.rows(Service::Notification, &sql("transcript_decisions")).await? {
        state.decisions.push(Decision {
            conversation: id(&row, "conversation_id")?,
            number: i64::from(row.try_get::<i32>("", "close_number")?),
            skip: row.try_get::<Option<String>>("", "skip_reason")?.unwrap_or_default(),
            delivery: id(&row, "delivery_id")?,
        });
    }
    for row in databases.rows(Service::Notification, &sql("deliveries")).await? {
        state.deliveries.push(Delivery {
            id: id(&row, "id")?,
            account: id(&row, "account_id")?,
            kind: row.try_get("", "kind")?,
            state: row.try_get("", "state")?,
            conversation: id(&row, "conversation_id")?,
            until_sequence: row.try_get("", "until_sequence")?,
            message_id: row.try_get("", "message_id")?,
            unknown: i64::from(row.try_get::<i32>("", "unknown_outcomes")?),
        });
    }
    Ok(())
}

/// The messages of these events in the streams, and the progress of the durable consumers.
async fn broker(cluster: &Cluster, event_ids: &HashSet<String>, state: &mut FinalState) -> Result<(), Failure> {
    let context = jetstream::new(async_nats::connect(cluster.nats.url()).await?);
    let mut names = context.stream_names();
    while let Some(name) = names.try_next().await? {
        let mut stream = context.get_stream(&name).await?;
        state.consumers.extend(consumers(&stream).await?);
        let held = stream.info().await?.state.messages;
        if held == 0 {
            continue;
        }
        let reading = jetstream::consumer::pull::OrderedConfig { headers_only: true, ..Default::default() };
        let mut messages = stream.create_consumer(reading).await?.messages().await?;
        while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(10), messages.next()).await {
            let message = message?;
            let info = message.info().map_err(|error| error.to_string())?;
            let (sequence, pending) = (info.stream_sequence, info.pending);
            let event = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            let event = event.map(|event| event.as_str().to_owned()).unwrap_or_default();
            if event_ids.contains(&event) {
                let subject = message.subject.to_string();
                state.stream.push(StreamMessage { stream: name.clone(), sequence, subject, event });
            }
            if pending == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// The durable consumers of a stream, once they have processed all messages. A chat that times out now, of this row or of one before,
/// makes a message that is in flight for a moment: what stays is unprocessed.
async fn consumers(stream: &jetstream::stream::Stream) -> Result<Vec<ConsumerProgress>, Failure> {
    let began = Instant::now();
    loop {
        let all: Vec<jetstream::consumer::Info> = stream.consumers().try_collect().await?;
        let durable = all.into_iter().filter(|consumer| consumer.config.durable_name.is_some());
        let progress: Vec<_> = durable
            .map(|consumer| ConsumerProgress {
                name: consumer.name,
                pending: consumer.num_pending,
                unacknowledged: consumer.num_ack_pending as u64,
            })
            .collect();
        let is_done = progress.iter().all(|consumer| consumer.pending == 0 && consumer.unacknowledged == 0);
        if is_done || began.elapsed() > MAX_IN_FLIGHT {
            return Ok(progress);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Panics and canaries in the logs of the processes in a folder.
pub fn read_logs(folder: &Path, state: &mut FinalState) -> Result<(), Failure> {
    let mut canaries: Vec<String> = state.canaries.values().cloned().collect();
    canaries.push(COMMENT_CANARY.to_owned());
    for file in std::fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for line in text.lines() {
            if line.contains("panicked at") {
                state.panics.push(format!("{name}: {line}"));
            }
            if canaries.iter().any(|canary| line.contains(canary.as_str())) {
                state.leaks.push(format!("{name}: {line}"));
            }
        }
    }
    Ok(())
}

/// By service: position of the last event of these accounts in its outbox.
pub async fn last_events(databases: &Databases, accounts: &[Account]) -> Result<[i64; 4], DbErr> {
    let sql =
        format!("SELECT coalesce(max(position), 0) FROM outbox_events WHERE account_id IN ({})", id_list(accounts));
    let mut last = [0; 4];
    for (service, last) in Service::ALL.into_iter().zip(&mut last) {
        *last = databases.number(service, &sql).await?;
    }
    Ok(last)
}

/// By conversation: sequence of the last entry, and visitor sequence of the last entry that the visitor sees.
pub async fn last_numbers(databases: &Databases, accounts: &[Account]) -> Result<BTreeMap<String, (u64, u64)>, DbErr> {
    let ids = id_list(accounts);
    let sql = format!("SELECT id, last_sequence, last_visitor_sequence FROM conversations WHERE account_id IN ({ids})");
    let mut numbers = BTreeMap::new();
    for row in databases.rows(Service::Conversation, &sql).await? {
        let number = |column: &str| row.try_get::<i64>("", column).map(|number| u64::try_from(number).unwrap_or(0));
        numbers.insert(id(&row, "id")?, (number("last_sequence")?, number("last_visitor_sequence")?));
    }
    Ok(numbers)
}
