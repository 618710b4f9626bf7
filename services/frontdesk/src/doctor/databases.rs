//! The databases: reachable, of a version that is known, with their schema, a role of their own, and row-level security.

use frontdesk_clock::Clock;
use frontdesk_db::{Db, DbErr, PostgresInspection};

use super::Finding;
use crate::{Service, Settings, databases::missing_file};

/// Oldest major version of PostgreSQL that Frontdesk was run with.
const OLDEST_POSTGRES: i32 = 15;

/// A service's database.
pub(super) struct Database {
    pub(super) service: Service,
    /// Or why it is not looked at.
    pub(super) opened: Result<Db, Finding>,
}

impl Database {
    /// Its setting, such as `databases.conversation`.
    pub(super) fn subject(&self) -> String {
        format!("databases.{}", self.service.setting())
    }
}

/// Prepares the connections. PostgreSQL is connected to at the first question.
pub(super) async fn open(settings: &Settings, services: &[Service], clock: &Clock) -> Vec<Database> {
    let mut databases = Vec::new();
    for service in services {
        databases.push(Database { service: *service, opened: open_one(settings, *service, clock).await });
    }
    databases
}

async fn open_one(settings: &Settings, service: Service, clock: &Clock) -> Result<Db, Finding> {
    let (database, subject) = (settings.database(service), format!("databases.{}", service.setting()));
    if let Err(error) = database.url.check() {
        return Err(Finding::failure(format!("{subject}.url"), error.to_string(), "correct the address"));
    }
    if let Some(file) = missing_file(settings, service) {
        let reason = format!("there is no file {} yet: the first start creates it", file.display());
        return Err(Finding::skipped(subject, reason));
    }
    let unusable = "check the address, the file and its permissions";
    Db::connect(&database, clock).await.map_err(|error| Finding::failure(subject, error.to_string(), unusable))
}

pub(super) async fn check(settings: &Settings, databases: &[Database]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for database in databases {
        match &database.opened {
            Ok(db) => findings.extend(check_one(settings, database, db).await),
            Err(finding) => findings.push(finding.clone()),
        }
    }
    findings
}

async fn check_one(settings: &Settings, database: &Database, db: &Db) -> Vec<Finding> {
    let subject = database.subject();
    let unreachable = |error: DbErr| {
        let wrong = format!("it cannot be reached, or refuses the connection: {error}");
        let remedy = format!("start its server, and check host, user, password and database in {subject}.url");
        vec![Finding::failure(&subject, wrong, remedy)]
    };
    match db.shares_sessions().await {
        Ok(false) => {}
        Ok(true) => {
            let wrong = "a connection pooler gives one session of PostgreSQL to several connections";
            let remedy = "set its pool_mode to session (PgBouncer), or name the PostgreSQL server itself";
            return vec![Finding::failure(&subject, wrong, remedy)];
        }
        Err(error) => return unreachable(error),
    }
    let found = match db.inspect().await {
        Ok(found) => found,
        Err(error) => return unreachable(error),
    };
    let pending = match database.service.definition().pending_migrations(db).await {
        Ok(pending) => pending,
        Err(error) => return unreachable(error),
    };
    let mut problems = Vec::new();
    if !pending.is_empty() {
        let wrong = format!("its schema lacks {}", pending.join(", "));
        problems.push(match settings.is_distributed() {
            true => Finding::failure(&subject, wrong, "run `frontdesk migrate` with these settings"),
            false => Finding::warning(&subject, wrong, "start this version, which adds it"),
        });
    }
    let isolation = match &found.postgres {
        Some(postgres) => {
            problems.extend(check_postgres(&subject, &found.version, postgres));
            format!(", role {}, every table with an account restricted to it", postgres.role)
        }
        None => String::new(),
    };
    if problems.is_empty() {
        problems.push(Finding::ok(subject, format!("{}, schema up to date{isolation}", found.version)));
    }
    problems
}

fn check_postgres(subject: &str, version: &str, postgres: &PostgresInspection) -> Vec<Finding> {
    let PostgresInspection { role, unrestricted_tables, forbidden_tables, .. } = postgres;
    let mut problems = Vec::new();
    if postgres.major_version < OLDEST_POSTGRES {
        let remedy = format!("upgrade the server to {OLDEST_POSTGRES} or later");
        problems.push(Finding::warning(
            subject,
            format!("{version} is older than what Frontdesk was run with"),
            remedy,
        ));
    }
    if postgres.bypasses_row_level_security {
        let wrong =
            format!("the role {role} is a superuser or has BYPASSRLS, so that row-level security does not apply to it");
        problems.push(Finding::failure(subject, wrong, "give the service an ordinary role that owns its database"));
    }
    if !unrestricted_tables.is_empty() {
        let wrong = format!("row-level security does not keep accounts apart in {}", unrestricted_tables.join(", "));
        let remedy = "as the owner of each table: ALTER TABLE … ENABLE ROW LEVEL SECURITY, ALTER TABLE … FORCE ROW LEVEL \
                      SECURITY; its one policy is one_account, as another table has it";
        problems.push(Finding::failure(subject, wrong, remedy));
    }
    if !forbidden_tables.is_empty() {
        let wrong = format!("the role {role} may not read or write {}", forbidden_tables.join(", "));
        let remedy = format!("let the role own its database: ALTER TABLE … OWNER TO {role}");
        problems.push(Finding::failure(subject, wrong, remedy));
    }
    problems
}
