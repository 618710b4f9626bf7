//! The tables with rows of accounts, for the export and the erasure of an account (rule X2). `account_states` is not among them: it is the
//! record of the account's end.

use frontdesk_db::AccountTable;

/// In the order in which they are exported and erased: the queue first, so that no conversation is assigned any more.
pub(crate) const ACCOUNT_TABLES: &[AccountTable] = &[
    AccountTable::new("routing_queue", &["conversation_id"]),
    AccountTable::new("routing_accounts", &[]),
    AccountTable::new("agent_returns", &["agent_id"]),
    AccountTable::new("assignments", &["conversation_id", "epoch"]),
    AccountTable::new("assignment_closes", &["conversation_id", "epoch"]),
    AccountTable::new("administrators", &["subject"]),
    AccountTable::new("conversation_owners", &["conversation_id"]),
    AccountTable::new("routing_turns", &["agent_id"]),
    AccountTable::new("queue_paces", &["policy_id", "team_id"]),
    AccountTable::new("routing_policies", &["id"]),
    AccountTable::new("agent_statuses", &["agent_id"]),
    AccountTable::new("team_members", &["team_id", "agent_id"]),
    AccountTable::new("teams", &["id"]),
    AccountTable::new("agents", &["id"]),
    AccountTable::new("opening_hours", &["id"]),
];
