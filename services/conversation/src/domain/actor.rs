//! Actors: the authors of entries and the owners of conversations.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The kind of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ActorKind {
    Visitor,
    Agent,
    Bot,
    System,
    Admin,
}

impl ActorKind {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "VISITOR",
            Self::Agent => "AGENT",
            Self::Bot => "BOT",
            Self::System => "SYSTEM",
            Self::Admin => "ADMIN",
        }
    }
}

/// The author of an entry, or the actor who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Actor {
    pub(crate) kind: ActorKind,
    /// The subject of their token, or the bot's id. Empty for the system.
    pub(crate) id: String,
}

impl Actor {
    pub(crate) fn agent(id: Uuid) -> Self {
        Self { kind: ActorKind::Agent, id: id.to_string() }
    }

    pub(crate) fn bot(id: Uuid) -> Self {
        Self { kind: ActorKind::Bot, id: id.to_string() }
    }

    pub(crate) fn visitor(id: &str) -> Self {
        Self { kind: ActorKind::Visitor, id: id.to_owned() }
    }

    pub(crate) fn admin(id: &str) -> Self {
        Self { kind: ActorKind::Admin, id: id.to_owned() }
    }

    pub(crate) fn system() -> Self {
        Self { kind: ActorKind::System, id: String::new() }
    }

    /// The actor as an owner. None: only agents and bots own conversations.
    pub(crate) fn as_owner(&self) -> Option<Owner> {
        let kind = match self.kind {
            ActorKind::Agent => OwnerKind::Agent,
            ActorKind::Bot => OwnerKind::Bot,
            ActorKind::Visitor | ActorKind::System | ActorKind::Admin => return None,
        };
        Some(Owner { kind, id: self.id.parse().ok()? })
    }
}

/// A member of the team who acts in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TeamMember {
    Agent(Uuid),
    /// An administrator, by the subject of their token. They own no conversation.
    Admin(String),
}

impl TeamMember {
    /// The agent. None: an administrator.
    pub(crate) fn agent(&self) -> Option<Uuid> {
        match self {
            Self::Agent(id) => Some(*id),
            Self::Admin(_) => None,
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Agent(id) => Actor::agent(*id),
            Self::Admin(id) => Actor::admin(id),
        }
    }
}

/// The kind of an owner. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum OwnerKind {
    Agent,
    Bot,
}

impl OwnerKind {
    /// As rows and errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::Bot => "BOT",
        }
    }
}

/// The owner of a conversation: its assignee. Stored as JSON: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) kind: OwnerKind,
    pub(crate) id: Uuid,
}

impl Owner {
    pub(crate) fn agent(id: Uuid) -> Self {
        Self { kind: OwnerKind::Agent, id }
    }

    pub(crate) fn bot(id: Uuid) -> Self {
        Self { kind: OwnerKind::Bot, id }
    }

    pub(crate) fn is_agent(self) -> bool {
        self.kind == OwnerKind::Agent
    }
}
