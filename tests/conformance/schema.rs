//! Migrations, and row-level security of every table of the services (rule S2).

use frontdesk::{Server, Service, Settings};
use frontdesk_db::{DatabaseUrl, Sql, migrate, pending_migrations};
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

#[tokio::test]
async fn s2_every_table_with_an_account_has_row_level_security() {
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
    let mut tables = 0;
    for url in urls {
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
