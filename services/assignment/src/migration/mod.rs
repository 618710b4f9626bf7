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
                name: "assignment_001_agents_and_assignments",
                text: include_str!("001_agents_and_assignments.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_LEADER_AND_STREAM),
            Box::new(Sql {
                name: "assignment_002_row_level_security",
                text: include_str!("002_row_level_security.sql"),
            }),
            Box::new(frontdesk_audit::RECORDS),
            Box::new(Sql { name: "assignment_003_times_of_agents", text: include_str!("003_times_of_agents.sql") }),
            Box::new(frontdesk_outbox::OUTBOX_REPUBLISHING),
            Box::new(frontdesk_db::POLICIES),
            Box::new(Sql { name: "assignment_004_opening_hours", text: include_str!("004_opening_hours.sql") }),
            Box::new(Sql {
                name: "assignment_005_teams_and_availability",
                text: include_str!("005_teams_and_availability.sql"),
            }),
            Box::new(Sql { name: "assignment_007_routing", text: include_str!("007_routing.sql") }),
            Box::new(Sql { name: "assignment_009_queue_places", text: include_str!("009_queue_places.sql") }),
            Box::new(Sql {
                name: "assignment_010_conversations_that_agents_give_back",
                text: include_str!("010_conversations_that_agents_give_back.sql"),
            }),
            Box::new(Sql {
                name: "assignment_011_queues_of_teams_and_messages_outside_of_hours",
                text: include_str!("011_queues_of_teams_and_messages_outside_of_hours.sql"),
            }),
            Box::new(Sql {
                name: "assignment_013_indexes_of_long_queues",
                text: include_str!("013_indexes_of_long_queues.sql"),
            }),
            Box::new(frontdesk_db::ACCOUNT_STATES),
            Box::new(Sql {
                name: "assignment_015_ends_of_periods_and_administrators",
                text: include_str!("015_ends_of_periods_and_administrators.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_PROGRESS),
        ]
    }
}
