//! What becomes of conversations that wait.

/// What became of a conversation that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RoutingOutcome {
    /// The agent who was chosen has it.
    Assigned,
    /// It was closed, or has another owner.
    Refused,
    /// The agent who was chosen is not active any more: it waits again.
    AgentInactive,
    /// It left routing: the policy says so outside of opening hours.
    Left,
}

impl RoutingOutcome {
    pub(crate) const ALL: [Self; 4] = [Self::Assigned, Self::Refused, Self::AgentInactive, Self::Left];

    /// Returns its name in the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Refused => "refused",
            Self::AgentInactive => "agent_inactive",
            Self::Left => "left",
        }
    }
}
