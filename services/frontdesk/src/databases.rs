//! Connecting to the databases and the event bus, for a process that serves and for commands that look into them meanwhile.

use std::{path::PathBuf, time::Duration};

use frontdesk_bus::Bus;
use frontdesk_clock::Clock;
use frontdesk_db::{Db, DbSettings};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{ServerError, Service, Settings};

/// Interval between two checks whether a database has its schema.
const SCHEMA_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Connects to the services' databases and to the bus.
pub async fn connect(
    settings: &Settings,
    services: &[Service],
    clock: &Clock,
) -> Result<(Vec<(Service, Db)>, Bus), ServerError> {
    let databases = connect_databases(settings, services, clock).await?;
    let bus = if settings.is_distributed() {
        Bus::jet_stream(settings.bus.clone(), clock).await?
    } else {
        Bus::in_process(connect_to("bus", &settings.bus_database(), clock).await?, clock).await?
    };
    Ok((databases, bus))
}

/// The file of a service's database. None: it is on PostgreSQL.
pub(crate) fn file(settings: &Settings, service: Service) -> Option<PathBuf> {
    let url = settings.database(service).url.0;
    url.strip_prefix("sqlite://").map(|path| PathBuf::from(path.split('?').next().unwrap_or_default()))
}

/// The file of a service's database, where it does not exist: connecting would create it.
pub(crate) fn missing_file(settings: &Settings, service: Service) -> Option<PathBuf> {
    file(settings, service).filter(|file| !file.is_file())
}

/// Fails where a database is a file that does not exist.
pub fn require_databases(settings: &Settings, services: &[Service]) -> Result<(), ServerError> {
    match services.iter().find_map(|service| Some((service, missing_file(settings, *service)?))) {
        Some((service, file)) => Err(ServerError::NoDatabase { service: service.name(), file }),
        None => Ok(()),
    }
}

/// Connects to the services' databases.
pub async fn connect_databases(
    settings: &Settings,
    services: &[Service],
    clock: &Clock,
) -> Result<Vec<(Service, Db)>, ServerError> {
    let mut databases = Vec::with_capacity(services.len());
    for service in services {
        databases.push((*service, connect_to(service.name(), &settings.database(*service), clock).await?));
    }
    Ok(databases)
}

async fn connect_to(service: &'static str, settings: &DbSettings, clock: &Clock) -> Result<Db, ServerError> {
    // First: the libraries quote an address that they cannot read, with its password.
    settings
        .url
        .check()
        .map_err(|source| ServerError::DatabaseAddress { setting: service.replace('-', "_"), source })?;
    Db::connect(settings, clock).await.map_err(|source| ServerError::Database { service, source })
}

/// Brings every database up to date.
pub(crate) async fn migrate(databases: &[(Service, Db)]) -> Result<(), ServerError> {
    for (service, db) in databases {
        let definition = service.definition();
        let migrated = match db.shares_sessions().await {
            Ok(true) => return Err(ServerError::SharedSessions { setting: service.setting() }),
            Ok(false) => definition.migrate(db).await,
            Err(error) => Err(error),
        };
        migrated.map_err(|source| ServerError::Database { service: definition.name, source })?;
    }
    Ok(())
}

/// Waits until every database has the schema of this binary: replicas may start before `migrate` has run, and before the
/// database server has.
pub(crate) async fn wait_for_schema(
    databases: &[(Service, Db)],
    limit: Duration,
    shutdown: &CancellationToken,
) -> Result<(), ServerError> {
    let give_up = Instant::now() + limit;
    for (service, db) in databases {
        let name = service.name();
        loop {
            let pending = match db.shares_sessions().await {
                Ok(true) => return Err(ServerError::SharedSessions { setting: service.setting() }),
                Ok(false) => service.definition().pending_migrations(db).await,
                Err(error) => Err(error),
            };
            let error = match pending {
                Ok(pending) if pending.is_empty() => break,
                Ok(pending) => {
                    let missing = pending.join(", ");
                    tracing::warn!(service = name, missing, "waiting for the database's schema");
                    ServerError::Schema { service: name, missing, waited: limit }
                }
                Err(source) => {
                    tracing::warn!(service = name, error = %source, "waiting for the database");
                    ServerError::Unreachable { service: name, setting: service.setting(), source, waited: limit }
                }
            };
            if Instant::now() > give_up {
                return Err(error);
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(SCHEMA_CHECK_INTERVAL) => {}
            }
        }
        if matches!(db.bypasses_row_level_security().await, Ok(true)) {
            tracing::warn!(
                service = name,
                "the database's role is a superuser or bypasses row-level security, so only the queries keep accounts apart; \
                 give the service an ordinary role that owns its database"
            );
        }
    }
    Ok(())
}
