//! Migrations, and row-level security of every table of the services (rule S2).

use std::collections::BTreeSet;

use frontdesk::{Server, Service, Settings};
use frontdesk_clock::Clock;
use frontdesk_db::{
    AccountId, AccountRowCursor, AccountTable, DatabaseUrl, Db, DbSettings, Sql, erase_account_rows, list_account_rows,
    migrate, pending_migrations,
};
use frontdesk_testkit::{Mode, on_both_modes, servers};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::backend::Backend;

on_both_modes!(i1_a_migration_that_ended_in_its_middle_is_done_by_the_next_start);

/// A migration that ends in its middle, as when the process is killed there, and what it should have been.
struct Interrupted;
struct Whole;

impl MigratorTrait for Interrupted {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let text = "CREATE TABLE things (id INTEGER); SELECT nothing FROM nowhere";
        vec![Box::new(Sql { name: "001_things", text })]
    }
}

impl MigratorTrait for Whole {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Sql { name: "001_things", text: "CREATE TABLE things (id INTEGER)" })]
    }
}

async fn i1_a_migration_that_ended_in_its_middle_is_done_by_the_next_start(mode: Mode) {
    let backend = Backend::new(mode).await;
    let db = backend.empty_db().await;
    migrate::<Interrupted>(&db).await.unwrap_err();
    let tx = db.begin().await.unwrap();
    assert!(tx.conn().execute_unprepared("SELECT count(*) FROM things").await.is_err(), "nothing is left of it");
    drop(tx);
    migrate::<Whole>(&db).await.unwrap();
    migrate::<Whole>(&db).await.unwrap();
    assert!(pending_migrations::<Whole>(&db).await.unwrap().is_empty());
}

/// Tables with an account, and whether exactly one policy restricts every role, the owner included.
const TABLES: &str = "SELECT relname, relrowsecurity AND relforcerowsecurity AND (
      SELECT count(*) = 1 AND bool_and(polname = 'one_account' AND polcmd = '*' AND polroles = '{0}' AND polwithcheck IS NULL
          AND pg_get_expr(polqual, polrelid) LIKE '%ELSE (account_id = ( SELECT (NULLIF(NULLIF(current_setting(%')
      FROM pg_policy WHERE polrelid = pg_class.oid) AS restricted
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'account_id' AND NOT attisdropped
    WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace ORDER BY relname";

/// The databases of all services on PostgreSQL, migrated.
async fn migrated() -> Vec<(Service, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings { data_folder: folder.path().to_owned(), ..Settings::default() };
    let of = &mut settings.databases;
    let mut urls = Vec::new();
    for database in [&mut of.conversation, &mut of.assignment, &mut of.bot_session, &mut of.notification] {
        urls.push(servers::postgres_database().await);
        database.url = DatabaseUrl(urls[urls.len() - 1].clone());
    }
    // In embedded mode the databases are migrated when they are opened.
    drop(Server::open(settings, &Service::ALL).await.unwrap());
    Service::ALL.into_iter().zip(urls).collect()
}

/// Tables of libraries that the erasure of an account knows.
const OF_LIBRARIES: [&str; 2] = ["outbox_events", "requests"];
/// Tables that keep the record of an account's end, and the audit log for its time.
const KEPT: [&str; 3] = ["account_jobs", "account_states", "audit_records"];

#[tokio::test]
async fn x2_the_erasure_of_an_account_knows_every_table_with_an_account() {
    for (service, url) in migrated().await {
        let definition = service.definition();
        let db = sea_orm::Database::connect(&url).await.unwrap();
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, TABLES)).await.unwrap();
        let found: BTreeSet<String> = rows.iter().map(|row| row.try_get("", "relname").unwrap()).collect();
        let listed: Vec<&str> = definition.account_tables.iter().flat_map(AccountTable::names).collect();
        let known: BTreeSet<String> = listed.iter().chain(&OF_LIBRARIES).map(|name| (*name).to_owned()).collect();
        assert_eq!(known.len(), listed.len() + OF_LIBRARIES.len(), "{service:?} lists a table twice");
        let unknown: Vec<_> = found.difference(&known).filter(|name| !KEPT.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "add these tables of {service:?} to store/account_tables.rs: {unknown:?}");
        let gone: Vec<_> = known.difference(&found).collect();
        assert!(gone.is_empty(), "{service:?} has no such tables: {gone:?}");
    }
}

#[tokio::test]
async fn x2_every_listed_table_can_be_exported_and_erased() {
    let account = AccountId(frontdesk_testkit::new_id());
    for (service, url) in migrated().await {
        let settings = DbSettings { url: DatabaseUrl(url), max_connections: None };
        let db = Db::connect(&settings, &Clock::system()).await.unwrap();
        for table in service.definition().account_tables {
            let tables = [AccountTable { is_exported: true, ..*table }];
            let read = db.read_for(account).await.unwrap();
            let page = list_account_rows(&read.conn(), account, &tables, AccountRowCursor::default()).await;
            assert!(page.unwrap_or_else(|error| panic!("{}: {error}", table.name)).records.is_empty());
            drop(read);
            let tx = db.begin_for(account).await.unwrap();
            assert_eq!(erase_account_rows(&tx, account, &tables).await.unwrap(), 0, "{}", table.name);
        }
    }
}

#[tokio::test]
async fn s2_every_table_with_an_account_has_row_level_security() {
    let mut tables = 0;
    for (_, url) in migrated().await {
        let db = sea_orm::Database::connect(url).await.unwrap();
        for table in db.query_all_raw(Statement::from_string(DbBackend::Postgres, TABLES)).await.unwrap() {
            let name: String = table.try_get("", "relname").unwrap();
            assert!(
                table.try_get::<bool>("", "restricted").unwrap(),
                "{name} needs {{row_level_security {name}}} in a migration"
            );
            tables += 1;
        }
    }
    assert!(tables >= 27, "{tables}");
}
