//! An in-memory conversation service for the services that call it: rows are changed under one lock, and a repeated
//! request gets the first answer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    conversation::{
        internal::v1::{
            ApplyAgentRequest, ApplyAgentResponse, ApplyBotRequest, ApplyBotResponse, ChangeAssigneeOutcome,
            ChangeAssigneeRequest, ChangeAssigneeResponse, ChangeAssigneeResult, ChangeAssigneesRequest,
            ChangeAssigneesResponse, CloseByBotRequest, CloseByBotResponse, CreateTicketByBotRequest,
            CreateTicketByBotResponse, GetVisitorPropertiesRequest, GetVisitorPropertiesResponse,
            HandOffConversationRequest, HandOffConversationResponse, PostBotMessageRequest, PostBotMessageResponse,
            PostChannelMessageRequest, PostChannelMessageResponse, RecordAnswerRequest, RecordAnswerResponse,
        },
        v1::{
            Conversation, Entry, GetConversationRequest, GetConversationResponse, ListEntriesRequest,
            ListEntriesResponse, Message, entry::Content,
        },
    },
    error,
};
use prost_types::Timestamp;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

use crate::FakeServices;

/// Conversations in memory, served by a [`FakeServices`]. Clones share the rows.
///
/// Every method that is set here can be set anew with [`FakeServices::on`] by a test that needs another answer.
#[derive(Clone, Default)]
pub struct FakeConversations {
    rows: Arc<Mutex<HashMap<String, FakeConversation>>>,
}

/// One conversation and what was asked of it.
#[derive(Default)]
pub struct FakeConversation {
    /// The row; its epoch, assignee and bot session decide what is accepted.
    pub conversation: Conversation,
    /// The thread, oldest first.
    pub entries: Vec<Entry>,
    /// Property and value of each recorded answer, in the order of their arrival.
    pub answers: Vec<(String, String)>,
    /// What is known of the visitor.
    pub visitor: GetVisitorPropertiesResponse,
    /// Subject of each ticket.
    pub tickets: Vec<String>,
    /// Reason of each hand-off.
    pub hand_offs: Vec<String>,
    /// Number of accepted closes.
    pub closes: usize,
    /// Content and encoded response of each request id.
    responses: HashMap<String, (Vec<u8>, Vec<u8>)>,
}

impl FakeConversations {
    /// Serves the conversations by these methods of `fake`.
    pub fn serve_by(&self, fake: &FakeServices) {
        fake.on(|_: Request<ApplyAgentRequest>| Ok(ApplyAgentResponse::default()));
        fake.on(|_: Request<ApplyBotRequest>| Ok(ApplyBotResponse::default()));
        let rows = self.clone();
        fake.on(move |request: Request<GetConversationRequest>| {
            rows.change(&request.get_ref().conversation_id, |row| {
                Ok(GetConversationResponse { conversation: Some(row.conversation.clone()) })
            })
        });
        let rows = self.clone();
        fake.on(move |request: Request<ChangeAssigneeRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| row.once(&request.request_id, &request, Self::change_assignee))
        });
        let rows = self.clone();
        fake.on(move |request: Request<ChangeAssigneesRequest>| {
            let results = request.into_inner().changes.iter().map(|change| rows.change_one(change)).collect();
            Ok(ChangeAssigneesResponse { results })
        });
        let rows = self.clone();
        fake.on(move |request: Request<PostChannelMessageRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| {
                row.once(&request.request_id, &request, Self::post_channel_message)
            })
        });
        let rows = self.clone();
        fake.on(move |request: Request<PostBotMessageRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| row.once(&request.request_id, &request, Self::post_bot_message))
        });
        let rows = self.clone();
        fake.on(move |request: Request<ListEntriesRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| row.page(&request))
        });
        let rows = self.clone();
        fake.on(move |request: Request<RecordAnswerRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| {
                row.once(&request.request_id, &request, |row, request| {
                    row.require_in_charge(&request.bot_session_id)?;
                    row.answers.push((request.property.clone(), request.value.clone()));
                    Ok(RecordAnswerResponse::default())
                })
            })
        });
        let rows = self.clone();
        fake.on(move |request: Request<GetVisitorPropertiesRequest>| {
            rows.change(&request.get_ref().conversation_id, |row| Ok(row.visitor.clone()))
        });
        let rows = self.clone();
        fake.on(move |request: Request<CreateTicketByBotRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| {
                row.once(&request.request_id, &request, |row, request| {
                    row.require_in_charge(&request.bot_session_id)?;
                    row.tickets.push(request.subject.clone());
                    Ok(CreateTicketByBotResponse::default())
                })
            })
        });
        let rows = self.clone();
        fake.on(move |request: Request<HandOffConversationRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| {
                row.once(&request.request_id, &request, |row, request| {
                    row.require_in_charge(&request.bot_session_id)?;
                    row.release();
                    row.hand_offs.push(request.reason.clone());
                    Ok(HandOffConversationResponse::default())
                })
            })
        });
        let rows = self.clone();
        fake.on(move |request: Request<CloseByBotRequest>| {
            let request = request.into_inner();
            rows.change(&request.conversation_id, |row| {
                row.once(&request.request_id, &request, |row, request| {
                    row.require_in_charge(&request.bot_session_id)?;
                    row.release();
                    row.closes += 1;
                    Ok(CloseByBotResponse::default())
                })
            })
        });
    }

    /// Adds an unassigned conversation at epoch 1 whose last activity was at microsecond 1.
    pub fn add(&self, id: Uuid) {
        let conversation = Conversation {
            id: id.to_string(),
            epoch: 1,
            last_activity_time: Some(microsecond(1)),
            ..Conversation::default()
        };
        self.insert(conversation);
    }

    /// Adds a conversation.
    pub fn insert(&self, conversation: Conversation) {
        let row = FakeConversation { conversation, ..FakeConversation::default() };
        self.rows.lock().expect("the rows").insert(row.conversation.id.clone(), row);
    }

    /// Reads or changes a conversation.
    ///
    /// # Panics
    /// When there is no conversation with this id.
    pub fn with<T>(&self, id: Uuid, access: impl FnOnce(&mut FakeConversation) -> T) -> T {
        access(self.rows.lock().expect("the rows").get_mut(&id.to_string()).expect("a conversation of the test"))
    }

    fn change<T>(
        &self,
        id: &str,
        change: impl FnOnce(&mut FakeConversation) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut rows = self.rows.lock().expect("the rows");
        let absent = || refused(Code::NotFound, "NOT_FOUND", [("resource", "conversation".to_owned())]);
        change(rows.get_mut(id).ok_or_else(absent)?)
    }

    /// Changes an owner as one of several.
    pub fn change_one(&self, change: &ChangeAssigneeRequest) -> ChangeAssigneeResult {
        let changed =
            self.change(&change.conversation_id, |row| row.once(&change.request_id, change, Self::change_assignee));
        let outcome = match &changed {
            Ok(_) => ChangeAssigneeOutcome::Changed,
            Err(_) => ChangeAssigneeOutcome::Refused,
        };
        let changed = changed.unwrap_or_default();
        ChangeAssigneeResult {
            conversation_id: change.conversation_id.clone(),
            outcome: outcome.into(),
            epoch: changed.epoch,
            change_time: changed.change_time,
        }
    }

    fn change_assignee(
        row: &mut FakeConversation,
        request: &ChangeAssigneeRequest,
    ) -> Result<ChangeAssigneeResponse, Status> {
        let conversation = &mut row.conversation;
        if conversation.epoch != request.expected_epoch {
            let epoch = ("epoch", conversation.epoch.to_string());
            return Err(refused(Code::Aborted, "OWNERSHIP_CHANGED", [epoch]));
        }
        if request.only_if_visitor_waits && conversation.waiting_since_time.is_none() {
            return Err(refused(Code::FailedPrecondition, "VISITOR_NOT_WAITING", []));
        }
        let (kind, id, name) = (ActorKind::Agent.into(), request.agent_id.clone(), request.agent_name.clone());
        let assignee = Some(Actor { kind, id, name }).filter(|agent| !agent.id.is_empty());
        let previous_owner = conversation.assignee.clone();
        let changes = conversation.assignee != assignee;
        if changes {
            conversation.assignee = assignee;
            conversation.epoch += 1;
            conversation.last_activity_time = Some(microsecond(i64::from(conversation.epoch) * 10));
        }
        Ok(ChangeAssigneeResponse {
            previous_owner,
            epoch: conversation.epoch,
            change_time: conversation.last_activity_time.filter(|_| changes),
            conversation: Some(conversation.clone()),
        })
    }

    /// Posts the first text.
    fn post_channel_message(
        row: &mut FakeConversation,
        request: &PostChannelMessageRequest,
    ) -> Result<PostChannelMessageResponse, Status> {
        if row.conversation.epoch != request.expected_epoch || row.conversation.assignee.is_some() {
            let epoch = ("epoch", row.conversation.epoch.to_string());
            return Err(refused(Code::Aborted, "OWNERSHIP_CHANGED", [epoch]));
        }
        let text = request.texts.first().map(|text| text.text.clone()).unwrap_or_default();
        row.append(ActorKind::System, Message { text, ..Message::default() });
        Ok(PostChannelMessageResponse { conversation: Some(row.conversation.clone()) })
    }

    fn post_bot_message(
        row: &mut FakeConversation,
        request: &PostBotMessageRequest,
    ) -> Result<PostBotMessageResponse, Status> {
        row.require_in_charge(&request.bot_session_id)?;
        let (text, buttons) = (request.text.clone(), request.buttons.clone());
        Ok(row.post_as_bot(&request.request_id, Message { text, buttons, ..Message::default() }))
    }
}

impl FakeConversation {
    /// Posts a text as the bot, once for each request id.
    pub fn post_once(&mut self, request_id: &str, text: &str) -> PostBotMessageResponse {
        let posted = self.entries.iter().find(|entry| entry.request_id == request_id).cloned();
        match posted {
            Some(entry) => PostBotMessageResponse { entry: Some(entry) },
            None => self.post_as_bot(request_id, Message { text: text.to_owned(), ..Message::default() }),
        }
    }

    fn post_as_bot(&mut self, request_id: &str, message: Message) -> PostBotMessageResponse {
        self.append(ActorKind::Bot, message);
        let entry = self.entries.last_mut().map(|entry| {
            entry.request_id = request_id.to_owned();
            entry.clone()
        });
        PostBotMessageResponse { entry }
    }

    /// Appends a message to the thread and returns its sequence.
    pub fn append(&mut self, author: ActorKind, message: Message) -> i32 {
        let sequence = self.last_sequence() + 1;
        let author = Some(Actor { kind: author.into(), ..Actor::default() });
        let content = Some(Content::Message(message));
        // The visitor sees every message.
        self.entries.push(Entry { sequence, visitor_sequence: sequence, author, content, ..Entry::default() });
        sequence
    }

    /// Texts of the messages of this kind of author, oldest first.
    pub fn texts_of(&self, author: ActorKind) -> Vec<String> {
        let entries = self.entries.iter().filter(|entry| entry.author.as_ref().is_some_and(|a| a.kind() == author));
        let texts = entries.filter_map(|entry| match &entry.content {
            Some(Content::Message(message)) => Some(message.text.clone()),
            _ => None,
        });
        texts.collect()
    }

    /// Ends the bot session in charge, as a takeover does.
    pub fn release(&mut self) {
        self.conversation.bot_session = None;
    }

    fn require_in_charge(&self, session: &str) -> Result<(), Status> {
        match &self.conversation.bot_session {
            Some(in_charge) if in_charge.bot_session_id == session => Ok(()),
            _ => Err(refused(Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE", [])),
        }
    }

    /// Answers a request id as at first, refuses it with other content, and applies `change` when it is new.
    fn once<Q: prost::Message, R: prost::Message + Default>(
        &mut self,
        request_id: &str,
        request: &Q,
        change: impl FnOnce(&mut Self, &Q) -> Result<R, Status>,
    ) -> Result<R, Status> {
        let content = request.encode_to_vec();
        match self.responses.get(request_id) {
            Some((first, response)) if *first == content => {
                return R::decode(response.as_slice()).map_err(|error| Status::internal(error.to_string()));
            }
            Some(_) => return Err(refused(Code::FailedPrecondition, "REQUEST_ID_REUSED", [])),
            None => {}
        }
        let response = change(self, request)?;
        self.responses.insert(request_id.to_owned(), (content, response.encode_to_vec()));
        Ok(response)
    }

    /// A page of the thread; CURSOR_OUT_OF_RANGE after its end.
    pub fn page(&self, request: &ListEntriesRequest) -> Result<ListEntriesResponse, Status> {
        if request.after_sequence > self.last_sequence() {
            let last = ("last_sequence", self.last_sequence().to_string());
            return Err(refused(Code::OutOfRange, "CURSOR_OUT_OF_RANGE", [last]));
        }
        let until = if request.until_sequence == 0 { i32::MAX } else { request.until_sequence };
        let wanted = |entry: &&Entry| entry.sequence > request.after_sequence && entry.sequence <= until;
        let rest: Vec<Entry> = self.entries.iter().filter(wanted).cloned().collect();
        let size = usize::try_from(request.page_size).ok().filter(|size| *size > 0).unwrap_or(200);
        let has_more = rest.len() > size;
        Ok(ListEntriesResponse { entries: rest.into_iter().take(size).collect(), has_more })
    }

    fn last_sequence(&self) -> i32 {
        i32::try_from(self.entries.len()).expect("the number of entries of a test")
    }
}

/// A refusal as the conversation service gives it, with the domain that has the reason.
pub fn refused<const N: usize>(code: Code, reason: &str, metadata: [(&str, String); N]) -> Status {
    let metadata: HashMap<String, String> = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    let shared = error::v1::Reason::from_str_name(&format!("REASON_{reason}")).is_some();
    let domain = if shared { "frontdesk" } else { "conversation.frontdesk" };
    let details = ErrorDetails::with_error_info(reason, domain, metadata);
    Status::with_error_details(code, reason.to_lowercase(), details)
}

fn microsecond(number: i64) -> Timestamp {
    frontdesk_clock::Time(number).to_proto()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use frontdesk_proto::conversation::internal::v1::arbiter_service_client::ArbiterServiceClient;

    use super::*;
    use crate::{new_id, reason};

    #[tokio::test]
    async fn an_owner_changes_at_the_expected_epoch_and_a_repeat_gets_the_first_answer() {
        let (fake, conversations, id) = (FakeServices::default(), FakeConversations::default(), new_id());
        conversations.serve_by(&fake);
        conversations.add(id);
        let mut client = ArbiterServiceClient::connect(fake.serve().await).await.unwrap();
        let take = |agent: &str, epoch, request_id: &str| ChangeAssigneeRequest {
            conversation_id: id.to_string(),
            expected_epoch: epoch,
            agent_id: agent.into(),
            request_id: request_id.into(),
            ..ChangeAssigneeRequest::default()
        };
        let first = client.change_assignee(take("ada", 1, "a")).await.unwrap().into_inner();
        assert_eq!(first.epoch, 2);
        let late = client.change_assignee(take("bob", 1, "b")).await.unwrap_err();
        assert_eq!(reason(&late), "OWNERSHIP_CHANGED");
        client.change_assignee(take("bob", 2, "b")).await.unwrap();
        assert_eq!(client.change_assignee(take("ada", 1, "a")).await.unwrap().into_inner(), first);
        let reused = client.change_assignee(take("cy", 1, "a")).await.unwrap_err();
        assert_eq!(reason(&reused), "REQUEST_ID_REUSED");
        assert_eq!(conversations.with(id, |row| row.conversation.assignee.clone().unwrap().id), "bob");
    }
}
