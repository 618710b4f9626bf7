//! The tables with rows of accounts, for the export and the erasure of an account (rule X2). `account_states` is not among them: it is the
//! record of the account's end.

use frontdesk_db::{AccountTable, ChildTable};

/// In the order in which they are exported and erased: sessions first, so that no bot says anything any more.
pub(crate) const ACCOUNT_TABLES: &[AccountTable] = &[
    AccountTable::new("bot_sessions", &["started_at", "id"]),
    AccountTable::new("engine_turns", &["session_id", "id"]),
    AccountTable::new("bots", &["name", "id"]).with(OF_BOTS),
    // Copies of what the assignment service exports.
    AccountTable::new("opening_hours", &["id"]).not_exported(),
];

const OF_BOTS: &[ChildTable] = &[ChildTable::new("bot_flows", "bot_id", &["version"])];
