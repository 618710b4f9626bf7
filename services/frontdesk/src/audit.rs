//! `frontdesk audit`: the administrative calls of an account, from every service's database, newest first. The suite may run
//! meanwhile.

use std::time::Duration;

use frontdesk::{Service, Settings, connect_databases};
use frontdesk_audit::Record;
use frontdesk_clock::Clock;
use uuid::Uuid;

use crate::Failure;

#[derive(clap::Args)]
pub(crate) struct Audit {
    /// The account's UUID.
    #[arg(long)]
    account: Uuid,
    /// Only calls of the time since, such as 90m, 24h or 30days.
    #[arg(long, default_value = "24h", value_parser = humantime::parse_duration)]
    since: Duration,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(settings: &Settings, audit: Audit) -> Result<(), Failure> {
    let folder = &settings.data_folder;
    if !folder.is_dir() {
        return Err(format!(
            "there is no data folder {}: run this with the settings of the suite (data_folder, --config)",
            folder.display()
        )
        .into());
    }
    let clock = frontdesk_clock::development::clock_from_file(&folder.join("clock-offset"))?;
    let mut records: Vec<(Service, Record)> = Vec::new();
    for (service, db) in connect_databases(settings, &Service::ALL, &clock).await? {
        let found = frontdesk_audit::list(&db, frontdesk_db::AccountId(audit.account), audit.since, audit.limit).await.map_err(|error| {
            format!("the audit trail of the {} service cannot be read: {error}. If its table is not there: `frontdesk migrate` makes it", service.name())
        })?;
        records.extend(found.into_iter().map(|record| (service, record)));
    }
    records.sort_by_key(|(_, record)| std::cmp::Reverse((record.at, record.id)));
    records.truncate(usize::try_from(audit.limit)?);
    for (service, record) in &records {
        println!("{}", if audit.json { json(*service, audit.account, record) } else { line(record) });
    }
    if records.is_empty() && !audit.json {
        let since = humantime::format_duration(audit.since);
        println!("There are no records of account {} of the last {since}.", audit.account);
    }
    Ok(())
}

fn line(record: &Record) -> String {
    let time = record.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let method = record.method.rsplit('.').next().unwrap_or_default();
    let outcome = record.outcome.as_deref().unwrap_or("(running, or its end is unknown)");
    let ids: Vec<String> = record.resources.iter().map(|(name, id)| format!("{name}={id}")).collect();
    // The platform chose the actor's word: it must not command the terminal.
    format!(
        "{time}  {}  {method}  {outcome}  {}  trace {}",
        record.actor.escape_debug(),
        ids.join(" "),
        record.trace_id
    )
}

fn json(service: Service, account: Uuid, record: &Record) -> String {
    serde_json::json!({
        "id": record.id,
        "time": record.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
        "service": service.name(),
        "account": account,
        "actor": record.actor,
        "method": record.method,
        "resources": record.resources,
        "trace_id": record.trace_id,
        "outcome": record.outcome,
    })
    .to_string()
}
