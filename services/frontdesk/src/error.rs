//! Why a process cannot start, or how it failed.

use std::{
    fmt::{self, Display, Formatter},
    io,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use frontdesk_auth::{IdentityError, UndeclaredMethod, UnknownPermission, WeakSecret};
use frontdesk_bus::BusError;
use frontdesk_client::PeerError;
use frontdesk_db::{AddressError, DbErr};
use frontdesk_server::LimitError;
use frontdesk_service::BuildError;
use frontdesk_transport::TlsError;

use crate::{OutOfBounds, WebError};

/// A listener, by its setting.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// The name of the setting.
    pub setting: &'static str,
    /// The address.
    pub address: SocketAddr,
}

impl Display for Listener {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} = {}", self.setting, self.address)
    }
}

/// A process cannot start, or failed. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    DataFolder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses the data folder.
    #[error("another frontdesk process uses the data folder {0}; stop it, or set another data_folder")]
    Running(PathBuf),
    /// No issuer, on an address beyond loopback.
    #[error(
        "{0} can be reached from other machines, but only the development key identifies callers: add an issuer to identity.issuers, or listen on a loopback address"
    )]
    NoIssuer(Listener),
    /// The development key, on an address beyond loopback.
    #[error(
        "{0} can be reached from other machines, and identity.development_key = true accepts tokens of everyone who can read the data folder's key: set it to false, or listen on a loopback address"
    )]
    DevelopmentKey(Listener),
    /// Tokens without encryption, on an address beyond loopback.
    #[error(
        "{0} can be reached from other machines: set tls.certificate_path and tls.key_path, or tls.terminated_outside = true where a mesh or gateway encrypts"
    )]
    NoTls(Listener),
    /// No secret to sign with.
    #[error(
        "identity.secret must be set where the development key is not accepted, the same for every process; make one with: openssl rand -base64 48"
    )]
    NoSecret,
    /// A peer without mutual TLS.
    #[error(
        "peers.{0} must be https addresses, with tls.certificate_path, tls.key_path and tls.ca_path set: without the development key, services identify each other by certificates"
    )]
    NotMutual(String),
    /// A limit that admits no call.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A number or a duration beyond its bounds.
    #[error(transparent)]
    Bounds(#[from] OutOfBounds),
    /// The secret of the installation is too short.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
    /// An issuer's settings are invalid.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A role has a permission that no method requires.
    #[error(transparent)]
    Role(#[from] UnknownPermission),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// One service alone, without a broker.
    #[error(
        "`serve {0}` runs one service in a process of its own: set bus.url to your NATS servers, or run `serve all`, which needs none"
    )]
    NoBroker(&'static str),
    /// A database that replicas cannot share.
    #[error(
        "databases.{0}.url must be a PostgreSQL address (postgres://user:password@host/database) when bus.url is set: replicas share it"
    )]
    NotShared(String),
    /// Attachments that replicas cannot share.
    #[error(
        "attachments.s3.bucket, or attachments.folder with a folder that all replicas of the conversation service share, must be set when bus.url and web.public_url are set; without web.public_url nothing can be attached"
    )]
    AttachmentsNotShared,
    /// A peer without an address.
    #[error("peers.{0} must be the address of that service, such as https://{0}:7700")]
    NoPeer(String),
    /// The address of a database has a mistake. The address itself is not shown, since it may contain a password.
    #[error("databases.{setting}.url: {source}")]
    DatabaseAddress {
        /// The service's name in settings.
        setting: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A command that looks into the databases of a server found none.
    #[error(
        "there is no database {file} of the {service} service: run this with the settings of the server (data_folder, --config)"
    )]
    NoDatabase {
        /// The service.
        service: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// A database cannot be used.
    #[error("the database of the {service} service cannot be used: {source}")]
    Database {
        /// The service.
        service: &'static str,
        /// Why.
        source: DbErr,
    },
    /// A database does not answer, or refuses the connection.
    #[error(
        "the database of the {service} service cannot be reached after {waited:?} of waiting: {source}; check databases.{setting}.url"
    )]
    Unreachable {
        /// The service.
        service: &'static str,
        /// The service's name in settings.
        setting: String,
        /// Why.
        source: DbErr,
        /// How long the process waited.
        waited: Duration,
    },
    /// A connection pooler is between the process and a database, with a mode that cannot be used.
    #[error(
        "databases.{setting}.url leads to a connection pooler that gives one session of PostgreSQL to several connections: set its pool_mode to session (PgBouncer), or name the PostgreSQL server itself"
    )]
    SharedSessions {
        /// The service's name in settings.
        setting: String,
    },
    /// A database lacks migrations.
    #[error(
        "the database of the {service} service lacks the migrations {missing} after {waited:?} of waiting: run `frontdesk migrate` with these settings"
    )]
    Schema {
        /// The service.
        service: &'static str,
        /// The names of the missing migrations.
        missing: String,
        /// How long the process waited.
        waited: Duration,
    },
    /// The event bus cannot start.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The address of a peer is invalid.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A method of the contract declares no access.
    #[error(transparent)]
    Undeclared(#[from] UndeclaredMethod),
    /// A service's own setting is invalid.
    #[error("{service}: {source}")]
    Service {
        /// The service.
        service: &'static str,
        /// Why.
        source: BuildError,
    },
    /// A setting of the listener for browsers.
    #[error(transparent)]
    Web(#[from] WebError),
    /// An HTTP listener cannot be opened.
    #[error("{listener} cannot be opened: {source}; set it to another address, or to an empty text")]
    Http {
        /// The listener.
        listener: Listener,
        /// Why.
        source: io::Error,
    },
    /// The gRPC server failed.
    #[error("the server ended: {0}")]
    Server(#[source] Box<dyn std::error::Error + Send + Sync>),
}
