//! A team, as this service knows it: the roster belongs to the assignment service.

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use uuid::Uuid;

/// A team, as the roster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    /// Version of the team on the roster; the newer one wins.
    pub(crate) version: i64,
    /// The agents who are members, deactivated ones included; none of a deleted team.
    pub(crate) members: BTreeSet<Uuid>,
}

/// The members of a team at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) team: Uuid,
    /// How often the members had changed. 0: there was no copy of the team.
    pub(crate) number: i64,
}
