//! The caller of a method, and the actor behind it.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::auth::v1::Principal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::anonymous_visitor::ANONYMOUS_PREFIX;

/// The kind of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// A person in the widget.
    Visitor,
    /// A team member.
    Agent,
    /// A bot.
    Bot,
    /// One of Frontdesk's services.
    Service,
    /// The account's administrator.
    Admin,
    /// A page that shows the widget, by the public widget token of a channel.
    Widget,
}

impl CallerKind {
    /// As tokens and metadata spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Bot => "bot",
            Self::Service => "service",
            Self::Admin => "admin",
            Self::Widget => "widget",
        }
    }

    /// As the protos declare it.
    pub fn principal(self) -> Principal {
        match self {
            Self::Visitor => Principal::Visitor,
            Self::Agent => Principal::Agent,
            Self::Bot => Principal::Bot,
            Self::Service => Principal::Service,
            Self::Admin => Principal::Admin,
            Self::Widget => Principal::Widget,
        }
    }
}

impl FromStr for CallerKind {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Visitor, Self::Agent, Self::Bot, Self::Service, Self::Admin, Self::Widget]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(NotAllowed("an actor must be of kind visitor, agent, bot, service, admin or widget"))
    }
}

/// The caller, or the one on whose behalf a service calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Its kind.
    pub kind: CallerKind,
    /// Its id: a UUID for agents and bots, an id of the platform's choice for visitors and administrators, a name for
    /// services, the channel's UUID for widgets.
    pub id: String,
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.kind.as_str(), self.id)
    }
}

impl FromStr for Actor {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, id) = text.split_once(':').ok_or(NotAllowed("an actor must be written kind:id"))?;
        Ok(Self { kind: kind.parse()?, id: id.to_owned() })
    }
}

/// The call is not allowed; the text says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(pub &'static str);

/// The caller of a method, by its token or certificate and, for services, the metadata of the call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account that it acts in.
    pub account: AccountId,
    /// The kind of the token, which decides what it may call.
    pub kind: CallerKind,
    /// The actor. For a service: the one on whose behalf it calls.
    pub actor: Actor,
    /// The name in the token.
    pub name: Option<String>,
    /// The mail address in the token, which the issuer has verified; visitors only.
    pub email: Option<String>,
    /// The permissions of the token.
    pub permissions: Arc<BTreeSet<String>>,
    /// The scope of the key that signed the token, when it is a key for one scope.
    pub scope: Option<Uuid>,
    /// When the token expires; open streams of the caller end then. None: the caller is known by its connection.
    pub ends: Option<Time>,
}

impl Caller {
    /// A service that is known by its connection.
    pub fn service(name: &str) -> Self {
        Self {
            account: AccountId(Uuid::nil()),
            kind: CallerKind::Service,
            actor: Actor { kind: CallerKind::Service, id: name.to_owned() },
            name: None,
            email: None,
            permissions: Arc::default(),
            scope: None,
            ends: None,
        }
    }

    /// Whether it is a visitor of whom the account's back end says nothing (rule S6).
    pub fn is_anonymous_visitor(&self) -> bool {
        let anonymous = self.actor.id.strip_prefix(ANONYMOUS_PREFIX);
        self.kind == CallerKind::Visitor && anonymous.is_some_and(|id| id.contains('/'))
    }

    /// The id of the actor, when it is a bot.
    pub fn bot_id(&self) -> Option<Uuid> {
        (self.actor.kind == CallerKind::Bot).then(|| self.actor.id.parse().ok()).flatten()
    }

    /// The id of the actor, when it is an agent.
    pub fn agent_id(&self) -> Option<Uuid> {
        (self.actor.kind == CallerKind::Agent).then(|| self.actor.id.parse().ok()).flatten()
    }
}
