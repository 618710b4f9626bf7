//! The actor who requested a mail.

use frontdesk_auth::{Actor, CallerKind};

use super::Delivery;

/// A person who requested a mail, by the subject of their token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    Agent(String),
    Admin(String),
}

impl Requester {
    /// The person who requested the delivery. None: it was sent automatically.
    pub(crate) fn of(delivery: &Delivery) -> Option<Self> {
        let Actor { kind, id } = delivery.requested_by.parse().ok()?;
        match kind {
            CallerKind::Agent => Some(Self::Agent(id)),
            CallerKind::Admin => Some(Self::Admin(id)),
            CallerKind::Visitor | CallerKind::Bot | CallerKind::Service | CallerKind::Widget => None,
        }
    }
}
