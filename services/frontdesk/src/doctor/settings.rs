//! Settings that a start would refuse.

use std::sync::Arc;

use frontdesk_auth::{AccessMap, InstallationSecret};
use frontdesk_bus::Bus;
use frontdesk_client::Peer;
use frontdesk_clock::Clock;
use frontdesk_db::{DatabaseUrl, Db, DbErr, DbSettings};
use frontdesk_service::ServiceContext;
use frontdesk_settings::Secret;
use frontdesk_transport::{InProcessConnector, Tls};
use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::{ServerError, Service, Settings, check, dev};

/// Installation secret of services that are built to be looked at only.
const PLACEHOLDER_SECRET: &str = "services that are looked at sign nothing";

pub(super) async fn check(settings: &Settings, services: &[Service], clock: &Clock) -> Vec<Finding> {
    let misspelt = Settings::misspelt_variables().into_iter().map(|(variable, setting)| {
        Finding::warning(variable, "no setting has this name, so it is not read", format!("rename it to {setting}"))
    });
    let mut findings: Vec<Finding> = misspelt.collect();
    let refused = |error: String| Finding::failure("the settings", error, "a process does not start with it");
    findings.extend(check::check(settings, services).err().map(|error| refused(error.to_string())));
    findings.extend(dev::clock(settings).err().map(|error| {
        let subject = format!("data_folder = {}", settings.data_folder.display());
        Finding::failure(subject, error.to_string(), "a process does not start with it")
    }));
    findings.extend(check_roles(settings).err().map(|error| refused(error.to_string())));
    findings.extend(build_apart(settings, services, clock).await.err().map(|error| refused(error.to_string())));
    if findings.is_empty() {
        findings.push(Finding::ok("the settings", "a process accepts them"));
    }
    findings
}

fn check_roles(settings: &Settings) -> Result<(), ServerError> {
    let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS)?;
    Ok(settings.identity.roles.check(&access)?)
}

/// Builds the services with a bus of their own.
async fn build_apart(settings: &Settings, services: &[Service], clock: &Clock) -> Result<(), ServerError> {
    let db = database_in_memory(clock).await.map_err(|source| ServerError::Database { service: "bus", source })?;
    let bus = Bus::in_process(db, clock).await?;
    build(settings, services, &bus, clock).await
}

/// Builds the services as a start does, and subscribes their consumers to the bus. It opens no connection, and creates no file: their
/// databases are in memory, and attachments are in a folder that exists.
pub(super) async fn build(
    settings: &Settings,
    services: &[Service],
    bus: &Bus,
    clock: &Clock,
) -> Result<(), ServerError> {
    let mut of_services = settings.clone();
    if of_services.attachments.s3.bucket.is_empty() {
        of_services.attachments.folder = std::env::temp_dir();
    }
    // The check of keys reads them.
    of_services.notification.dkim_keys.clear();
    let secret = InstallationSecret::try_new(&PLACEHOLDER_SECRET.to_owned().into(), &Secret::default(), clock)?;
    // The check of certificates says what is wrong with them.
    let tls = Tls::load(&settings.tls).ok().flatten();
    let (connector, _listener) = InProcessConnector::new();
    for service in services {
        let (addresses, connector, tls) = (settings.peers.clone(), connector.clone(), tls.clone());
        let name = service.name();
        let peers = move |peer| match Service::named(peer).map_or("", |peer| addresses.get(peer).as_str()) {
            "" => Ok(Peer::in_process(&connector, name)),
            addresses if addresses.contains("https://") && tls.is_none() => Ok(Peer::in_process(&connector, name)),
            addresses => Peer::remote(addresses, name, tls.as_ref(), None),
        };
        let db = database_in_memory(clock).await.map_err(|source| ServerError::Database { service: name, source })?;
        let context = ServiceContext {
            db,
            clock: clock.clone(),
            bus: bus.clone(),
            secret: secret.clone(),
            data_folder: settings.data_folder.clone(),
            shutdown: CancellationToken::new(),
            peers: Arc::new(peers),
        };
        let built = service.build(context, &of_services);
        built.map_err(|source| ServerError::Service { service: name, source })?.subscribe(bus);
    }
    Ok(())
}

async fn database_in_memory(clock: &Clock) -> Result<Db, DbErr> {
    let url = DatabaseUrl("sqlite::memory:".into());
    Db::connect(&DbSettings { url, ..DbSettings::default() }, clock).await
}
