//! Who is calling.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::auth::v1::Principal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

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
    /// One of our own services.
    Service,
    /// The account's administrator.
    Admin,
}

impl CallerKind {
    /// As tokens and metadata write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visitor => "visitor",
            Self::Agent => "agent",
            Self::Bot => "bot",
            Self::Service => "service",
            Self::Admin => "admin",
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
        }
    }
}

impl FromStr for CallerKind {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Visitor, Self::Agent, Self::Bot, Self::Service, Self::Admin]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(NotAllowed("an actor must be of kind visitor, agent, bot, service or admin"))
    }
}

/// Somebody who acts: a caller, or the one for whom a service calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// Their kind.
    pub kind: CallerKind,
    /// Their id: a UUID for agents and bots, the platform's own word for visitors and administrators, a name for services.
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
        let (kind, id) = text.split_once(':').ok_or(NotAllowed("an actor is written kind:id"))?;
        Ok(Self { kind: kind.parse()?, id: id.to_owned() })
    }
}

/// The call is not allowed; the text says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAllowed(pub &'static str);

/// Who is calling, as their token and, for services, the metadata say.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account they act in.
    pub account: AccountId,
    /// The kind of the token: what the call was allowed for.
    pub kind: CallerKind,
    /// Who acts. For a service: for whom it calls.
    pub actor: Actor,
    /// Name, as the token gives it.
    pub name: Option<String>,
    /// Address that the token vouches for; visitors only.
    pub email: Option<String>,
    /// What the token permits.
    pub permissions: Arc<BTreeSet<String>>,
    /// What the key that signed the token is for, where it was a key for one scope only.
    pub scope: Option<Uuid>,
    /// When the token ends; what the caller has open ends with it. None: who is known by the connection.
    pub ends: Option<Time>,
}

impl Caller {
    /// A service of ours, known by its connection.
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

    /// The acting agent's id; None when the actor is not an agent.
    pub fn agent_id(&self) -> Option<Uuid> {
        (self.actor.kind == CallerKind::Agent).then(|| self.actor.id.parse().ok()).flatten()
    }
}
