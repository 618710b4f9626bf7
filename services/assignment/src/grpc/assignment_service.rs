//! `AssignmentService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    AssignConversationRequest, AssignConversationResponse, Assignment, GetAssignmentRequest, GetAssignmentResponse,
    ListAssignmentsRequest, ListAssignmentsResponse, TakeOverConversationRequest, TakeOverConversationResponse,
    UnassignConversationRequest, UnassignConversationResponse, assignment_service_server::AssignmentService,
};
use tonic::{Request, Response, Status};

use super::conversion;
use crate::{
    App,
    commands::{self, AssignConversation, Owned, Wish},
    queries,
};

/// Serves `AssignmentService`.
pub(crate) struct Assignments(pub(crate) App);

impl Assignments {
    async fn show(&self, caller: &Caller, owned: Owned) -> Result<Option<Assignment>, Status> {
        Ok(Some(match owned {
            Owned::Recorded(stretch) => conversion::assignment(queries::line_of(&self.0, caller, stretch).await?),
            Owned::Unheard { conversation, epoch, owner } => Assignment {
                conversation_id: conversation.to_string(),
                epoch,
                owner: Some(conversion::owner(owner, String::new())),
                ..Assignment::default()
            },
        }))
    }
}

#[tonic::async_trait]
impl AssignmentService for Assignments {
    async fn assign_conversation(
        &self,
        request: Request<AssignConversationRequest>,
    ) -> Result<Response<AssignConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = AssignConversation {
            agent: parse_id("agent_id", &request.agent_id)?,
            wish: Wish {
                conversation: parse_id("conversation_id", &request.conversation_id)?,
                expected_epoch: request.expected_epoch,
                key: Key::new(&caller, &request.request_id, &request),
                request_id: request.request_id,
            },
        };
        let owned = commands::assign_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(AssignConversationResponse { assignment: self.show(&caller, owned).await? }))
    }

    async fn take_over_conversation(
        &self,
        request: Request<TakeOverConversationRequest>,
    ) -> Result<Response<TakeOverConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let wish = Wish {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            key: Key::new(&caller, &request.request_id, &request),
            request_id: request.request_id,
        };
        let owned = commands::take_over_conversation(&self.0, &caller, wish).await?;
        Ok(Response::new(TakeOverConversationResponse { assignment: self.show(&caller, owned).await? }))
    }

    async fn unassign_conversation(
        &self,
        request: Request<UnassignConversationRequest>,
    ) -> Result<Response<UnassignConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let wish = Wish {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            key: Key::new(&caller, &request.request_id, &request),
            request_id: request.request_id,
        };
        let owned = commands::unassign_conversation(&self.0, &caller, wish).await?;
        Ok(Response::new(UnassignConversationResponse { assignment: self.show(&caller, owned).await? }))
    }

    async fn get_assignment(
        &self,
        request: Request<GetAssignmentRequest>,
    ) -> Result<Response<GetAssignmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let line = queries::get_assignment(&self.0, &caller, conversation).await?;
        Ok(Response::new(GetAssignmentResponse { assignment: Some(conversion::assignment(line)) }))
    }

    async fn list_assignments(
        &self,
        request: Request<ListAssignmentsRequest>,
    ) -> Result<Response<ListAssignmentsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let lines = queries::list_assignments(&self.0, &caller, conversation).await?;
        let assignments = lines.into_iter().map(conversion::assignment).collect();
        Ok(Response::new(ListAssignmentsResponse { assignments }))
    }
}
