//! The four services, as a process names and builds them.

use std::sync::Arc;

use frontdesk_conversation::ConversationSettings;
use frontdesk_notification::NotificationSettings;
use frontdesk_service::{AnyService, BuildError, ServiceContext, ServiceDefinition};

use crate::Settings;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Service {
    /// Threads, contacts, channels, tickets: holds the row that decides.
    Conversation,
    /// The roster of agents, and the owners of conversations.
    Assignment,
    /// Bots and their sessions.
    BotSession,
    /// Transcript decisions, deliveries, sender addresses.
    Notification,
}

impl Service {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Assignment, Self::BotSession, Self::Notification];

    /// Its names and schema.
    pub fn definition(self) -> ServiceDefinition {
        match self {
            Self::Conversation => ServiceDefinition::of::<frontdesk_conversation::App>(),
            Self::Assignment => ServiceDefinition::of::<frontdesk_assignment::App>(),
            Self::BotSession => ServiceDefinition::of::<frontdesk_bot_session::App>(),
            Self::Notification => ServiceDefinition::of::<frontdesk_notification::App>(),
        }
    }

    /// Whether links lead browsers to it: those of attachments, and those in mails.
    pub(crate) fn has_pages(self) -> bool {
        matches!(self, Self::Conversation | Self::Notification)
    }

    /// Builds it, with its own settings.
    pub(crate) fn build(self, context: ServiceContext, settings: &Settings) -> Result<Arc<dyn AnyService>, BuildError> {
        match self {
            Self::Conversation => {
                let attachments = settings.attachments.clone();
                let public_url = settings.web.public_url.clone().unwrap_or_default();
                let settings = ConversationSettings { attachments, public_url };
                <dyn AnyService>::build::<frontdesk_conversation::App>(context, settings)
            }
            Self::Assignment => {
                <dyn AnyService>::build::<frontdesk_assignment::App>(context, settings.assignment.clone())
            }
            Self::BotSession => <dyn AnyService>::build::<frontdesk_bot_session::App>(context, ()),
            Self::Notification => {
                let public_url = settings.web.public_url.clone().unwrap_or_default();
                let settings = NotificationSettings { public_url, ..settings.notification.clone() };
                <dyn AnyService>::build::<frontdesk_notification::App>(context, settings)
            }
        }
    }

    /// Its name in commands, events and tokens, such as `bot-session`.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// Its name in settings, such as `bot_session`.
    pub fn setting(self) -> String {
        self.name().replace('-', "_")
    }

    /// The service of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    /// The services that it calls.
    pub(crate) fn calls(self) -> impl Iterator<Item = Self> {
        self.definition().calls.iter().filter_map(|name| Self::named(name))
    }
}
