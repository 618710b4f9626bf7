//! Tenant isolation on PostgreSQL: row-level security shows a transaction only the rows of its account, also when a statement
//! has no filter for it. SQLite has no row-level security.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};

use crate::{AccountId, Connection, Sql};

/// The session setting that holds the account whose rows the session sees. Unset: none.
pub(crate) const ACCOUNT: &str = "frontdesk.account";

/// The value of [`ACCOUNT`] for the server's own work: rows of all accounts.
pub(crate) const ALL_ACCOUNTS: &str = "*";

/// The condition of the policy. PostgreSQL evaluates a subquery without references once for each statement instead of for each row,
/// usually when a row needs it, but at once when it looks again at a row that another transaction changed. So the cast must not fail for
/// any value of the setting.
///
/// CASE, because the planner estimates that hardly any row passes an OR of comparisons: it would read and sort all rows of an
/// account to find a page of them.
const CONDITION: &str = "CASE (SELECT current_setting('frontdesk.account', true)) WHEN '*' THEN true \
    ELSE account_id = (SELECT nullif(nullif(current_setting('frontdesk.account', true), ''), '*')::uuid) END";

/// Enables row-level security on a table, for its owner too.
const ENABLE: &str = "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY; ALTER TABLE {table} FORCE ROW LEVEL SECURITY; \
    CREATE POLICY one_account ON {table} USING ({condition});";

/// Replaces the condition of each policy.
const ALTER_ALL: &str = "DO $do$ DECLARE name regclass; BEGIN \
    FOR name IN SELECT pg_class.oid FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid \
    WHERE polname = 'one_account' AND relnamespace = current_schema()::regnamespace LOOP \
    EXECUTE format('ALTER POLICY one_account ON %s USING (%s)', name, $condition${condition}$condition$); \
    END LOOP; END $do$;";

/// Brings the policies of older releases, which read the setting for each row, to the condition of this one. An older binary
/// still runs.
pub const POLICIES: Sql =
    Sql { name: "row_level_security_001_setting_read_once", text: "{row_level_security_conditions}" };

/// The text of a migration with each `{row_level_security table}` and `{row_level_security_conditions}` replaced by its statements, or
/// removed when the database has no row-level security.
pub(crate) fn expand(text: &str, supported: bool) -> String {
    let statements =
        |template: &str| if supported { template.replace("{condition}", CONDITION) } else { String::new() };
    let text = text.replace("{row_level_security_conditions}", &statements(ALTER_ALL));
    let mut parts = text.split("{row_level_security ");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (table, rest) = part.split_once('}').unwrap_or((part, ""));
        expanded.push_str(&statements(ENABLE).replace("{table}", table));
        expanded.push_str(rest);
    }
    expanded
}

/// The first statements of a transaction that writes for one account. They are sent together, as those of the reading ones.
pub(crate) fn write_for(account: AccountId) -> String {
    format!("BEGIN; SET LOCAL {ACCOUNT} = '{account}'")
}

/// The first statements of a transaction that reads for one account.
pub(crate) fn read_for(account: AccountId) -> String {
    format!("BEGIN READ ONLY; SET LOCAL {ACCOUNT} = '{account}'")
}

/// Reads of one account, made by [`Db::read_for`](crate::Db::read_for); dropping it ends them. On PostgreSQL it holds a
/// connection in a transaction, so hold it while querying only: call no other service and begin no second one meanwhile.
#[derive(Debug)]
pub struct Read(pub(crate) Connection);

impl Read {
    /// For queries.
    pub fn conn(&self) -> &Connection {
        &self.0
    }
}

/// True: row-level security does not apply to the role that connects.
pub(crate) async fn is_bypassed(conn: &DatabaseConnection) -> Result<bool, DbErr> {
    let sql = "SELECT rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = current_user";
    let role = conn.query_one_raw(sea_orm::Statement::from_string(conn.get_database_backend(), sql)).await?;
    role.map_or(Ok(false), |role| role.try_get("", "bypasses"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_a_migration_enables_row_level_security_where_the_database_has_it() {
        let text = "CREATE TABLE a (x); {row_level_security a} {row_level_security b}";
        assert_eq!(expand(text, false), "CREATE TABLE a (x);  ");
        assert_eq!(expand(POLICIES.text, false), "");
        let altered = expand(POLICIES.text, true);
        assert!(altered.contains(CONDITION) && !altered.contains('{'), "{altered}");
        let expanded = expand(text, true);
        for table in ["a", "b"] {
            for statement in ["ENABLE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"] {
                assert!(expanded.contains(&format!("ALTER TABLE {table} {statement};")), "{expanded}");
            }
            let policy = format!("CREATE POLICY one_account ON {table} USING ({CONDITION});");
            assert!(expanded.contains(&policy), "{expanded}");
        }
    }
}
