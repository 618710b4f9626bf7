//! Migrations that an upgrade brought, and what they mean for the way back.

use sea_orm::DbErr;

use crate::{cluster::Service, final_state::Databases};

/// Migrations after which the binary before them does not run. All others only add.
const WITHOUT_WAY_BACK: [&str; 5] = [
    "conversation_002_row_level_security",
    "assignment_002_row_level_security",
    "bot_session_002_one_time_to_ask",
    "bot_session_003_row_level_security",
    "notification_002_row_level_security",
];

/// Statements of the way back behind a migration, for each database that had it, once no newer replica runs (ADR 0060).
const AFTER_THE_WAY_BACK: [(&str, &str); 1] = [(
    "outbox_004_progress",
    "UPDATE outbox_events SET published_at = NULL WHERE position > (SELECT settled_to FROM outbox_progress)",
)];

/// A migration that the database of a service has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) service: Service,
    pub(super) name: String,
}

impl Applied {
    /// Whether the binary before the migration runs after it.
    pub(super) fn has_way_back(&self) -> bool {
        !WITHOUT_WAY_BACK.contains(&self.name.as_str())
    }
}

/// The migrations that the databases have had.
pub(super) async fn applied(databases: &Databases) -> Result<Vec<Applied>, DbErr> {
    let mut applied = Vec::new();
    for service in Service::ALL {
        for row in databases.rows(service, "SELECT version FROM seaql_migrations ORDER BY version").await? {
            applied.push(Applied { service, name: row.try_get("", "version")? });
        }
    }
    Ok(applied)
}

/// Runs the statements of the way back behind these migrations. No newer replica may run.
pub(super) async fn finish_way_back(databases: &Databases, migrations: &[Applied]) -> Result<(), DbErr> {
    for migration in migrations {
        for (_, sql) in AFTER_THE_WAY_BACK.iter().filter(|(name, _)| *name == migration.name) {
            databases.execute(migration.service, sql).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn entries(folder: &Path) -> Vec<PathBuf> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }

    /// The comment at the beginning of a migration.
    fn comment(text: &str) -> String {
        let lines = text.lines().map_while(|line| line.strip_prefix("--"));
        lines.map(str::trim).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_migration_says_whether_the_older_binary_runs_and_those_after_which_it_does_not_are_listed() {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
        let mut without = Vec::new();
        for service in Service::ALL {
            let files = entries(&services.join(service.name()).join("src/migration"));
            for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "sql")) {
                let comment = comment(&std::fs::read_to_string(file).unwrap());
                let (runs, first) = (comment.contains("still runs"), comment.contains("there is no older binary"));
                let ends = comment.contains("stop it first") || comment.contains("does not run");
                let one = [runs, first, ends].into_iter().filter(|said| *said).count() == 1;
                assert!(one, "{}: its comment says whether the older binary still runs", file.display());
                if ends {
                    without.push(format!("{}_{}", service.database(), file.file_stem().unwrap().to_str().unwrap()));
                }
            }
        }
        without.sort();
        let mut listed = WITHOUT_WAY_BACK.map(str::to_owned);
        listed.sort();
        assert_eq!(without, listed);
    }
}
