//! The wall between accounts on PostgreSQL: row-level security shows each transaction the rows of the account that it is for,
//! also to a statement that forgets to ask for it. SQLite has none.

use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbErr, prelude::Uuid};

/// Names the account whose rows a session sees. Unset: none.
pub(crate) const ACCOUNT: &str = "frontdesk.account";

/// Its value for the suite's own work: every account.
pub(crate) const EVERY_ACCOUNT: &str = "*";

/// Puts a table behind the wall, its owner too. Part of released migrations: it never changes.
///
/// CASE, because the planner takes an OR of comparisons for one that hardly a row passes: it would read and sort all of an
/// account to find a page of it. As text, because an empty setting is no UUID, and an error instead of nothing.
const WALL: &str = "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
    CREATE POLICY one_account ON {table} USING (CASE current_setting('frontdesk.account', true) WHEN '*' THEN true \
    ELSE account_id::text = current_setting('frontdesk.account', true) END);";

/// The text of a migration with each `{wall table}` spelt out, or left out where there are no walls.
pub(crate) fn walled(text: &str, walls: bool) -> String {
    let mut parts = text.split("{wall ");
    let mut spelt = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (table, rest) = part.split_once('}').unwrap_or((part, ""));
        if walls {
            spelt.push_str(&WALL.replace("{table}", table));
        }
        spelt.push_str(rest);
    }
    spelt
}

/// The first statement of a transaction that writes for one account.
pub(crate) fn write_for(account: Uuid) -> String {
    format!("SET LOCAL {ACCOUNT} = '{account}'")
}

/// The first statements of one that reads for one account: sent together.
pub(crate) fn read_for(account: Uuid) -> String {
    format!("SET TRANSACTION READ ONLY; {}", write_for(account))
}

/// Reads of one account, made by [`Db::read_for`](crate::Db::read_for). They end when it is dropped. On PostgreSQL it holds a
/// connection in a transaction: nothing is asked of others meanwhile, and no second one begun.
#[derive(Debug)]
pub struct Read(pub(crate) Inner);

#[derive(Debug)]
pub(crate) enum Inner {
    Pool(DatabaseConnection),
    Walled(DatabaseTransaction),
}

impl Read {
    /// For queries.
    pub fn conn(&self) -> DatabaseExecutor<'_> {
        match &self.0 {
            Inner::Pool(pool) => pool.into(),
            Inner::Walled(tx) => tx.into(),
        }
    }
}

/// True: the role that connects is held by no row-level security.
pub(crate) async fn is_passed(conn: &DatabaseConnection) -> Result<bool, DbErr> {
    let sql = "SELECT rolsuper OR rolbypassrls AS passes FROM pg_roles WHERE rolname = current_user";
    let role = conn.query_one_raw(sea_orm::Statement::from_string(conn.get_database_backend(), sql)).await?;
    role.map_or(Ok(false), |role| role.try_get("", "passes"))
}
