//! Why a command is rejected.

/// Why a command on an agent, a team, opening hours or a routing policy is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The agent is deactivated.
    AgentDeactivated,
    /// The opening hours are deleted.
    OpeningHoursDeleted,
    /// The routing policy is deleted.
    RoutingPolicyDeleted,
    /// The team is deleted.
    TeamDeleted,
    /// The team would have too many members.
    TeamFull,
    /// The resource of this kind was edited since the caller read it.
    EtagMismatch(&'static str),
}
