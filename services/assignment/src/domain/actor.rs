//! Actors, as the history of owners records them.

use frontdesk_auth::CallerKind;
use uuid::Uuid;

/// The actor who owns a conversation, or who changes its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A member of the team, by id.
    Agent(String),
    /// A bot, by id.
    Bot(String),
    /// The account's administrator, by the subject of their token. They change owners and own nothing.
    Admin(String),
    /// Frontdesk itself. It changes owners and owns nothing.
    System,
}

impl Actor {
    /// Returns the agent with this id.
    pub(crate) fn agent(id: Uuid) -> Self {
        Self::Agent(id.to_string())
    }

    /// Returns the id of the agent. None: the actor is of another kind.
    pub(crate) fn agent_id(&self) -> Option<Uuid> {
        match self {
            Self::Agent(id) => id.parse().ok(),
            Self::Bot(_) | Self::Admin(_) | Self::System => None,
        }
    }

    /// Returns the subject of the administrator. None: the actor is of another kind.
    pub(crate) fn administrator(&self) -> Option<&str> {
        match self {
            Self::Admin(subject) => Some(subject),
            Self::Agent(_) | Self::Bot(_) | Self::System => None,
        }
    }
}

impl From<&frontdesk_auth::Actor> for Actor {
    /// Returns the actor of a call.
    fn from(actor: &frontdesk_auth::Actor) -> Self {
        match actor.kind {
            CallerKind::Agent => Self::Agent(actor.id.clone()),
            CallerKind::Bot => Self::Bot(actor.id.clone()),
            CallerKind::Admin => Self::Admin(actor.id.clone()),
            CallerKind::Service | CallerKind::Visitor | CallerKind::Widget => Self::System,
        }
    }
}
