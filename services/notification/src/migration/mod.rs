//! The migrations of the database schema. Their names are stored in databases and never change.

use frontdesk_db::Sql;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Migrations of the service, oldest first.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(frontdesk_outbox::OUTBOX),
            Box::new(frontdesk_idempotency::REQUESTS),
            Box::new(frontdesk_bus::DEAD_LETTERS),
            Box::new(Sql {
                name: "notification_001_decisions_deliveries_senders",
                text: include_str!("001_decisions_deliveries_senders.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_LEADER_AND_STREAM),
            Box::new(Sql {
                name: "notification_002_row_level_security",
                text: include_str!("002_row_level_security.sql"),
            }),
            Box::new(frontdesk_audit::RECORDS),
            Box::new(Sql { name: "notification_003_sender_times", text: include_str!("003_sender_times.sql") }),
            Box::new(Sql { name: "notification_004_mail_limits", text: include_str!("004_mail_limits.sql") }),
            Box::new(frontdesk_outbox::OUTBOX_REPUBLISHING),
            Box::new(Sql {
                name: "notification_005_retries_and_mailboxes",
                text: include_str!("005_retries_and_mailboxes.sql"),
            }),
            Box::new(frontdesk_db::POLICIES),
            Box::new(Sql { name: "notification_006_address_codes", text: include_str!("006_address_codes.sql") }),
            Box::new(Sql { name: "notification_007_erased_ids", text: include_str!("007_erased_ids.sql") }),
            Box::new(Sql { name: "notification_008_agent_mails", text: include_str!("008_agent_mails.sql") }),
            Box::new(Sql { name: "notification_010_suppressions", text: include_str!("010_suppressions.sql") }),
            Box::new(Sql { name: "notification_011_sender_headers", text: include_str!("011_sender_headers.sql") }),
            Box::new(Sql {
                name: "notification_012_transcript_templates",
                text: include_str!("012_transcript_templates.sql"),
            }),
            Box::new(Sql {
                name: "notification_014_recipient_domains",
                text: include_str!("014_recipient_domains.sql"),
            }),
            Box::new(frontdesk_db::ACCOUNT_STATES),
            Box::new(Sql { name: "notification_015_rows_of_accounts", text: include_str!("015_rows_of_accounts.sql") }),
            Box::new(frontdesk_outbox::OUTBOX_PROGRESS),
            Box::new(Sql {
                name: "notification_016_fewer_indexes_of_deliveries",
                text: include_str!("016_fewer_indexes_of_deliveries.sql"),
            }),
            Box::new(Sql { name: "notification_018_webhooks", text: include_str!("018_webhooks.sql") }),
        ]
    }
}
