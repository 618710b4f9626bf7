//! Client of the conversation service, whose row decides each change of owner (rule A1).

use frontdesk_auth::Actor;
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::AssignmentCause as ProtoCause,
    conversation::{
        internal::v1::{
            ApplyAgentRequest, ChangeAssigneeOutcome, ChangeAssigneeRequest, ChangeAssigneeResult,
            ChangeAssigneesRequest, LocalizedText as ProtoText, PostChannelMessageRequest,
            arbiter_service_client::ArbiterServiceClient,
        },
        v1::Reason as ConversationReason,
    },
};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{
    App,
    domain::{Agent, AssignmentCause, LocalizedText},
    error::AssignmentError,
};

/// A request to change the owner of a conversation.
#[derive(Clone, Debug)]
pub(crate) struct ChangeAssignee {
    pub(crate) account: AccountId,
    /// The actor who changes the owner.
    pub(crate) by: Actor,
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i32,
    /// The agent who becomes the owner. None: the conversation becomes unassigned.
    pub(crate) to: Option<Agent>,
    pub(crate) cause: AssignmentCause,
    /// The same for a repeat of the same change, which then gets the first answer.
    pub(crate) request_id: String,
    /// Only while the visitor waits for an answer.
    pub(crate) only_if_waiting: bool,
    /// The name of an administrator who changes the owner. Empty: none.
    pub(crate) administrator_name: String,
}

/// A message of the channel to a visitor who waits for an agent.
#[derive(Clone, Debug)]
pub(crate) struct ChannelMessage {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    pub(crate) expected_epoch: i32,
    /// The message in each of its languages.
    pub(crate) texts: Vec<LocalizedText>,
    /// The same for a repeat of the same message, which is posted once.
    pub(crate) request_id: String,
}

/// An ownership epoch of a conversation, as the conversation service answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epoch {
    /// The epoch that the change began; where the owner stayed the same, the current one.
    pub(crate) number: i64,
    /// When the change began it. None: the owner stayed the same.
    pub(crate) began_at: Option<Time>,
}

/// Maximum number of changes in one call of [`change_assignees`].
pub(crate) const MAX_CHANGES: usize = 100;

/// The answer to one of several changes of owner.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// The owner is the one that the change asks for.
    Changed(Epoch),
    /// The row refuses it.
    Refused,
    /// The agent is not active, as far as the conversation service knows.
    AgentDeactivated,
    /// Not decided: [`change_assignee`] is asked for this one.
    Undecided,
}

/// Asks the conversation service to change the owners of conversations of one account, at most [`MAX_CHANGES`], by the same actor. Returns the
/// answer to each, in their order. A conversation service of the release before decides none.
pub(crate) async fn change_assignees(
    app: &App,
    account: AccountId,
    by: &Actor,
    changes: &[ChangeAssignee],
) -> Result<Vec<Answer>, AssignmentError> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let request = ChangeAssigneesRequest { changes: changes.iter().map(request).collect() };
    let mut service = ArbiterServiceClient::new(app.conversation.acting_for(account, by));
    let results = match service.change_assignees(request).await {
        Ok(response) => response.into_inner().results,
        Err(status) if status.code() == Code::Unimplemented => Vec::new(),
        Err(status) => match error(status) {
            error @ AssignmentError::ConversationUnavailable => return Err(error),
            // Asked one by one, each gets its own answer.
            _ => Vec::new(),
        },
    };
    let answers = results.iter().map(answer).chain(std::iter::repeat(Answer::Undecided));
    Ok(answers.take(changes.len()).collect())
}

fn answer(result: &ChangeAssigneeResult) -> Answer {
    match result.outcome() {
        ChangeAssigneeOutcome::Changed => {
            let began_at = result.change_time.as_ref().map(Time::from_proto);
            Answer::Changed(Epoch { number: result.epoch.into(), began_at })
        }
        ChangeAssigneeOutcome::Refused => Answer::Refused,
        ChangeAssigneeOutcome::AgentNotActive => Answer::AgentDeactivated,
        ChangeAssigneeOutcome::Failed | ChangeAssigneeOutcome::Unspecified => Answer::Undecided,
    }
}

/// Asks the conversation service to change the owner. A rejection holds what is true now.
pub(crate) async fn change_assignee(app: &App, change: &ChangeAssignee) -> Result<Epoch, AssignmentError> {
    let channel = app.conversation.acting_for(change.account, &change.by);
    let response =
        ArbiterServiceClient::new(channel).change_assignee(request(change)).await.map_err(error)?.into_inner();
    let began_at = response.change_time.as_ref().map(Time::from_proto);
    Ok(Epoch { number: response.epoch.into(), began_at })
}

fn request(change: &ChangeAssignee) -> ChangeAssigneeRequest {
    ChangeAssigneeRequest {
        conversation_id: change.conversation.to_string(),
        expected_epoch: change.expected_epoch,
        agent_id: change.to.as_ref().map(|agent| agent.id.to_string()).unwrap_or_default(),
        agent_name: change.to.as_ref().map(|agent| agent.name.clone()).unwrap_or_default(),
        request_id: change.request_id.clone(),
        cause: ProtoCause::from(change.cause).into(),
        agent_version: change.to.as_ref().map(version).unwrap_or_default(),
        only_if_visitor_waits: change.only_if_waiting,
        administrator_name: change.administrator_name.clone(),
    }
}

/// Posts a message of the channel. A rejection holds what is true now.
pub(crate) async fn post_channel_message(app: &App, message: ChannelMessage) -> Result<(), AssignmentError> {
    let ChannelMessage { account, conversation, expected_epoch, texts, request_id } = message;
    let text = |text: LocalizedText| ProtoText { language: text.language, text: text.text };
    let request = PostChannelMessageRequest {
        conversation_id: conversation.to_string(),
        expected_epoch,
        texts: texts.into_iter().map(text).collect(),
        request_id,
    };
    let mut service = ArbiterServiceClient::new(app.conversation.for_account(account));
    service.post_channel_message(request).await.map(drop).map_err(error)
}

/// Applies the agent's state to the copy by which the conversation service accepts their messages, unless the copy is newer.
/// Returns the version of the copy.
pub(crate) async fn apply_agent(app: &App, agent: &Agent) -> Result<i64, AssignmentError> {
    let request = ApplyAgentRequest {
        agent_id: agent.id.to_string(),
        name: agent.name.clone(),
        active: agent.is_active(),
        version: version(agent),
    };
    match ArbiterServiceClient::new(app.conversation.for_account(agent.account)).apply_agent(request).await {
        Ok(response) => Ok(response.into_inner().version.into()),
        Err(status) => {
            tracing::warn!(code = ?status.code(), message = status.message(), "an agent's state was not applied to conversations");
            Err(AssignmentError::NotAppliedToConversations)
        }
    }
}

fn version(agent: &Agent) -> i32 {
    agent.version.try_into().unwrap_or(i32::MAX)
}

fn error(status: Status) -> AssignmentError {
    let inactive = ConversationReason::AgentNotActive.as_str_name().trim_start_matches("REASON_");
    match status.code() {
        Code::FailedPrecondition if frontdesk_api::has_reason(&status, inactive) => AssignmentError::AgentDeactivated,
        Code::Aborted | Code::FailedPrecondition | Code::NotFound | Code::InvalidArgument => {
            AssignmentError::Rejected(status)
        }
        code => {
            tracing::warn!(
                ?code,
                message = status.message(),
                "the conversation service did not change the conversation"
            );
            AssignmentError::ConversationUnavailable
        }
    }
}
