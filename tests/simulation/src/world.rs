//! The state of a simulation: the clock, the databases, the process, and what callers saw.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_bus::Bus;
use frontdesk_chaos::{
    checker::{Evidence, Verdict, check},
    cluster::Service,
    final_state::{Databases, Mail, read_databases},
    history::Record,
    mail_sink,
};
use frontdesk_clock::{Clock, Time};
use frontdesk_db::{AccountId, DatabaseUrl, Db, DbSettings};
use frontdesk_proto::event::v1::Event;
use prost::Message;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use uuid::Uuid;

use crate::{
    Failure, Fault,
    process::{Calls, DELIVERIES, Process, TIMEOUTS},
};

/// What the clock shows when a seed begins: 2030-03-17.
pub(crate) const START: Time = Time(1_900_000_000_000_000);
/// Shortest move of the clock; every other one is a multiple. No timeout or pause of the services is such a multiple, or up to a second
/// longer: the writer of messages adds the machine's time since its last batch, which must decide nothing.
pub(crate) const TICK: Duration = Duration::from_secs(7);
/// All texts that the bots of the simulation send.
pub(crate) const BOT_TEXTS: [&str; 4] = ["Hello!", "What is it about?", "A colleague comes.", "Goodbye!"];
/// The files of the databases: of the services in the order of [`Service::ALL`], and of the bus.
pub(crate) const FILES: [&str; 5] = ["conversation.db", "assignment.db", "bot_session.db", "notification.db", "bus.db"];

/// Position of a service in [`Service::ALL`].
pub(crate) const CONVERSATION: usize = 0;
/// See [`CONVERSATION`].
pub(crate) const BOT_SESSION: usize = 2;
/// See [`CONVERSATION`].
pub(crate) const NOTIFICATION: usize = 3;

/// Maximum number of rounds in which everything that waits has to be done.
const MAX_ROUNDS: usize = 60;
/// Number of rounds after which the clock is moved in each further one, for what waits for a time.
const ROUNDS_WITHOUT_TIME: usize = 6;
/// Longer than the timeouts of the bots, and than the pauses after failures.
const LONG: Duration = Duration::from_secs(700);
/// How SQLite writes: nothing has to reach a disk, and the write-ahead log stays small (number of pages).
const PRAGMAS: &str = "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 256";
/// Maximum number of mails that [`Fault::MailsAreSentAgain`] sends.
const MAX_MAILS: usize = 8;

/// The account that all seeds begin with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) account: AccountId,
    pub(crate) agents: Vec<String>,
    pub(crate) channels: Vec<String>,
}

/// A delivery that waits in the bus.
pub(crate) struct Pending {
    pub(crate) id: i64,
    pub(crate) consumer: String,
    pub(crate) event: Event,
}

pub(crate) struct World {
    pub(crate) clock: Clock,
    /// In the order of [`Service::ALL`].
    pub(crate) databases: [Db; 4],
    bus: Db,
    folder: PathBuf,
    process: Process,
    pub(crate) setup: Setup,
    pub(crate) fault: Option<Fault>,
    pub(crate) history: Vec<Record>,
    pub(crate) mails: Vec<Mail>,
    /// Calls that panicked.
    pub(crate) panics: Vec<String>,
}

impl World {
    /// Opens the databases in this folder, which are created if they do not exist, and starts the services.
    pub(crate) async fn open(folder: &Path, clock: Clock, setup: Setup, fault: Option<Fault>) -> Result<Self, Failure> {
        let mut databases = Vec::new();
        for file in FILES {
            let url = DatabaseUrl(format!("sqlite://{}", folder.join(file).display()));
            let db = Db::connect(&DbSettings { url, max_connections: None }, &clock).await?;
            db.begin_statement().conn().execute_unprepared(PRAGMAS).await?;
            databases.push(db);
        }
        let databases: [Db; FILES.len()] = databases.try_into().map_err(|_| "a database for each file")?;
        let [conversation, assignment, bot_session, notification, bus] = databases;
        let databases = [conversation, assignment, bot_session, notification];
        let process = Process::start(&databases, &bus, &clock, folder).await?;
        let (history, mails, panics) = (Vec::new(), Vec::new(), Vec::new());
        let folder = folder.to_owned();
        Ok(Self { clock, databases, bus, folder, process, setup, fault, history, mails, panics })
    }

    /// All databases, that of the bus last.
    pub(crate) fn all_databases(&self) -> impl Iterator<Item = &Db> {
        self.databases.iter().chain([&self.bus])
    }

    /// Kills the process between two turns, and starts it again.
    pub(crate) async fn kill(&mut self) -> Result<(), Failure> {
        self.process = Process::start(&self.databases, &self.bus, &self.clock, &self.folder).await?;
        Ok(())
    }

    /// Calls of a person. Visitors have an address that is verified.
    pub(crate) fn calls(&self, kind: CallerKind, id: &str) -> Calls {
        let email = (kind == CallerKind::Visitor).then(|| format!("{id}@visitor.example"));
        let actor = Actor { kind, id: id.to_owned() };
        self.process.calls(Caller { account: self.setup.account, kind, actor, email, ..Caller::service("") })
    }

    pub(crate) async fn execute(&self, service: usize, sql: &str) -> Result<(), Failure> {
        execute(&self.databases[service], sql).await
    }

    /// The number that a query returns in its first column.
    pub(crate) async fn number(&self, service: usize, sql: &str) -> Result<i64, Failure> {
        let rows = rows(self.databases[service].read(), sql).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.try_get_by_index(0))?)
    }

    /// A turn of the relay of a service. Returns the number of events that it published.
    pub(crate) async fn relay(&self, service: usize) -> Result<usize, Failure> {
        if self.fault == Some(Fault::RelayLosesEvents) {
            let lose = "UPDATE outbox_progress SET settled_to = settled_to + 1, published_to = published_to + 1
                WHERE settled_to % 3 = 2 AND settled_to < (SELECT max(position) FROM outbox_events)";
            self.execute(service, lose).await?;
        }
        let (source, db) = (Service::ALL[service].name(), &self.databases[service]);
        Ok(frontdesk_outbox::publish_waiting(source, db, &self.process.bus).await?)
    }

    /// Loses that the last events were published, as a kill before it is stored does.
    pub(crate) async fn lose_progress(&self, service: usize, events: usize) -> Result<(), Failure> {
        let lose = format!(
            "UPDATE outbox_progress SET settled_to = settled_to - {events}, published_to = settled_to - {events}"
        );
        self.execute(service, &lose).await
    }

    /// The deliveries that wait in the bus, in the order in which they were published.
    pub(crate) async fn pending(&self) -> Result<Vec<Pending>, Failure> {
        let rows = rows(self.bus.read(), "SELECT id, consumer, event FROM pending ORDER BY id").await?;
        let pending = rows.iter().map(|row| {
            let bytes: Vec<u8> = row.try_get("", "event")?;
            let (id, consumer) = (row.try_get("", "id")?, row.try_get("", "consumer")?);
            Ok::<_, Failure>(Pending { id, consumer, event: Event::decode(bytes.as_slice())? })
        });
        pending.collect()
    }

    /// One attempt of a consumer to handle an event. True: it is handled.
    pub(crate) async fn deliver(&self, pending: &Pending) -> Result<bool, Failure> {
        let Bus::InProcess(bus) = &self.process.bus else { return Err("the bus is within the process".into()) };
        if self.fault == Some(Fault::ConsumersLoseEvents) && pending.id % 3 == 0 {
            return Ok(true);
        }
        let handled = bus.attempt(&pending.consumer, &pending.event).await?;
        if handled && self.fault == Some(Fault::HandledMarksAreLost) {
            let event: Uuid = pending.event.id.parse()?;
            for db in &self.databases {
                execute(db, &format!("DELETE FROM handled_events WHERE event_id = {}", literal(event))).await?;
            }
            return Ok(bus.attempt(&pending.consumer, &pending.event).await?);
        }
        Ok(handled)
    }

    /// Removes a delivery from the bus.
    pub(crate) async fn acknowledge(&self, pending: &Pending) -> Result<(), Failure> {
        execute(&self.bus, &format!("DELETE FROM pending WHERE id = {}", pending.id)).await
    }

    /// A turn of the worker that closes the conversations of inactive visitors.
    pub(crate) async fn timeouts(&mut self) -> Result<(), Failure> {
        let worker = self.process.worker(TIMEOUTS).ok_or("there is no worker of timeouts")?;
        self.clock.run_until_waiting(worker).await;
        Ok(())
    }

    /// A turn of the worker that sends mails. Returns the number of mails that it sent.
    pub(crate) async fn deliveries(&mut self) -> Result<usize, Failure> {
        let worker = self.process.worker(DELIVERIES).ok_or("there is no worker of deliveries")?;
        self.clock.run_until_waiting(worker).await;
        let sent = self.collect_mails()?;
        if self.fault == Some(Fault::MailsAreSentAgain) && sent > 0 && self.mails.len() < MAX_MAILS {
            let again = "state = 'QUEUED', due_at = 0, sent_at = NULL, composed_at = NULL WHERE state = 'SENT'";
            self.execute(NOTIFICATION, &format!("UPDATE deliveries SET {again}")).await?;
        }
        Ok(sent)
    }

    /// Takes the new files out of the mailbox folder, so that a mail that is sent again is seen again.
    fn collect_mails(&mut self) -> Result<usize, Failure> {
        let folder = self.folder.join("mailbox").join(self.setup.account.to_string());
        let Ok(files) = std::fs::read_dir(folder) else { return Ok(0) };
        let mut paths: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
        paths.sort();
        for path in &paths {
            let mail = mail_sink::parse("", &std::fs::read(path)?, 0);
            self.mails.push(Mail { answered: true, ..mail });
            std::fs::remove_file(path)?;
        }
        Ok(paths.len())
    }

    /// Gives every worker, relay and consumer turns until nothing waits. False: something still does.
    pub(crate) async fn drain(&mut self) -> Result<bool, Failure> {
        for round in 0..MAX_ROUNDS {
            self.timeouts().await?;
            let mut work = self.deliveries().await?;
            for service in 0..self.databases.len() {
                work += self.relay(service).await?;
            }
            for pending in self.pending().await? {
                work += 1;
                if self.deliver(&pending).await? {
                    self.acknowledge(&pending).await?;
                }
            }
            let queued = "SELECT count(*) FROM deliveries WHERE state IN ('QUEUED', 'SENDING')";
            if work == 0 && self.number(NOTIFICATION, queued).await? == 0 {
                return Ok(true);
            }
            if round >= ROUNDS_WITHOUT_TIME {
                self.clock.advance(TICK)?;
            }
        }
        Ok(false)
    }

    /// Drains everything, lets all timeouts pass, and checks every rule.
    pub(crate) async fn finish(&mut self) -> Result<Verdict, Failure> {
        let mut is_drained = self.drain().await?;
        self.clock.advance(LONG)?;
        is_drained &= self.drain().await?;
        let databases = self.databases.each_ref().map(|db| db.read().clone());
        let mut state = read_databases(&Databases::of(databases), &literal(self.setup.account.0)).await?;
        state.now = self.clock.now().0;
        state.mails.clone_from(&self.mails);
        state.panics.clone_from(&self.panics);
        state.bot_texts = BOT_TEXTS.map(str::to_owned).into();
        let mut verdict = check(Evidence { history: &self.history, faults: &[], state: &state, max_lateness: None });
        if !is_drained {
            verdict.add_not_quiescent("events or mails wait for ever");
        }
        Ok(verdict)
    }
}

/// An id as SQLite writes it.
pub(crate) fn literal(id: Uuid) -> String {
    format!("X'{}'", id.simple())
}

async fn rows(db: &DatabaseConnection, sql: &str) -> Result<Vec<QueryResult>, Failure> {
    Ok(db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?)
}

async fn execute(db: &Db, sql: &str) -> Result<(), Failure> {
    let tx = db.begin().await?;
    tx.conn().execute_unprepared(sql).await?;
    Ok(tx.commit().await?)
}
