//! What the writer promises, on SQLite and, where `FRONTDESK_TEST_POSTGRES` names a server, on PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};

use frontdesk_auth::{Actor, Caller, CallerKind};
use frontdesk_clock::Time;
use frontdesk_db::{DatabaseUrl, DbSettings, migrate};
use frontdesk_proto::conversation::v1::PostMessageRequest;
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder, Statement};

use super::*;
use crate::{
    domain::{ClosingFacts, Content, NewConversation, StartedWith},
    store::{conversations, entity, names},
};

const ADA: Uuid = Uuid::from_u128(1);
const GONE: Uuid = Uuid::from_u128(2);

struct Fixture {
    store: Store,
    account: AccountId,
    postgres: bool,
    _folder: tempfile::TempDir,
}

/// An ordinary role: row-level security holds no superuser.
const MAKE_ROLE: &str = "DO $$ BEGIN CREATE ROLE suite LOGIN PASSWORD 'suite'; \
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";

/// A database of each kind with Ada, who is active, and one agent who is not.
async fn fixtures() -> Vec<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite://{}", folder.path().join("conversation.db").display())];
    if let Ok(server) = std::env::var("FRONTDESK_TEST_POSTGRES") {
        let name = format!("w{}", frontdesk_clock::testing::new_id().simple());
        let admin = sea_orm::Database::connect(format!("{server}/postgres")).await.unwrap();
        admin.execute_unprepared(MAKE_ROLE).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name} OWNER suite")).await.unwrap();
        urls.push(format!("postgres://suite:suite@{}/{name}", server.rsplit_once('@').unwrap().1));
    }
    let mut fixtures = Vec::new();
    for url in urls {
        let clock = Clock::system();
        let postgres = url.starts_with("postgres");
        let settings = DbSettings { url: DatabaseUrl(url), max_connections: Some(5) };
        let db = Db::connect(&settings, &clock).await.unwrap();
        migrate::<crate::Migrator>(&db).await.unwrap();
        let account = AccountId(frontdesk_clock::testing::new_id());
        let tx = db.begin().await.unwrap();
        for (id, name, active) in [(ADA, "Ada", true), (GONE, "Gone", false)] {
            let agent = agents::Model { account_id: account, id, name: name.into(), active, version: 1 };
            names::keep_agent(&tx, agent).await.unwrap();
        }
        tx.commit().await.unwrap();
        let store = Store { db, clock, hints: Hints::default() };
        let folder = tempfile::tempdir_in(folder.path()).unwrap();
        fixtures.push(Fixture { store, account, postgres, _folder: folder });
    }
    // The databases outlive the handle of their folder: it is removed with the process's temporary files.
    std::mem::forget(folder);
    fixtures
}

impl Fixture {
    async fn start(&self, visitor: &str) -> Uuid {
        let new = NewConversation {
            id: frontdesk_clock::testing::new_id(),
            account: self.account,
            channel_id: Uuid::from_u128(7),
            visitor_id: visitor.into(),
            contact_id: None,
            page_url: String::new(),
            page_title: String::new(),
            previous_id: None,
            with: StartedWith::Nobody,
        };
        let mut conversation = Conversation::start(new, self.store.clock.now());
        let mut tx = self.store.db.begin().await.unwrap();
        conversations::insert(&mut tx, &self.store.hints, &mut conversation).await.unwrap();
        tx.commit().await.unwrap();
        conversation.row.id
    }

    async fn close(&self, id: Uuid) {
        let mut tx = self.store.db.begin().await.unwrap();
        let mut conversation = conversations::find_for_update(&tx, self.account, id).await.unwrap().unwrap();
        conversation.close_by_agent(ADA, None, ClosingFacts::default(), self.store.clock.now()).unwrap();
        conversations::save(&mut tx, &self.store.hints, &mut conversation).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn key(&self, conversation: Uuid, id: &str, text: &str) -> Key {
        let actor = Actor { kind: CallerKind::Agent, id: ADA.to_string() };
        let caller = Caller {
            account: self.account,
            kind: CallerKind::Agent,
            actor,
            name: None,
            email: None,
            permissions: Default::default(),
            scope: None,
            ends: None,
        };
        let conversation_id = conversation.to_string();
        let request = PostMessageRequest { conversation_id, text: text.into(), ..PostMessageRequest::default() };
        Key::new(&caller, id, &request)
    }

    /// Ada says the text, which is also the request id.
    fn says(&self, conversation: Uuid, text: &'static str) -> Wanted {
        Wanted {
            account: self.account,
            conversation,
            of_visitor: None,
            agent: Some(ADA),
            key: self.key(conversation, text, text),
            decide: Arc::new(move |conversation: &mut Conversation, known: &Known<'_>| {
                let agent = known.agent.ok_or(No::AgentUnknown)?;
                if !agent.active {
                    return Err(No::AgentNotActive);
                }
                conversation.agent_says(agent.id, text.into(), None, known.now).map_err(No::Refused)
            }),
        }
    }

    /// Writes them as one group and gives their answers.
    async fn group(&self, wanted: Vec<Wanted>) -> Vec<Answer> {
        let (group, answers): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .map(|wanted| {
                let (answer, answered) = oneshot::channel();
                (Waiting { wanted, traceparent: String::new(), answer }, answered)
            })
            .unzip();
        self.store.write(group).await;
        join_all(answers).await.into_iter().map(|answer| answer.unwrap()).collect()
    }

    async fn thread(&self, id: Uuid) -> Vec<String> {
        let listed =
            crate::store::entries::list(self.store.db.read(), self.account, id, 0, None, 10_000).await.unwrap();
        let texts = listed.entries.into_iter().filter_map(|entry| match entry.content {
            Content::Message { text, .. } => Some(text),
            _ => None,
        });
        texts.collect()
    }

    async fn row(&self, id: Uuid) -> entity::conversations::Model {
        conversations::find(self.store.db.read(), self.account, id).await.unwrap().unwrap().row
    }

    /// Aggregate and version of every event, in the order in which they are published.
    async fn events(&self) -> Vec<(Uuid, i64)> {
        let backend = self.store.db.read().get_database_backend();
        let sql = "SELECT aggregate_id, version FROM outbox_events ORDER BY position";
        let rows = self.store.db.read().query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
        rows.iter().map(|row| (row.try_get("", "aggregate_id").unwrap(), row.try_get("", "version").unwrap())).collect()
    }
}

fn sequence(answer: &Answer) -> i64 {
    match answer {
        Ok(Written::Now(entry, _)) => entry.sequence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_c11_each_member_of_a_group_is_judged_by_itself() {
    for fixture in fixtures().await {
        let (open, closed, other) = (fixture.start("a").await, fixture.start("b").await, fixture.start("c").await);
        fixture.close(closed).await;
        let before = fixture.group(vec![fixture.says(other, "before")]).await;
        assert_eq!(sequence(&before[0]), 2, "after the entry that made Ada the assignee");

        let reused = Wanted { key: fixture.key(other, "before", "different"), ..fixture.says(other, "different") };
        let foreign =
            Wanted { account: AccountId(frontdesk_clock::testing::new_id()), ..fixture.says(open, "foreign") };
        let answers = fixture
            .group(vec![
                fixture.says(open, "one"),
                fixture.says(frontdesk_clock::testing::new_id(), "unknown"),
                foreign,
                fixture.says(closed, "closed"),
                fixture.says(other, "before"),
                reused,
                Wanted { of_visitor: Some("somebody else".into()), ..fixture.says(open, "not theirs") },
                Wanted { agent: Some(GONE), ..fixture.says(open, "gone") },
                Wanted { agent: Some(frontdesk_clock::testing::new_id()), ..fixture.says(open, "stranger") },
                // The first of the group counts as the first.
                fixture.says(open, "one"),
                Wanted { key: fixture.key(open, "one", "other"), ..fixture.says(open, "other") },
                fixture.says(open, "two"),
            ])
            .await;
        assert_eq!((sequence(&answers[0]), sequence(&answers[11])), (2, 3), "nothing of the others took a number");
        let Ok(Written::Now(entry, names)) = &answers[0] else { panic!() };
        assert_eq!(names.of_author(&entry.author), "Ada");
        assert!(matches!(answers[1], Err(Unwritten::NotFound)));
        assert!(matches!(answers[2], Err(Unwritten::NotFound)));
        assert!(matches!(answers[3], Err(Unwritten::No(No::Refused(Refused::Closed), _))));
        assert!(matches!(answers[4], Ok(Written::Before(2))));
        assert!(matches!(answers[5], Err(Unwritten::Reused)));
        assert!(matches!(answers[6], Err(Unwritten::NotFound)));
        assert!(matches!(answers[7], Err(Unwritten::No(No::AgentNotActive, _))));
        assert!(matches!(answers[8], Err(Unwritten::No(No::AgentUnknown, _))));
        assert!(matches!(answers[9], Ok(Written::Before(2))));
        assert!(matches!(answers[10], Err(Unwritten::Reused)));
        assert_eq!(fixture.thread(open).await, ["one", "two"]);
        assert_eq!(fixture.thread(closed).await, Vec::<String>::new());
        assert_eq!(fixture.thread(other).await, ["before"]);
        let row = fixture.row(open).await;
        assert_eq!((row.assignee_id, row.epoch, row.last_sequence, row.had_agent), (Some(ADA), 2, 3, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c3_members_of_one_conversation_get_consecutive_numbers_and_their_events_keep_that_order() {
    const TEXTS: [&str; 12] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
    for fixture in fixtures().await {
        let mut conversations = Vec::new();
        for visitor in ["a", "b", "c"] {
            conversations.push(fixture.start(visitor).await);
        }
        // In turns: a group holds its members as they came, not by conversation.
        let wanted = TEXTS.iter().enumerate().map(|(n, text)| fixture.says(conversations[n % 3], text)).collect();
        let answers = fixture.group(wanted).await;
        let numbers: Vec<i64> = answers.iter().map(sequence).collect();
        assert_eq!(numbers, [2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5], "1 made Ada the assignee");
        assert_eq!(fixture.thread(conversations[1]).await, ["1", "4", "7", "10"]);
        for id in conversations {
            let row = fixture.row(id).await;
            assert_eq!((row.last_sequence, row.last_visitor_sequence, row.version), (5, 5, 6));
            let events = fixture.events().await.into_iter();
            let versions: Vec<i64> = events.filter(|(of, _)| *of == id).map(|(_, version)| version).collect();
            assert_eq!(versions, [1, 2, 3, 4, 5, 6], "published in the order in which it happened");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_cannot_be_written_or_panics_fails_alone() {
    for fixture in fixtures().await {
        let (good, bad) = (fixture.start("a").await, fixture.start("b").await);
        fixture.group(vec![fixture.says(bad, "first")]).await;
        let twice = Wanted {
            decide: Arc::new(|conversation: &mut Conversation, known: &Known<'_>| {
                // A number that is taken: the primary key of the entries refuses it, and the whole group with it.
                conversation.row.last_sequence = 0;
                conversation.agent_says(ADA, "again".into(), None, known.now).map_err(No::Refused)
            }),
            ..fixture.says(bad, "twice")
        };
        let panics = Wanted {
            decide: Arc::new(|_: &mut Conversation, _: &Known<'_>| panic!("a bug")),
            ..fixture.says(bad, "panics")
        };
        for (bad, text) in [(twice, "one"), (panics, "two")] {
            let answers = fixture.group(vec![bad, fixture.says(good, text)]).await;
            assert!(matches!(answers[0], Err(Unwritten::Db(_))), "{answers:?}");
            sequence(&answers[1]);
        }
        assert_eq!(fixture.thread(good).await, ["one", "two"]);
        assert_eq!(fixture.thread(bad).await, ["first"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_an_id_used_meanwhile_for_another_conversation_is_noticed_and_touches_no_other() {
    for fixture in fixtures().await.into_iter().filter(|fixture| fixture.postgres) {
        let (here, there) = (fixture.start("a").await, fixture.start("b").await);
        let key = fixture.key(there, "id", "there");
        let overtaken = Wanted { key: fixture.key(here, "id", "here"), ..fixture.says(here, "here") };
        let (decide, db, done) = (overtaken.decide.clone(), fixture.store.db.clone(), AtomicBool::new(false));
        let overtaken = Wanted {
            // Another replica commits the id after this group looked it up.
            decide: Arc::new(move |conversation: &mut Conversation, known: &Known<'_>| {
                if !done.swap(true, Ordering::SeqCst) {
                    tokio::task::block_in_place(|| {
                        tokio::runtime::Handle::current().block_on(async {
                            let tx = db.begin().await.unwrap();
                            assert_eq!(key.claim::<i64>(&tx).await.unwrap(), None);
                            key.store_result(&tx, &1).await.unwrap();
                            tx.commit().await.unwrap();
                        });
                    });
                }
                decide(conversation, known)
            }),
            ..overtaken
        };
        let answers = fixture.group(vec![fixture.says(here, "one"), overtaken, fixture.says(here, "two")]).await;
        assert!(matches!(answers[1], Err(Unwritten::Reused)), "{answers:?}");
        assert_eq!((sequence(&answers[0]), sequence(&answers[2])), (2, 3));
        assert_eq!(fixture.thread(here).await, ["one", "two"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_repeat_that_waited_for_the_lock_gets_the_first_answer_though_the_conversation_was_closed_since() {
    for fixture in fixtures().await.into_iter().filter(|fixture| fixture.postgres) {
        let id = fixture.start("a").await;
        // Another replica has written the message, and closed, and has not committed yet.
        let mut tx = fixture.store.db.begin().await.unwrap();
        let mut conversation = conversations::find_for_update(&tx, fixture.account, id).await.unwrap().unwrap();
        let key = fixture.key(id, "one", "one");
        assert_eq!(key.claim::<i64>(&tx).await.unwrap(), None);
        key.store_result(&tx, &7).await.unwrap();
        conversation.close_by_agent(ADA, None, ClosingFacts::default(), fixture.store.clock.now()).unwrap();
        conversations::save(&mut tx, &fixture.store.hints, &mut conversation).await.unwrap();

        let commit = async {
            let waits =
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waits = || Statement::from_string(DbBackend::Postgres, waits);
            while fixture.store.db.read().query_one_raw(waits()).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            tx.commit().await.unwrap();
        };
        let (answers, ()) = tokio::join!(fixture.group(vec![fixture.says(id, "one")]), commit);
        assert!(matches!(answers[0], Ok(Written::Before(7))), "{answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_no_success_for_anybody_and_the_same_requests_can_come_again() {
    for fixture in fixtures().await.into_iter().filter(|fixture| fixture.postgres) {
        let id = fixture.start("a").await;
        let (db, done) = (fixture.store.db.clone(), Arc::new(AtomicBool::new(false)));
        let one = fixture.says(id, "one");
        let (decide, cut) = (one.decide.clone(), done.clone());
        let one = Wanted {
            decide: Arc::new(move |conversation: &mut Conversation, known: &Known<'_>| {
                if !cut.swap(true, Ordering::SeqCst) {
                    tokio::task::block_in_place(|| {
                        tokio::runtime::Handle::current().block_on(async {
                            let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE \
                                datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%'";
                            db.read().execute_unprepared(others).await.unwrap();
                        });
                    });
                }
                decide(conversation, known)
            }),
            ..one
        };
        let both = vec![one, fixture.says(id, "two")];
        let answers = fixture.group(both.clone()).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(Unwritten::Lost))), "{answers:?}");
        assert_eq!(fixture.thread(id).await, Vec::<String>::new());
        assert_eq!(fixture.group(both).await.iter().map(sequence).collect::<Vec<_>>(), [2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_written_together_and_everybody_is_answered() {
    for fixture in fixtures().await {
        let mut conversations = Vec::new();
        for visitor in 0..10 {
            conversations.push(fixture.start(&visitor.to_string()).await);
        }
        let writer = Writer::start(&fixture.store.db, &fixture.store.clock, &fixture.store.hints);
        let calls = (0..300).map(|n: usize| {
            let id = conversations[n % 10];
            let key = fixture.key(id, &format!("id{n}"), "x");
            writer.write(Wanted { key, ..fixture.says(id, "x") })
        });
        let answers = join_all(calls).await;
        let mut numbers: Vec<i64> = answers.iter().step_by(10).map(sequence).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (2..=31).collect::<Vec<_>>(), "dense");
        let entries = entity::entries::Entity::find().order_by_asc(entity::entries::Column::CreatedAt);
        let mut times: Vec<Time> =
            entries.all(fixture.store.db.read()).await.unwrap().iter().map(|entry| entry.created_at).collect();
        times.dedup();
        assert!(times.len() <= 20, "300 messages in {} transactions", times.len());
    }
}
