//! The migrations of the database schema.

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
            // Names are stored in each database: they never change, also where the file has a better one.
            Box::new(Sql {
                name: "conversation_001_first",
                text: include_str!("001_conversations_contacts_and_channels.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_LEADER_AND_STREAM),
            Box::new(Sql {
                name: "conversation_002_row_level_security",
                text: include_str!("002_row_level_security.sql"),
            }),
            Box::new(Sql { name: "conversation_003_visitor_keys", text: include_str!("003_visitor_keys.sql") }),
            Box::new(Sql {
                name: "conversation_004_start_context_and_request_ids",
                text: include_str!("004_start_context_and_request_ids.sql"),
            }),
            Box::new(Sql {
                name: "conversation_005_external_ids_and_update_times",
                text: include_str!("005_external_ids_and_update_times.sql"),
            }),
            Box::new(frontdesk_audit::RECORDS),
            Box::new(Sql {
                name: "conversation_006_visitors_names_and_unusable_addresses",
                text: include_str!("006_visitors_names_and_unusable_addresses.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_REPUBLISHING),
            Box::new(Sql {
                name: "conversation_007_inbox_of_a_channel",
                text: include_str!("007_inbox_of_a_channel.sql"),
            }),
            Box::new(Sql {
                name: "conversation_008_anonymous_visitors",
                text: include_str!("008_anonymous_visitors.sql"),
            }),
            Box::new(Sql { name: "conversation_009_read_marks", text: include_str!("009_read_marks.sql") }),
            Box::new(Sql { name: "conversation_010_visitor_marks", text: include_str!("010_visitor_marks.sql") }),
            Box::new(Sql { name: "conversation_011_waiting_visitors", text: include_str!("011_waiting_visitors.sql") }),
            Box::new(Sql {
                name: "conversation_012_owners_and_languages_of_contacts",
                text: include_str!("012_owners_and_languages_of_contacts.sql"),
            }),
            Box::new(Sql { name: "conversation_013_inserts", text: include_str!("013_inserts.sql") }),
            Box::new(Sql {
                name: "conversation_014_times_of_read_marks",
                text: include_str!("014_times_of_read_marks.sql"),
            }),
            Box::new(Sql { name: "conversation_015_search_words", text: include_str!("015_search_words.sql") }),
            Box::new(Sql { name: "conversation_016_attachments", text: include_str!("016_attachments.sql") }),
            Box::new(Sql { name: "conversation_017_administrators", text: include_str!("017_administrators.sql") }),
            Box::new(Sql { name: "conversation_018_merged_contacts", text: include_str!("018_merged_contacts.sql") }),
            Box::new(Sql {
                name: "conversation_019_attachment_storage",
                text: include_str!("019_attachment_storage.sql"),
            }),
            Box::new(frontdesk_db::POLICIES),
            Box::new(Sql { name: "conversation_020_contact_words", text: include_str!("020_contact_words.sql") }),
            Box::new(Sql { name: "conversation_021_contact_jobs", text: include_str!("021_contact_jobs.sql") }),
            Box::new(Sql { name: "conversation_022_settings", text: include_str!("022_settings.sql") }),
            Box::new(Sql { name: "conversation_023_opening_hours", text: include_str!("023_opening_hours.sql") }),
            Box::new(Sql { name: "conversation_024_teams", text: include_str!("024_teams.sql") }),
            Box::new(Sql {
                name: "conversation_025_routing_policies_of_channels",
                text: include_str!("025_routing_policies_of_channels.sql"),
            }),
            Box::new(Sql { name: "conversation_026_contact_exports", text: include_str!("026_contact_exports.sql") }),
            Box::new(Sql { name: "conversation_027_queues", text: include_str!("027_queues.sql") }),
            Box::new(Sql {
                name: "conversation_028_routing_of_hand_offs",
                text: include_str!("028_routing_of_hand_offs.sql"),
            }),
            Box::new(frontdesk_db::ACCOUNT_STATES),
            Box::new(Sql { name: "conversation_029_account_jobs", text: include_str!("029_account_jobs.sql") }),
            Box::new(Sql { name: "conversation_032_team_marks", text: include_str!("032_team_marks.sql") }),
            Box::new(Sql {
                name: "conversation_033_contact_property_types",
                text: include_str!("033_contact_property_types.sql"),
            }),
            Box::new(Sql { name: "conversation_034_routing_policies", text: include_str!("034_routing_policies.sql") }),
            Box::new(Sql {
                name: "conversation_035_languages_of_transcripts",
                text: include_str!("035_languages_of_transcripts.sql"),
            }),
            Box::new(frontdesk_outbox::OUTBOX_PROGRESS),
            Box::new(Sql {
                name: "conversation_036_conversations_of_contacts",
                text: include_str!("036_conversations_of_contacts.sql"),
            }),
        ]
    }
}
