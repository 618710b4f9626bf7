//! What a service is built with.

use std::{path::PathBuf, sync::Arc};

use frontdesk_api::Pages;
use frontdesk_auth::InstallationSecret;
use frontdesk_bus::Bus;
use frontdesk_client::{Peer, PeerError};
use frontdesk_clock::Clock;
use frontdesk_db::Db;
use tokio_util::sync::CancellationToken;

/// Finds the client of another service by that service's name.
pub type Peers = Arc<dyn Fn(&'static str) -> Result<Peer, PeerError> + Send + Sync>;

/// What a service is built with.
#[derive(Clone)]
pub struct ServiceContext {
    /// Its own database.
    pub db: Db,
    /// The process's clock.
    pub clock: Clock,
    /// The event bus.
    pub bus: Bus,
    /// The installation's secret, which page tokens and visitor keys are derived from.
    pub secret: InstallationSecret,
    /// Folder of the process for files of its own.
    pub data_folder: PathBuf,
    /// Cancelled when the process stops.
    pub shutdown: CancellationToken,
    /// Clients of the other services.
    pub peers: Peers,
}

impl ServiceContext {
    /// The client of another service. Fails where its address is invalid.
    pub fn peer(&self, name: &'static str) -> Result<Peer, PeerError> {
        (self.peers)(name)
    }

    /// Page tokens signed with the installation's secret.
    pub fn pages(&self) -> Pages {
        Pages::new(self.secret.clone())
    }
}
