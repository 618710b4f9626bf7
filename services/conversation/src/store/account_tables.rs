//! The tables with rows of accounts, for the export and the erasure of an account (rule X2). `account_jobs` and `account_states` are not
//! among them: they are the record of the account's end.

use frontdesk_db::{AccountTable, ChildTable};

/// In the order in which they are exported and erased: conversations first, so that nothing is said in one any more.
pub(crate) const ACCOUNT_TABLES: &[AccountTable] = &[
    AccountTable::new("conversations", &["last_activity_at", "id"]).with(OF_CONVERSATIONS),
    AccountTable::new("attachments", &["id"]),
    AccountTable::new("attachment_storage", &[]),
    AccountTable::new("tickets", &["created_at", "id"]),
    AccountTable::new("contacts", &["created_at", "id"]),
    AccountTable::new("contact_emails", &["address"]),
    AccountTable::new("merged_contacts", &["source_id"]),
    AccountTable::new("visitors", &["id"]),
    AccountTable::new("contact_jobs", &["created_at", "id"]).with(OF_CONTACT_JOBS),
    AccountTable::new("channels", &["name", "id"]).with(OF_CHANNELS),
    AccountTable::new("inserts", &["title", "id"]),
    AccountTable::new("account_settings", &[]),
    AccountTable::new("administrators", &["subject"]),
    AccountTable::new("read_marks", &["agent_id", "conversation_id"]),
    // Made from the above.
    AccountTable::new("search_words", &["word", "conversation_id", "sequence"]).not_exported(),
    AccountTable::new("contact_search_words", &["word", "contact_id"]).not_exported(),
    // Copies of what other services export.
    AccountTable::new("agents", &["id"]).not_exported(),
    AccountTable::new("bots", &["id"]).not_exported(),
    AccountTable::new("opening_hours", &["id"]).not_exported(),
    AccountTable::new("routing_policies", &["id"]).not_exported(),
    AccountTable::new("teams", &["id"]).not_exported(),
    AccountTable::new("team_members", &["team_id", "agent_id"]).not_exported(),
    AccountTable::new("queued_conversations", &["changed_at", "conversation_id"]).not_exported(),
    AccountTable::new("queued_conversation_teams", &["team_id", "conversation_id"]).not_exported(),
];

const OF_CONVERSATIONS: &[ChildTable] = &[
    ChildTable::new("entries", "conversation_id", &["sequence"]),
    ChildTable::new("closes", "conversation_id", &["close_number"]),
    ChildTable::new("visitor_marks", "conversation_id", &[]),
    ChildTable::new("search_marks", "conversation_id", &[]).not_exported(),
];

const OF_CONTACT_JOBS: &[ChildTable] =
    &[ChildTable::new("contact_job_conversations", "job_id", &["conversation_id"]).not_exported()];

const OF_CHANNELS: &[ChildTable] = &[ChildTable::new("visitor_keys", "channel_id", &["number"])];
