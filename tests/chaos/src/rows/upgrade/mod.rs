//! Upgrades from the binary of an older commit to the present one, and back: with all replicas under load (R16), and of a data folder
//! while the process is killed.

mod embedded;
mod migrations;
mod replicas;
mod sqlite;
mod tables;

use std::{path::Path, time::Instant};

use super::{AccountKind, Failure, Report, Row, RowDefinition, Run, Verdict};
use crate::cluster::Cluster;

const REPLICAS: RowDefinition =
    RowDefinition::new("R16_upgrade", 2, AccountKind::WithMail, false, |context| Box::pin(replicas::run(context)));

/// Name of the row about a data folder.
const SQLITE: &str = "R16_upgrade_sqlite";

impl Run {
    /// Runs the rows of an upgrade from an older binary, or only those in `only`.
    pub async fn run_upgrade(mut self, older: &Path, only: &[String]) -> Report {
        let is_selected = |name: &str| only.is_empty() || only.iter().any(|one| one.eq_ignore_ascii_case(name));
        if is_selected(REPLICAS.name) {
            println!("{} …", REPLICAS.name);
            let began = Instant::now();
            let result = self.upgrade_replicas(older).await;
            self.add_to_report(REPLICAS.name, began, result);
            self.cluster = None;
        }
        if is_selected(SQLITE) {
            println!("{SQLITE} …");
            let began = Instant::now();
            let result = sqlite::run(self.size, self.seed, older, &self.folder.join(SQLITE)).await;
            self.add_to_report(SQLITE, began, result);
        }
        self.report
    }

    async fn upgrade_replicas(&mut self, older: &Path) -> Result<(Row, Verdict), Failure> {
        self.cluster = Some(Cluster::start_older(&self.folder.join("installation-1"), self.seed, older).await?);
        self.run_row(&REPLICAS).await
    }
}
