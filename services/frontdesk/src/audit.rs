//! `frontdesk audit`: the administrative calls of an account, from every service's database, newest first. The server may run
//! meanwhile.

use std::time::Duration;

use frontdesk::{Service, Settings, connect_databases, dev, require_databases};
use frontdesk_audit::Record;
use frontdesk_db::AccountId;
use uuid::Uuid;

use crate::Failure;

#[derive(clap::Args)]
pub(crate) struct Audit {
    /// UUID of the account.
    #[arg(long, value_parser = crate::uuid)]
    account: Uuid,
    /// Age of the oldest call to list, such as 90m, 24h or 30days.
    #[arg(long, default_value = "24h", value_parser = crate::duration)]
    since: Duration,
    /// Maximum number of calls.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(settings: &Settings, audit: Audit) -> Result<(), Failure> {
    require_databases(settings, &Service::ALL)?;
    let clock = dev::clock(settings)?;
    let mut records: Vec<(Service, Record)> = Vec::new();
    for (service, db) in connect_databases(settings, &Service::ALL, &clock).await? {
        let found = frontdesk_audit::list(&db, AccountId(audit.account), audit.since, audit.limit).await.map_err(|error| {
            format!("the audit log of the {} service cannot be read: {error}. If its table is not there: `frontdesk migrate` makes it", service.name())
        })?;
        records.extend(found.into_iter().map(|record| (service, record)));
    }
    records.sort_by_key(|(_, record)| std::cmp::Reverse((record.at, record.id)));
    records.truncate(usize::try_from(audit.limit)?);
    for (service, record) in &records {
        println!("{}", if audit.json { json(*service, audit.account, record) } else { text(record) });
    }
    if records.is_empty() && !audit.json {
        let since = humantime::format_duration(audit.since);
        println!("There are no records of account {} of the last {since}.", audit.account);
    }
    Ok(())
}

fn text(record: &Record) -> String {
    let time = record.at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let method = record.method.rsplit('.').next().unwrap_or_default();
    let outcome = record.outcome.as_deref().unwrap_or("(running, or its end is unknown)");
    let ids: Vec<String> = record.resources.iter().map(|(name, id)| format!("{name}={id}")).collect();
    // The platform chose the actor's id: control characters in it must not reach the terminal.
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
