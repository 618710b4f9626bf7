//! Asking the conversation's row for a change of owner.

use frontdesk_auth::Actor;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::conversation::v1::{
    self as proto, ActorKind, ChangeAssigneeRequest, conversation_service_client::ConversationServiceClient,
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, Party},
    error::AssignmentError,
};

/// A change of owner that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) account: AccountId,
    /// Who wants it.
    pub(crate) actor: Actor,
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i64,
    /// None: nobody.
    pub(crate) to: Option<Agent>,
    /// The same for a repeat of the same wish, so that the row answers it as it did the first time.
    pub(crate) request_id: String,
}

/// What the row says of a change.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The epoch that the owner who was asked for began, or had already.
    pub(crate) epoch: i64,
    /// When it began, at the latest; None: the row has moved on since, or nothing had to change.
    pub(crate) at: Option<Time>,
}

impl Change {
    /// Who owns the conversation after it.
    pub(crate) fn owner(&self) -> Party {
        self.to.as_ref().map_or_else(Party::nobody, |agent| Party::agent(agent.id))
    }
}

/// Asks the row; its refusal says what is true now.
pub(crate) async fn change_assignee(app: &App, change: &Change) -> Result<Changed, AssignmentError> {
    let request = ChangeAssigneeRequest {
        conversation_id: change.conversation.to_string(),
        expected_epoch: change.expected_epoch,
        agent_id: change.to.as_ref().map(|agent| agent.id.to_string()).unwrap_or_default(),
        agent_name: change.to.as_ref().map(|agent| agent.name.clone()).unwrap_or_default(),
        request_id: change.request_id.clone(),
    };
    let channel = app.conversation.acting_for(change.account, &change.actor);
    let answer = ConversationServiceClient::new(channel).change_assignee(request).await.map_err(refused)?.into_inner();
    let conversation = answer.conversation.ok_or_else(|| refused(Status::internal("no conversation in the answer")))?;
    Ok(read(change, &conversation))
}

/// A repeat is answered with the conversation as it is now: only when it still stands where this change put it is the time
/// of its last activity that of the change, or later.
fn read(change: &Change, conversation: &proto::Conversation) -> Changed {
    let assignee = conversation.assignee.as_ref().map_or_else(Party::nobody, |actor| match actor.kind() {
        ActorKind::Agent => Party { kind: frontdesk_proto::assignment::v1::OwnerKind::Agent, id: actor.id.clone() },
        ActorKind::Bot => Party::bot(actor.id.as_str()),
        _ => Party::nobody(),
    });
    let begun = conversation.epoch == change.expected_epoch + 1 && assignee == change.owner();
    Changed {
        epoch: conversation.epoch.min(change.expected_epoch + 1),
        at: conversation.last_activity_time.as_ref().filter(|_| begun).map(Time::from_proto),
    }
}

fn refused(status: Status) -> AssignmentError {
    match status.code() {
        Code::Aborted | Code::FailedPrecondition | Code::NotFound | Code::InvalidArgument => {
            AssignmentError::Refused(status)
        }
        _ => {
            tracing::warn!(code = ?status.code(), message = status.message(), "the conversation service did not answer");
            AssignmentError::ConversationUnavailable
        }
    }
}
