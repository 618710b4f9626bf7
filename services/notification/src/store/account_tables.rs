//! The tables with rows of accounts, for the export and the erasure of an account (rule X2). `account_states` is not among them: it is the
//! record of the account's end.

use frontdesk_db::{AccountTable, ChildTable};

/// In the order in which they are exported and erased: deliveries first, so that no mail and no event is sent any more.
pub(crate) const ACCOUNT_TABLES: &[AccountTable] = &[
    AccountTable::new("deliveries", &["created_at", "id"]).with(OF_DELIVERIES),
    AccountTable::new("webhook_deliveries", &["created_at", "id"]),
    AccountTable::new("agent_mails", &["agent_id", "conversation_id", "due_at", "delivery_id"]),
    AccountTable::new("transcript_decisions", &["created_at", "id"]),
    // A code can be found from its hash, and would verify an address of somebody else once the end is cancelled.
    AccountTable::new("senders", &["id"]).without(&["code_hash"]),
    AccountTable::new("notification_preferences", &["agent_id"]),
    AccountTable::new("suppressions", &["id"]),
    AccountTable::new("transcript_templates", &["language"]),
    AccountTable::new("webhook_endpoints", &["id"]),
    AccountTable::new("webhook_event_orders", &["source", "aggregate_id"]).not_exported(),
    AccountTable::new("mail_accounts", &[]).not_exported(),
    AccountTable::new("delivery_retries", &["created_at", "id"]).not_exported(),
    AccountTable::new("erased_ids", &["id"]).not_exported(),
    // Hashes of codes that are valid for a day.
    AccountTable::new("address_codes", &["subject"]).not_exported(),
];

// The composed mails are large, and made from what is exported.
const OF_DELIVERIES: &[ChildTable] = &[ChildTable::new("delivery_mails", "delivery_id", &[]).not_exported()];
