//! What is indexed when no notification names it, and how often, on SQLite and on PostgreSQL.

use frontdesk_clock::Clock;
use frontdesk_db::{AccountId, migrate};
use frontdesk_testkit::{Mode, TestDatabase, on_both_modes};
use sea_orm::{ConnectionTrait, Statement};

use super::*;
use crate::{
    domain::{Actor, Contact, Content, Conversation, Greeting, NewConversation, SearchQuery, StartContext},
    store::search::{self, SearchFilter},
};

on_both_modes!(
    c9_a_round_indexes_what_no_notification_named_and_the_next_one_writes_nothing,
    c9_a_long_thread_is_indexed_in_parts,
    c9_an_entry_that_cannot_be_read_holds_up_no_other_one,
    x2_a_contact_that_an_older_binary_wrote_is_indexed,
);

const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));

struct Fixture {
    database: TestDatabase,
    clock: Clock,
}

impl Fixture {
    async fn new(mode: Mode) -> Self {
        let clock = Clock::system();
        let database = TestDatabase::create(mode, &clock).await;
        migrate::<crate::migration::Migrator>(&database.db).await.unwrap();
        Self { database, clock }
    }

    fn db(&self) -> &Db {
        &self.database.db
    }

    /// A conversation with these comments.
    async fn conversation(&self, number: u128, comments: impl IntoIterator<Item = String>) -> Uuid {
        let new = NewConversation {
            id: Uuid::from_u128(number),
            account: ACCOUNT,
            channel_id: Uuid::from_u128(7),
            visitor_id: number.to_string(),
            contact_id: None,
            visitor_name: String::new(),
            unusable_token_email: String::new(),
            context: StartContext::default(),
            previous_id: None,
            greeting: Greeting::Unassigned,
        };
        let mut conversation = Conversation::start(new, self.clock.now());
        for text in comments {
            let comment = Content::Comment { text, mentions: Vec::new() };
            conversation.add_system_entry(Actor::system(), comment, self.clock.now());
        }
        let mut tx = self.db().begin().await.unwrap();
        conversations::insert(&mut tx, &ChangeNotifier::default(), &mut conversation).await.unwrap();
        tx.commit().await.unwrap();
        conversation.id
    }

    /// One whole round; returns the number of its steps.
    async fn round(&self) -> usize {
        let mut indexer =
            Indexer { db: self.db(), changed: HashSet::new(), round: Some(Uuid::max()), looks_for_contacts: true };
        let mut steps = 0;
        while indexer.has_work() {
            indexer.work().await.unwrap();
            steps += 1;
        }
        steps
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) AS total FROM {table}");
        let conn = self.db().read();
        let count = Statement::from_string(conn.get_database_backend(), sql);
        conn.query_one_raw(count).await.unwrap().unwrap().try_get("", "total").unwrap()
    }

    async fn execute(&self, sql: &str) {
        let tx = self.db().begin().await.unwrap();
        tx.conn().execute_unprepared(sql).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn found(&self, query: &str) -> Vec<(Uuid, i64)> {
        let query = SearchQuery::parse(query).unwrap();
        let read = self.db().read_for(ACCOUNT).await.unwrap();
        let found = search::find_entries(&read.conn(), ACCOUNT, &query, &SearchFilter::default(), None).await.unwrap();
        found.matches
    }
}

async fn c9_a_round_indexes_what_no_notification_named_and_the_next_one_writes_nothing(mode: Mode) {
    let fixture = Fixture::new(mode).await;
    // More than one transaction indexes.
    let count = 2 * MAX_CONVERSATIONS as u128 + 1;
    for number in 1..=count {
        fixture.conversation(number, [format!("order {number}"), "refund".to_owned()]).await;
    }
    fixture.round().await;
    assert_eq!(fixture.found("order 42").await, [(Uuid::from_u128(42), 1)]);
    assert_eq!(fixture.found("refund").await.len() as u128, count);
    assert_eq!(fixture.count("search_marks").await as u128, count);
    let words = fixture.count("search_words").await;
    assert_eq!(words as u128, 3 * count);
    // Everything is indexed: the step that finds the conversations, and the one that finds no more.
    assert_eq!(fixture.round().await, 2);
    assert_eq!(fixture.count("search_words").await, words);
    // Without marks, as in a crash before they existed: the words are there already.
    fixture.execute("DELETE FROM search_marks").await;
    fixture.round().await;
    assert_eq!(fixture.count("search_words").await, words);
}

async fn c9_a_long_thread_is_indexed_in_parts(mode: Mode) {
    let fixture = Fixture::new(mode).await;
    let long = fixture.conversation(1, (1..=120).map(|number| format!("line {number}"))).await;
    let short = fixture.conversation(2, ["line".to_owned()]).await;
    assert!(fixture.round().await > 3);
    assert_eq!(fixture.found("line").await.len(), 121);
    assert_eq!(fixture.found("line 120").await, [(long, 120)]);
    assert_eq!(fixture.found("line").await[0], (short, 1), "the latest first");
}

async fn c9_an_entry_that_cannot_be_read_holds_up_no_other_one(mode: Mode) {
    let fixture = Fixture::new(mode).await;
    let id = fixture.conversation(1, ["one", "two", "three"].map(str::to_owned)).await;
    fixture.execute("UPDATE entries SET content = '{' WHERE sequence = 2").await;
    fixture.round().await;
    assert!(fixture.found("two").await.is_empty());
    assert_eq!(fixture.found("three").await, [(id, 3)]);
}

async fn x2_a_contact_that_an_older_binary_wrote_is_indexed(mode: Mode) {
    let fixture = Fixture::new(mode).await;
    let mut contact = Contact::new(Uuid::from_u128(5), ACCOUNT, fixture.clock.now());
    contact.name = "Ada Lovelace".into();
    let mut tx = fixture.db().begin().await.unwrap();
    assert_eq!(contacts::insert(&mut tx, &contact).await.unwrap(), None);
    tx.commit().await.unwrap();
    let ada = SearchQuery::parse("ada").unwrap();
    let grace = SearchQuery::parse("grace").unwrap();
    let found = async |query: &SearchQuery| {
        let read = fixture.db().read_for(ACCOUNT).await.unwrap();
        search::find_contacts(&read.conn(), ACCOUNT, query, None).await.unwrap().matches
    };
    assert_eq!(found(&ada).await, [contact.id]);
    fixture.execute("UPDATE contacts SET name = 'Grace', version = version + 1").await;
    fixture.round().await;
    assert_eq!((found(&ada).await, found(&grace).await), (Vec::new(), vec![contact.id]));
    assert!(contacts::list_without_words(fixture.db().read(), 10).await.unwrap().is_empty());
}
