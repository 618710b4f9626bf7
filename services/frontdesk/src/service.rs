//! The four services: their names, and each built on its database for a process that runs it.

use std::{path::PathBuf, sync::Arc};

use frontdesk_api::Pages;
use frontdesk_auth::{DevelopmentKey, InstallationSecret, VisitorKeyStore};
use frontdesk_bus::Bus;
use frontdesk_client::{Peer, PeerError};
use frontdesk_db::{Db, DbErr, migrate, pending_migrations};
use frontdesk_transport::{InProcessConnector, Tls};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::{Settings, SuiteError};

/// A service of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    /// Threads, contacts, channels, tickets: the arbiter.
    Conversation,
    /// The roster, and who owns what.
    Assignment,
    /// Bots and their sessions.
    BotSession,
    /// Decisions, transcripts, deliveries.
    Notification,
}

impl Service {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Assignment, Self::BotSession, Self::Notification];

    /// Its name in commands, events and tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Assignment => "assignment",
            Self::BotSession => "bot-session",
            Self::Notification => "notification",
        }
    }

    /// Its name in settings.
    pub fn setting(self) -> &'static str {
        match self {
            Self::BotSession => "bot_session",
            other => other.name(),
        }
    }

    /// The package of its gRPC services: their paths begin with it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Conversation => "frontdesk.conversation.v1",
            Self::Assignment => "frontdesk.assignment.v1",
            Self::BotSession => "frontdesk.botsession.v1",
            Self::Notification => "frontdesk.notification.v1",
        }
    }

    /// The services that it calls.
    pub(crate) fn calls(self) -> &'static [Self] {
        match self {
            Self::Conversation => &[Self::Assignment, Self::BotSession],
            Self::Assignment | Self::BotSession | Self::Notification => &[Self::Conversation],
        }
    }

    /// Brings its database up to date.
    pub(crate) async fn migrate(self, db: &Db) -> Result<(), DbErr> {
        match self {
            Self::Conversation => migrate::<frontdesk_conversation::Migrator>(db).await,
            Self::Assignment => migrate::<frontdesk_assignment::Migrator>(db).await,
            Self::BotSession => migrate::<frontdesk_bot_session::Migrator>(db).await,
            Self::Notification => migrate::<frontdesk_notification::Migrator>(db).await,
        }
    }

    /// What its database lacks.
    pub(crate) async fn pending_migrations(self, db: &Db) -> Result<Vec<String>, DbErr> {
        match self {
            Self::Conversation => pending_migrations::<frontdesk_conversation::Migrator>(db).await,
            Self::Assignment => pending_migrations::<frontdesk_assignment::Migrator>(db).await,
            Self::BotSession => pending_migrations::<frontdesk_bot_session::Migrator>(db).await,
            Self::Notification => pending_migrations::<frontdesk_notification::Migrator>(db).await,
        }
    }
}

/// What services are built with.
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) clock: &'a frontdesk_clock::Clock,
    /// Where it is accepted.
    pub(crate) keys: Option<&'a DevelopmentKey>,
    pub(crate) installation_secret: &'a InstallationSecret,
    pub(crate) tls: Option<&'a Tls>,
    pub(crate) bus: &'a Bus,
    pub(crate) shutdown: &'a CancellationToken,
    /// The way to services that run in this process.
    pub(crate) within: &'a InProcessConnector,
}

/// A service, ready to run.
#[derive(Clone)]
pub(crate) enum App {
    Conversation(frontdesk_conversation::App),
    Assignment(frontdesk_assignment::App),
    BotSession(frontdesk_bot_session::App),
    Notification(frontdesk_notification::App),
}

impl App {
    /// Builds the service on its database and adds its consumers to the bus.
    pub(crate) fn build(service: Service, db: Db, parts: &Parts) -> Result<Self, SuiteError> {
        let pages = Pages::new(parts.installation_secret.clone());
        let stop = parts.shutdown.clone();
        let peer = |other| parts.peer(service, other);
        let app = match service {
            Service::Conversation => {
                let hints = parts.bus.change_notifier(service.name());
                let (assignment, bot_session) = (peer(Service::Assignment)?, peer(Service::BotSession)?);
                let (clock, installation_secret) = (parts.clock, parts.installation_secret.clone());
                let app = frontdesk_conversation::App::new(
                    db,
                    clock,
                    hints,
                    installation_secret,
                    assignment,
                    bot_session,
                    stop,
                );
                Self::Conversation(app)
            }
            Service::Assignment => {
                Self::Assignment(frontdesk_assignment::App::new(db, pages, peer(Service::Conversation)?, stop))
            }
            Service::BotSession => {
                let (clock, conversation) = (parts.clock.clone(), peer(Service::Conversation)?);
                Self::BotSession(frontdesk_bot_session::App::new(db, clock, pages, conversation, stop))
            }
            Service::Notification => {
                let (settings, clock) = (parts.settings.notification.clone(), parts.clock.clone());
                let (conversation, folder) = (peer(Service::Conversation)?, &parts.settings.data_folder);
                frontdesk_notification::App::new(settings, db, clock, pages, conversation, folder, stop)
                    .map(Self::Notification)
                    .map_err(|error| SuiteError::Notification(error.to_string()))?
            }
        };
        match &app {
            Self::Conversation(app) => frontdesk_conversation::subscribe(app, parts.bus),
            Self::Assignment(app) => frontdesk_assignment::subscribe(app, parts.bus),
            Self::BotSession(app) => frontdesk_bot_session::subscribe(app, parts.bus),
            Self::Notification(app) => frontdesk_notification::subscribe(app, parts.bus),
        }
        Ok(app)
    }

    /// Adds its gRPC services.
    pub(crate) fn routes(&self, routes: &mut RoutesBuilder) {
        match self {
            Self::Conversation(app) => frontdesk_conversation::routes(app, routes),
            Self::Assignment(app) => frontdesk_assignment::routes(app, routes),
            Self::BotSession(app) => frontdesk_bot_session::routes(app, routes),
            Self::Notification(app) => frontdesk_notification::routes(app, routes),
        }
    }

    /// Full names of its gRPC services.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Conversation(_) => frontdesk_conversation::SERVICES,
            Self::Assignment(_) => frontdesk_assignment::SERVICES,
            Self::BotSession(_) => frontdesk_bot_session::SERVICES,
            Self::Notification(_) => frontdesk_notification::SERVICES,
        }
    }

    /// Its workers, until the shutdown.
    pub(crate) fn work(self, bus: Bus) -> BoxFuture<'static, ()> {
        match self {
            Self::Conversation(app) => Box::pin(frontdesk_conversation::work(app, bus)),
            Self::Assignment(app) => Box::pin(frontdesk_assignment::work(app, bus)),
            Self::BotSession(app) => Box::pin(frontdesk_bot_session::work(app, bus)),
            Self::Notification(app) => Box::pin(frontdesk_notification::work(app, bus)),
        }
    }

    /// Who knows the keys for visitors' tokens, when it does.
    pub(crate) fn visitor_keys(&self) -> Option<Arc<dyn VisitorKeyStore>> {
        match self {
            Self::Conversation(app) => Some(Arc::new(app.clone())),
            _ => None,
        }
    }

    /// Where the mails are, when it writes them to a folder.
    pub(crate) fn mailbox_folder(&self) -> Option<PathBuf> {
        match self {
            Self::Notification(app) => app.mailbox_folder().map(PathBuf::from),
            _ => None,
        }
    }
}

impl Parts<'_> {
    fn peer(&self, me: Service, other: Service) -> Result<Peer, PeerError> {
        match self.settings.peer(other) {
            "" => Ok(Peer::in_process(self.within, me.name())),
            addresses => Peer::remote(addresses, me.name(), self.tls, self.keys),
        }
    }
}
