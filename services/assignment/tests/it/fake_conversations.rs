//! An in-memory conversation service: one row for each conversation, changed by compare-and-set; a repeated request gets the
//! first answer.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use frontdesk_api::ApiError;
use frontdesk_clock::Time;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::AssignmentCause,
    conversation::v1::{
        ChangeAssigneeRequest, ChangeAssigneeResponse, CloseConversationRequest, CloseConversationResponse,
        CloseIdleConversationsRequest, CloseIdleConversationsResponse, Conversation, GetClosingFactsRequest,
        GetClosingFactsResponse, GetConversationRequest, GetConversationResponse, HandOffConversationRequest,
        HandOffConversationResponse, LinkContactRequest, LinkContactResponse, ListConversationsRequest,
        ListConversationsResponse, RecordAnswerRequest, RecordAnswerResponse, ReopenConversationRequest,
        ReopenConversationResponse, conversation_service_server::ConversationService,
    },
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

#[derive(Clone, Default)]
pub struct FakeConversations {
    rows: Arc<Mutex<HashMap<String, Row>>>,
    /// Number of calls that are still to be answered with UNAVAILABLE.
    pub failing: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Row {
    epoch: i64,
    owner: String,
    cause: AssignmentCause,
    responses: HashMap<String, (ChangeAssigneeRequest, ChangeAssigneeResponse)>,
}

impl FakeConversations {
    /// Adds a conversation of this owner at epoch 1, which began at microsecond 10.
    pub fn add(&self, id: Uuid, owner: &str) {
        let row = Row { epoch: 1, owner: owner.into(), ..Row::default() };
        self.rows.lock().unwrap().insert(id.to_string(), row);
    }

    /// Epoch and owner; the id of the owner is empty for an unassigned conversation.
    pub fn owner(&self, id: Uuid) -> (i64, String) {
        let rows = self.rows.lock().unwrap();
        let row = &rows[&id.to_string()];
        (row.epoch, row.owner.clone())
    }

    /// The cause that the last accepted change gave.
    pub fn cause(&self, id: Uuid) -> AssignmentCause {
        self.rows.lock().unwrap()[&id.to_string()].cause
    }

    fn change(&self, request: ChangeAssigneeRequest) -> Result<ChangeAssigneeResponse, Status> {
        let reject = |code, reason: &str| ApiError::new(code, "conversation.frontdesk", reason, reason.to_lowercase());
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(&request.conversation_id).ok_or_else(|| reject(Code::NotFound, "NOT_FOUND"))?;
        match row.responses.get(&request.request_id) {
            Some((first, response)) if *first == request => return Ok(response.clone()),
            Some(_) => return Err(reject(Code::FailedPrecondition, "REQUEST_ID_REUSED").into()),
            None => {}
        }
        if row.epoch != request.expected_epoch {
            return Err(reject(Code::Aborted, "OWNERSHIP_CHANGED").with("epoch", row.epoch).into());
        }
        if row.owner != request.agent_id {
            row.owner.clone_from(&request.agent_id);
            row.epoch += 1;
            row.cause = request.cause();
        }
        let kind = ActorKind::Agent.into();
        let assignee = Actor { kind, id: row.owner.clone(), name: String::new() };
        let conversation = Conversation {
            id: request.conversation_id.clone(),
            epoch: row.epoch,
            assignee: Some(assignee).filter(|assignee| !assignee.id.is_empty()),
            ..Conversation::default()
        };
        let response = ChangeAssigneeResponse {
            conversation: Some(conversation),
            previous_assignee: None,
            epoch: row.epoch,
            change_time: Some(Time(row.epoch * 10).to_proto()),
        };
        row.responses.insert(request.request_id.clone(), (request, response.clone()));
        Ok(response)
    }
}

#[tonic::async_trait]
impl ConversationService for FakeConversations {
    async fn change_assignee(
        &self,
        request: Request<ChangeAssigneeRequest>,
    ) -> Result<Response<ChangeAssigneeResponse>, Status> {
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Status::unavailable("not now"));
        }
        Ok(Response::new(self.change(request.into_inner())?))
    }

    async fn get_conversation(
        &self,
        _: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_conversations(
        &self,
        _: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn close_conversation(
        &self,
        _: Request<CloseConversationRequest>,
    ) -> Result<Response<CloseConversationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn reopen_conversation(
        &self,
        _: Request<ReopenConversationRequest>,
    ) -> Result<Response<ReopenConversationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn hand_off_conversation(
        &self,
        _: Request<HandOffConversationRequest>,
    ) -> Result<Response<HandOffConversationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn close_idle_conversations(
        &self,
        _: Request<CloseIdleConversationsRequest>,
    ) -> Result<Response<CloseIdleConversationsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn link_contact(&self, _: Request<LinkContactRequest>) -> Result<Response<LinkContactResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_closing_facts(
        &self,
        _: Request<GetClosingFactsRequest>,
    ) -> Result<Response<GetClosingFactsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn record_answer(&self, _: Request<RecordAnswerRequest>) -> Result<Response<RecordAnswerResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
