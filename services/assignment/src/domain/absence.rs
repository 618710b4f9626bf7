//! Why an agent's open conversations go back, and when (rules A2, A7).

use std::time::Duration;

use frontdesk_clock::Time;

use super::{Agent, AssignmentCause, AwayReason, StatusView};

/// Why an agent's open conversations go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// The agent was deactivated: all go back.
    Deactivated,
    /// The agent's client has sent no heartbeats since: those go back whose policy says so.
    Unreachable { since: Time },
}

impl Absence {
    /// None: the agent keeps their conversations. `status`: as it is now.
    pub(crate) fn of(agent: &Agent, status: &StatusView) -> Option<Self> {
        if !agent.is_active() {
            return Some(Self::Deactivated);
        }
        let is_unreachable = status.away_reason == Some(AwayReason::NoHeartbeat);
        // An agent who was never available has not vanished.
        status.changed_at.filter(|_| is_unreachable).map(|since| Self::Unreachable { since })
    }

    /// Returns when a conversation goes back whose policy takes it back after this time. None: it stays with the agent.
    pub(crate) fn takes_back_at(self, take_back_after: Option<Duration>) -> Option<Time> {
        match self {
            Self::Deactivated => Some(Time(0)),
            Self::Unreachable { since } => take_back_after.map(|after| since.plus(after)),
        }
    }

    pub(crate) fn cause(self) -> AssignmentCause {
        match self {
            Self::Deactivated => AssignmentCause::AgentDeactivated,
            Self::Unreachable { .. } => AssignmentCause::AgentUnreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_conversations_of_an_agent_who_vanished_go_back_when_their_policy_says_so() {
        let vanished = Absence::Unreachable { since: Time(5) };
        assert_eq!(vanished.takes_back_at(None), None);
        assert_eq!(vanished.takes_back_at(Some(Duration::from_micros(7))), Some(Time(12)));
        assert_eq!(vanished.cause(), AssignmentCause::AgentUnreachable);
    }

    #[test]
    fn a2_those_of_a_deactivated_agent_go_back_whatever_their_policy_says() {
        for after in [None, Some(Duration::from_secs(60))] {
            assert_eq!(Absence::Deactivated.takes_back_at(after), Some(Time(0)));
        }
        assert_eq!(Absence::Deactivated.cause(), AssignmentCause::AgentDeactivated);
    }
}
