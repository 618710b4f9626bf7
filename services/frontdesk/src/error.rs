//! Why a suite cannot start, or ended badly.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use frontdesk_auth::{IdentityError, UndeclaredMethod, UnknownPermission, WeakSecret};
use frontdesk_bus::BusError;
use frontdesk_client::PeerError;
use frontdesk_db::DbErr;
use frontdesk_server::LimitError;
use frontdesk_transport::TlsError;

/// The suite cannot start, or ended badly; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// The data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process runs on the data folder.
    #[error("another frontdesk runs on the data folder {0}; stop it, or set another data_folder")]
    Running(PathBuf),
    /// Nobody vouches for callers on an address that others reach.
    #[error(
        "listen = {0} can be reached by others, but callers are known by the development key only: name an issuer in identity.issuers, or listen on a loopback address"
    )]
    NoIssuer(SocketAddr),
    /// The development key on an address that others reach.
    #[error(
        "listen = {0} can be reached by others, and identity.development_key = true lets in whoever has the data folder's key: set it to false, or listen on a loopback address"
    )]
    DevelopmentKey(SocketAddr),
    /// Tokens in the clear on an address that others reach.
    #[error(
        "listen = {0} can be reached by others: set tls.certificate_path and tls.key_path, or tls.terminated_outside = true where a mesh or gateway encrypts"
    )]
    NoTls(SocketAddr),
    /// Nothing to sign with.
    #[error(
        "identity.secret must be set where the development key is not accepted, the same for every process; make one with: openssl rand -base64 48"
    )]
    NoSecret,
    /// A service that could be anybody.
    #[error(
        "peers.{0} must be https addresses, with tls.certificate_path, tls.key_path and tls.ca_path set: without the development key services know each other by certificates"
    )]
    NotMutual(&'static str),
    /// A limit with which nobody would be served.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The secret of the installation is no good.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// An issuer's settings are no good.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A role's are.
    #[error(transparent)]
    Role(#[from] UnknownPermission),
    /// A certificate is.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// One service alone, without what connects it to the others.
    #[error(
        "`serve {0}` runs one service in a process of its own: set bus.url to your NATS servers, or run `serve all`, which needs none"
    )]
    NoBroker(&'static str),
    /// One service alone, with a database that is this machine's.
    #[error(
        "databases.{0}.url must be a PostgreSQL address (postgres://user:password@host/database) when bus.url is set: replicas share it"
    )]
    NotShared(&'static str),
    /// One service alone, which does not know where another is.
    #[error("peers.{0} must say where that service is, such as https://{0}:7700")]
    NoPeer(&'static str),
    /// A database cannot be used.
    #[error("the database of the {service} service cannot be used: {source}")]
    Database {
        /// Whose.
        service: &'static str,
        /// Why.
        source: DbErr,
    },
    /// A database is not as this binary needs it.
    #[error(
        "the database of the {service} service lacks {missing} after {waited:?} of waiting: run `frontdesk migrate` with these settings"
    )]
    Schema {
        /// Whose.
        service: &'static str,
        /// Which migrations, or why nobody knows.
        missing: String,
        /// So long.
        waited: Duration,
    },
    /// The bus cannot start.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A service's address is wrong.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A method of the contract does not say who may call it.
    #[error(transparent)]
    Undeclared(#[from] UndeclaredMethod),
    /// A setting of the notification service is wrong.
    #[error("notification: {0}")]
    Notification(String),
    /// The server ended badly.
    #[error("the server ended: {0}")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
}
