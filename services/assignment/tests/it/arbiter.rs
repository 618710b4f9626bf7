//! A conversation service in memory: one row per conversation, changed by compare-and-set, repeats answered as the first.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use frontdesk_api::ApiError;
use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1::{
    Actor, ActorKind, ChangeAssigneeRequest, ChangeAssigneeResponse, CloseConversationRequest,
    CloseConversationResponse, CloseIdleConversationsRequest, CloseIdleConversationsResponse, Conversation,
    GetClosingFactsRequest, GetClosingFactsResponse, GetConversationRequest, GetConversationResponse,
    HandOffConversationRequest, HandOffConversationResponse, LinkContactRequest, LinkContactResponse,
    ListConversationsRequest, ListConversationsResponse, RecordAnswerRequest, RecordAnswerResponse,
    ReopenConversationRequest, ReopenConversationResponse, conversation_service_server::ConversationService,
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

#[derive(Clone, Default)]
pub struct Arbiter {
    rows: Arc<Mutex<HashMap<String, Conversation>>>,
    answered: Arc<Mutex<HashMap<String, ChangeAssigneeRequest>>>,
    /// So many calls are answered with UNAVAILABLE.
    pub failing: Arc<AtomicUsize>,
}

impl Arbiter {
    /// A conversation of nobody at epoch 1, started at time 1.
    pub fn open(&self) -> Uuid {
        let id = frontdesk_clock::testing::new_id();
        let row = Conversation {
            id: id.to_string(),
            epoch: 1,
            last_activity_time: Some(Time(1).to_proto()),
            ..Conversation::default()
        };
        self.rows.lock().unwrap().insert(id.to_string(), row);
        id
    }

    pub fn owner(&self, id: Uuid) -> (i64, String) {
        let rows = self.rows.lock().unwrap();
        let row = &rows[&id.to_string()];
        (row.epoch, row.assignee.as_ref().map(|owner| owner.id.clone()).unwrap_or_default())
    }

    fn change(&self, request: ChangeAssigneeRequest) -> Result<Conversation, Status> {
        let refuse = |code, reason: &str| ApiError::new(code, "conversation.frontdesk", reason, reason.to_lowercase());
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(&request.conversation_id).ok_or_else(|| refuse(Code::NotFound, "NOT_FOUND"))?;
        let mut answered = self.answered.lock().unwrap();
        if let Some(first) = answered.get(&request.request_id) {
            let same = *first == request;
            return if same {
                Ok(row.clone())
            } else {
                Err(refuse(Code::FailedPrecondition, "REQUEST_ID_REUSED").into())
            };
        }
        if row.epoch != request.expected_epoch {
            return Err(refuse(Code::Aborted, "OWNERSHIP_CHANGED").with("epoch", row.epoch).into());
        }
        let kind = ActorKind::Agent.into();
        let name = request.agent_name.clone();
        let wanted = Some(request.agent_id.clone()).filter(|id| !id.is_empty()).map(|id| Actor { kind, id, name });
        if row.assignee != wanted {
            row.assignee = wanted;
            row.epoch += 1;
            row.last_activity_time = Some(Time(row.epoch * 10).to_proto());
        }
        answered.insert(request.request_id.clone(), request);
        Ok(row.clone())
    }
}

#[tonic::async_trait]
impl ConversationService for Arbiter {
    async fn change_assignee(
        &self,
        request: Request<ChangeAssigneeRequest>,
    ) -> Result<Response<ChangeAssigneeResponse>, Status> {
        if self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Status::unavailable("not now"));
        }
        let conversation = Some(self.change(request.into_inner())?);
        Ok(Response::new(ChangeAssigneeResponse { conversation, previous_assignee: None }))
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
