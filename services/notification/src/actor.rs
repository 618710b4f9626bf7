//! The actor who requested a mail, as responses and events have it.

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_proto::actor::v1::{self as proto, ActorKind};

/// The actor, from the text that a delivery stores. None: the mail was sent automatically.
pub(crate) fn to_proto(requested_by: &str) -> Option<proto::Actor> {
    let Actor { kind, id } = requested_by.parse().ok()?;
    let kind = match kind {
        CallerKind::Agent => ActorKind::Agent,
        CallerKind::Admin => ActorKind::Admin,
        CallerKind::Bot => ActorKind::Bot,
        CallerKind::Visitor | CallerKind::Service => return None,
    };
    Some(proto::Actor { kind: kind.into(), id, name: String::new() })
}
