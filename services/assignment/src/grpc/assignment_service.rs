//! `AssignmentService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    AssignConversationRequest, AssignConversationResponse, GetAssignmentRequest, GetAssignmentResponse,
    ListAssignmentsRequest, ListAssignmentsResponse, TakeOverConversationRequest, TakeOverConversationResponse,
    UnassignConversationRequest, UnassignConversationResponse, assignment_service_server::AssignmentService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, OwnerChange},
    queries,
};

/// Serves `AssignmentService`.
pub(crate) struct Assignments(pub(crate) App);

#[tonic::async_trait]
impl AssignmentService for Assignments {
    async fn assign_conversation(
        &self,
        request: Request<AssignConversationRequest>,
    ) -> Result<Response<AssignConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let agent = parse_id("agent_id", &request.agent_id)?;
        let change = OwnerChange {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            key: Key::new(&caller, &request.request_id, &request),
            request_id: request.request_id,
        };
        let assignment = commands::assign_conversation(&self.0, &caller, agent, change).await?;
        Ok(Response::new(AssignConversationResponse { assignment: Some(convert::assignment(assignment)) }))
    }

    async fn take_over_conversation(
        &self,
        request: Request<TakeOverConversationRequest>,
    ) -> Result<Response<TakeOverConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let change = OwnerChange {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            key: Key::new(&caller, &request.request_id, &request),
            request_id: request.request_id,
        };
        let assignment = commands::take_over_conversation(&self.0, &caller, change).await?;
        Ok(Response::new(TakeOverConversationResponse { assignment: Some(convert::assignment(assignment)) }))
    }

    async fn unassign_conversation(
        &self,
        request: Request<UnassignConversationRequest>,
    ) -> Result<Response<UnassignConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let change = OwnerChange {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            expected_epoch: request.expected_epoch,
            key: Key::new(&caller, &request.request_id, &request),
            request_id: request.request_id,
        };
        let assignment = commands::unassign_conversation(&self.0, &caller, change).await?;
        Ok(Response::new(UnassignConversationResponse { assignment: Some(convert::assignment(assignment)) }))
    }

    async fn get_assignment(
        &self,
        request: Request<GetAssignmentRequest>,
    ) -> Result<Response<GetAssignmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let assignment = queries::get_assignment(&self.0, &caller, conversation).await?;
        Ok(Response::new(GetAssignmentResponse { assignment: Some(convert::assignment(assignment)) }))
    }

    async fn list_assignments(
        &self,
        request: Request<ListAssignmentsRequest>,
    ) -> Result<Response<ListAssignmentsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let pages = &self.0.pages;
        let filter =
            ListAssignmentsRequest { conversation_id: conversation.to_string(), ..ListAssignmentsRequest::default() };
        let page = pages.read_request(&caller, &filter, request.page_size, &request.page_token)?;
        let mut assignments = queries::list_assignments(&self.0, &caller, conversation, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut assignments, |assignment| assignment.epoch)?;
        let assignments = assignments.into_iter().map(convert::assignment).collect();
        Ok(Response::new(ListAssignmentsResponse { assignments, next_page_token }))
    }
}
