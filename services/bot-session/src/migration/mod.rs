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
                name: "bot_session_001_bots_and_sessions",
                text: include_str!("001_bots_and_sessions.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_LEADER_AND_STREAM),
            Box::new(Sql { name: "bot_session_002_one_time_to_ask", text: include_str!("002_one_time_to_ask.sql") }),
            Box::new(Sql {
                name: "bot_session_003_row_level_security",
                text: include_str!("003_row_level_security.sql"),
            }),
            Box::new(frontdesk_audit::RECORDS),
            Box::new(Sql {
                name: "bot_session_004_times_of_changes_and_sessions_by_status",
                text: include_str!("004_times_of_changes_and_sessions_by_status.sql"),
            }),
            Box::new(Sql {
                name: "bot_session_005_flows_questions_and_failed_checks",
                text: include_str!("005_flows_questions_and_failed_checks.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_REPUBLISHING),
            Box::new(Sql {
                name: "bot_session_006_checks_after_the_deadline",
                text: include_str!("006_checks_after_the_deadline.sql"),
            }),
            Box::new(frontdesk_db::POLICIES),
            Box::new(Sql { name: "bot_session_008_engines", text: include_str!("008_engines.sql") }),
            Box::new(Sql { name: "bot_session_009_reminders", text: include_str!("009_reminders.sql") }),
            Box::new(Sql {
                name: "bot_session_012_answers_and_choices_of_sessions",
                text: include_str!("012_answers_and_choices_of_sessions.sql"),
            }),
            Box::new(Sql { name: "bot_session_013_opening_hours", text: include_str!("013_opening_hours.sql") }),
            Box::new(Sql { name: "bot_session_014_owed_answers", text: include_str!("014_owed_answers.sql") }),
            Box::new(frontdesk_db::ACCOUNT_STATES),
            Box::new(frontdesk_outbox::OUTBOX_PROGRESS),
            Box::new(Sql { name: "bot_session_015_claims", text: include_str!("015_claims.sql") }),
        ]
    }
}
