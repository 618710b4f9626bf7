//! From our words to the proto's.

use frontdesk_clock::Time;
use frontdesk_proto::assignment::v1 as proto;

use crate::{
    domain::{Agent, Party},
    queries::Line,
};

pub(super) fn agent(agent: Agent) -> proto::Agent {
    let etag = agent.etag();
    proto::Agent {
        id: agent.id.to_string(),
        name: agent.name,
        handle: agent.handle,
        email: agent.email,
        active: agent.active,
        create_time: Some(agent.created_at.to_proto()),
        etag,
    }
}

pub(super) fn owner(party: Party, name: String) -> proto::Owner {
    proto::Owner { kind: party.kind.into(), id: party.id, name }
}

pub(super) fn assignment(line: Line) -> proto::Assignment {
    let Line { stretch, ended_at, owner_name, by_name } = line;
    proto::Assignment {
        conversation_id: stretch.conversation.to_string(),
        epoch: stretch.epoch,
        owner: Some(owner(stretch.owner, owner_name)),
        by: Some(owner(stretch.by, by_name)),
        cause: stretch.cause.into(),
        start_time: Some(stretch.started_at.to_proto()),
        end_time: ended_at.map(Time::to_proto),
    }
}
