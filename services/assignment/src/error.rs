//! Errors of the service, and their mapping to gRPC.

use std::time::Duration;

use frontdesk_api::ApiError;
use frontdesk_idempotency::ClaimError;
use frontdesk_proto::assignment::v1::Reason;
use sea_orm::DbErr;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    domain::{MAX_MEMBERS, Rejection},
    store::{agents::WriteError, teams},
};

/// Domain of the service's errors in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "assignment.frontdesk";
/// How long a caller waits before a retry while the conversation service is unavailable.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call is rejected or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AssignmentError {
    /// Absent, or of another account.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The request id was used for other content.
    #[error("the request_id was used for another request; choose a new one")]
    RequestIdReused,
    /// The agent is deactivated.
    #[error("the agent was deactivated; reactivate them first")]
    AgentDeactivated,
    /// The calling agent is deactivated.
    #[error("you were deactivated on the account's roster; an administrator can undo it with ReactivateAgent")]
    CallerDeactivated,
    /// The calling agent is not on the roster.
    #[error(
        "you are not on the account's roster; an administrator can create the agent with the id that is your token's subject"
    )]
    NotOnRoster,
    /// The account has an agent with the id.
    #[error("the account has an agent with that id; they may be deactivated, which ReactivateAgent undoes")]
    AgentExists,
    /// Another agent has the handle.
    #[error("another agent of the account has the handle; choose another one")]
    HandleTaken,
    /// Another agent has the address.
    #[error("another agent of the account has the e-mail address; choose another one")]
    EmailTaken,
    /// The opening hours are deleted.
    #[error("the opening hours were deleted; undo it with UndeleteOpeningHours first")]
    OpeningHoursDeleted,
    /// The routing policy is deleted.
    #[error("the routing policy was deleted; undo it with UndeleteRoutingPolicy first")]
    RoutingPolicyDeleted,
    /// A routing policy names what does not exist, or was deactivated or deleted. The name is empty if it is not known.
    #[error("rules: {}", target_message(.target.kind(), .name))]
    RoutingTargetUnknown { target: RoutingTarget, id: Uuid, name: String },
    /// The conversation does not wait for an agent.
    #[error("the conversation does not wait for an agent; GetAssignment says who owns it")]
    NotQueued,
    /// Another team, which is not deleted, has the name.
    #[error("another team of the account has the name; choose another one")]
    TeamNameTaken,
    /// Another team has the external id.
    #[error("another team of the account has the external id; it may be deleted, which UndeleteTeam undoes")]
    ExternalIdTaken,
    /// A new member is not on the roster, or was deactivated. The name is empty if it is not known.
    #[error("agent_ids: {}", member_message(.name))]
    MemberNotActive { agent: Uuid, name: String },
    /// The team would have too many members.
    #[error("a team has at most {} members; remove some with RemoveTeamMembers, or create another team", MAX_MEMBERS)]
    TeamFull,
    /// The team was deleted.
    #[error("the team was deleted; undo it with UndeleteTeam")]
    TeamDeleted,
    /// The resource of this kind was edited since the caller read it.
    #[error("the {0} was edited since you read it; read it again")]
    EtagMismatch(&'static str),
    /// The conversation service rejected the change; its status is passed on unchanged.
    #[error("the conversation service rejected the change: {}", .0.message())]
    Rejected(Status),
    /// The conversation service cannot be reached.
    #[error("the conversation service cannot be reached; try again")]
    ConversationUnavailable,
    /// The roster has the agent's new state, and the conversation service did not take it over.
    #[error(
        "the roster is changed, but the conversation service cannot be reached and may still go by the old state; repeat the \
         call until it succeeds"
    )]
    NotAppliedToConversations,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl From<ClaimError> for AssignmentError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Reused => Self::RequestIdReused,
            ClaimError::Db(error) => Self::Db(error),
        }
    }
}

impl From<Rejection> for AssignmentError {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::AgentDeactivated => Self::AgentDeactivated,
            Rejection::OpeningHoursDeleted => Self::OpeningHoursDeleted,
            Rejection::RoutingPolicyDeleted => Self::RoutingPolicyDeleted,
            Rejection::TeamDeleted => Self::TeamDeleted,
            Rejection::TeamFull => Self::TeamFull,
            Rejection::EtagMismatch(resource) => Self::EtagMismatch(resource),
        }
    }
}

impl From<WriteError> for AssignmentError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::IdTaken => Self::AgentExists,
            WriteError::HandleTaken => Self::HandleTaken,
            WriteError::EmailTaken => Self::EmailTaken,
            WriteError::Db(error) => Self::Db(error),
        }
    }
}

impl From<teams::WriteError> for AssignmentError {
    fn from(error: teams::WriteError) -> Self {
        match error {
            teams::WriteError::NameTaken => Self::TeamNameTaken,
            teams::WriteError::ExternalIdTaken => Self::ExternalIdTaken,
            teams::WriteError::Db(error) => Self::Db(error),
        }
    }
}

/// What a routing policy names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RoutingTarget {
    Agent,
    Team,
    OpeningHours,
}

impl RoutingTarget {
    fn kind(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Team => "team",
            Self::OpeningHours => "opening_hours",
        }
    }
}

fn target_message(kind: &str, name: &str) -> String {
    match name {
        "" => format!("the account has no {kind} with the id in `id`; create it first, or leave it out"),
        name => format!("{name} ({kind}) was deactivated or deleted; undo that first, or leave it out"),
    }
}

fn member_message(name: &str) -> String {
    match name {
        "" => {
            "the account has no agent with the id in agent_id; create the agent first, or leave the id out".to_owned()
        }
        name => format!("{name} was deactivated on the account's roster; reactivate them, or leave the id out"),
    }
}

impl From<AssignmentError> for Status {
    fn from(assignment_error: AssignmentError) -> Self {
        let message = assignment_error.to_string();
        let error = |code, reason: Reason| ApiError::new(code, DOMAIN, reason.as_str_name(), message.as_str());
        match assignment_error {
            AssignmentError::NotFound(resource) => ApiError::not_found(resource, message).into(),
            AssignmentError::RequestIdReused => ApiError::request_id_reused().into(),
            AssignmentError::EtagMismatch(resource) => ApiError::etag_mismatch(resource).into(),
            AssignmentError::OpeningHoursDeleted => error(Code::FailedPrecondition, Reason::OpeningHoursDeleted).into(),
            AssignmentError::RoutingPolicyDeleted => {
                error(Code::FailedPrecondition, Reason::RoutingPolicyDeleted).into()
            }
            AssignmentError::RoutingTargetUnknown { target, id, name } => {
                let unknown = error(Code::FailedPrecondition, Reason::RoutingTargetUnknown);
                unknown.with("kind", target.kind()).with("id", id).with("name", name).into()
            }
            AssignmentError::NotQueued => error(Code::FailedPrecondition, Reason::NotQueued).into(),
            AssignmentError::AgentDeactivated | AssignmentError::CallerDeactivated => {
                error(Code::FailedPrecondition, Reason::AgentDeactivated).into()
            }
            AssignmentError::NotOnRoster => error(Code::FailedPrecondition, Reason::NotOnRoster).into(),
            AssignmentError::AgentExists => error(Code::AlreadyExists, Reason::AgentExists).into(),
            AssignmentError::HandleTaken => error(Code::AlreadyExists, Reason::HandleTaken).into(),
            AssignmentError::EmailTaken => error(Code::AlreadyExists, Reason::EmailTaken).into(),
            AssignmentError::TeamNameTaken => error(Code::AlreadyExists, Reason::TeamNameTaken).into(),
            AssignmentError::ExternalIdTaken => error(Code::AlreadyExists, Reason::ExternalIdTaken).into(),
            AssignmentError::MemberNotActive { agent, name } => {
                let not_active = error(Code::FailedPrecondition, Reason::MemberNotActive);
                not_active.with("agent_id", agent).with("agent_name", name).into()
            }
            AssignmentError::TeamFull => {
                error(Code::FailedPrecondition, Reason::TeamFull).with("max_members", MAX_MEMBERS).into()
            }
            AssignmentError::TeamDeleted => error(Code::FailedPrecondition, Reason::TeamDeleted).into(),
            AssignmentError::Rejected(status) => status,
            AssignmentError::ConversationUnavailable | AssignmentError::NotAppliedToConversations => {
                error(Code::Unavailable, Reason::ConversationUnavailable).retry_after(RETRY_DELAY).into()
            }
            AssignmentError::Db(error) => ApiError::database(&error).into(),
        }
    }
}
