//! A conversation service in memory: rows and threads, changed under one lock, repeats answered as the first.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use frontdesk_api::ApiError;
use frontdesk_clock::Time;
use frontdesk_proto::conversation::v1::{
    Actor, ActorKind, ChangeAssigneeRequest, ChangeAssigneeResponse, CloseConversationRequest,
    CloseConversationResponse, CloseIdleConversationsRequest, CloseIdleConversationsResponse, Entry,
    GetClosingFactsRequest, GetClosingFactsResponse, GetConversationRequest, GetConversationResponse,
    HandOffConversationRequest, HandOffConversationResponse, IdleOutcome, IdleResult, LinkContactRequest,
    LinkContactResponse, ListConversationsRequest, ListConversationsResponse, ListEntriesRequest, ListEntriesResponse,
    Message, PostCommentRequest, PostCommentResponse, PostMessageRequest, PostMessageResponse, RecordAnswerRequest,
    RecordAnswerResponse, ReopenConversationRequest, ReopenConversationResponse, WatchThreadRequest,
    conversation_service_server::ConversationService, entry::Content, thread_service_server::ThreadService,
};
use tonic::{Code, Request, Response, Status, codegen::BoxStream};
use uuid::Uuid;

#[derive(Default)]
struct Row {
    in_charge: String,
    thread: Vec<Entry>,
    answered: HashMap<String, (String, i64)>,
    answers: Vec<(String, String)>,
    handed_off: Vec<String>,
    closed: usize,
}

/// What became of an idle conversation, and when to ask again.
type Told = (IdleOutcome, Option<Time>);

#[derive(Clone, Default)]
pub struct Arbiter {
    rows: Arc<Mutex<HashMap<String, Row>>>,
    /// Addresses that are refused as answers.
    pub refused: Arc<Mutex<HashSet<String>>>,
    /// What the timers are told; none: they cannot ask.
    pub idle: Arc<Mutex<Option<Told>>>,
    pub idle_calls: Arc<AtomicUsize>,
    /// The next message is kept, and its answer is lost.
    pub lose_an_answer: Arc<AtomicBool>,
    /// How often a thread was read.
    pub list_calls: Arc<AtomicUsize>,
    /// Entries on a page at most; 0: two.
    pub page: Arc<AtomicUsize>,
    /// Reading a thread is refused so.
    pub unreadable: Arc<Mutex<Option<Code>>>,
}

impl Arbiter {
    pub fn open(&self, conversation: Uuid, session: Uuid) {
        let row = Row { in_charge: session.to_string(), ..Row::default() };
        self.rows.lock().unwrap().insert(conversation.to_string(), row);
    }

    fn with<T>(&self, conversation: Uuid, see: impl FnOnce(&mut Row) -> T) -> T {
        see(self.rows.lock().unwrap().get_mut(&conversation.to_string()).unwrap())
    }

    /// A person takes the conversation.
    pub fn take_over(&self, conversation: Uuid) {
        self.with(conversation, |row| row.in_charge.clear());
    }

    pub fn visitor_says(&self, conversation: Uuid, text: &str, button: &str) -> i64 {
        let message = Message { text: text.into(), chosen_button_id: button.into(), ..Message::default() };
        self.with(conversation, |row| add(row, ActorKind::Visitor, message))
    }

    /// What the bot said.
    pub fn said(&self, conversation: Uuid) -> Vec<String> {
        self.with(conversation, |row| {
            let by_bot = |entry: &&Entry| entry.author.as_ref().unwrap().kind() == ActorKind::Bot;
            row.thread.iter().filter(by_bot).map(|entry| message(entry).text.clone()).collect()
        })
    }

    /// The visitor's sequence of answers that were kept.
    pub fn answers(&self, conversation: Uuid) -> Vec<(String, String)> {
        self.with(conversation, |row| row.answers.clone())
    }

    pub fn handed_off(&self, conversation: Uuid) -> Vec<String> {
        self.with(conversation, |row| row.handed_off.clone())
    }

    pub fn closed(&self, conversation: Uuid) -> usize {
        self.with(conversation, |row| row.closed)
    }

    fn in_charge<T>(
        &self,
        conversation: &str,
        session: &str,
        act: impl FnOnce(&mut Row) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(conversation).ok_or_else(|| refuse(Code::NotFound, "NOT_FOUND"))?;
        if row.in_charge != session {
            return Err(refuse(Code::Aborted, "BOT_SESSION_NOT_IN_CHARGE"));
        }
        act(row)
    }

    fn post(&self, request: &PostMessageRequest) -> Result<Entry, Status> {
        let content = format!("{} {:?}", request.text, request.buttons);
        let sequence = self.in_charge(&request.conversation_id, &request.bot_session_id, |row| {
            match row.answered.get(&request.request_id) {
                Some((first, sequence)) if *first == content => return Ok(*sequence),
                Some(_) => return Err(refuse(Code::FailedPrecondition, "REQUEST_ID_REUSED")),
                None => {}
            }
            let message = Message { text: request.text.clone(), ..Message::default() };
            let sequence = add(row, ActorKind::Bot, message);
            row.answered.insert(request.request_id.clone(), (content, sequence));
            Ok(sequence)
        })?;
        Ok(Entry { sequence, ..Entry::default() })
    }
}

fn refuse(code: Code, reason: &str) -> Status {
    ApiError::new(code, "conversation.frontdesk", reason, reason.to_lowercase()).into()
}

fn add(row: &mut Row, kind: ActorKind, message: Message) -> i64 {
    let sequence = row.thread.len() as i64 + 1;
    let author = Some(Actor { kind: kind.into(), ..Actor::default() });
    row.thread.push(Entry { sequence, author, content: Some(Content::Message(message)), ..Entry::default() });
    sequence
}

fn message(entry: &Entry) -> &Message {
    match entry.content.as_ref().unwrap() {
        Content::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[tonic::async_trait]
impl ThreadService for Arbiter {
    type WatchThreadStream = BoxStream<frontdesk_proto::conversation::v1::WatchThreadResponse>;

    async fn post_message(
        &self,
        request: Request<PostMessageRequest>,
    ) -> Result<Response<PostMessageResponse>, Status> {
        assert!(request.metadata().get("x-frontdesk-actor").unwrap().to_str().unwrap().starts_with("bot:"));
        let entry = self.post(request.get_ref())?;
        if self.lose_an_answer.swap(false, Ordering::SeqCst) {
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(Response::new(PostMessageResponse { entry: Some(entry) }))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        self.list_calls.fetch_add(1, Ordering::SeqCst);
        if let Some(code) = *self.unreadable.lock().unwrap() {
            return Err(Status::new(code, "unreadable"));
        }
        let request = request.into_inner();
        assert_eq!(request.page_size, 50);
        let rows = self.rows.lock().unwrap();
        let row = rows.get(&request.conversation_id).ok_or_else(|| refuse(Code::NotFound, "NOT_FOUND"))?;
        // Pages of two, as if cut by bytes, so that a reader has to go on.
        let size = Some(self.page.load(Ordering::SeqCst)).filter(|size| *size > 0).unwrap_or(2);
        let rest: Vec<Entry> =
            row.thread.iter().filter(|entry| entry.sequence > request.after_sequence).cloned().collect();
        let has_more = rest.len() > size;
        Ok(Response::new(ListEntriesResponse { entries: rest.into_iter().take(size).collect(), has_more }))
    }

    async fn post_comment(&self, _: Request<PostCommentRequest>) -> Result<Response<PostCommentResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn watch_thread(&self, _: Request<WatchThreadRequest>) -> Result<Response<Self::WatchThreadStream>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl ConversationService for Arbiter {
    async fn link_contact(&self, _: Request<LinkContactRequest>) -> Result<Response<LinkContactResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_closing_facts(
        &self,
        _: Request<GetClosingFactsRequest>,
    ) -> Result<Response<GetClosingFactsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn record_answer(
        &self,
        request: Request<RecordAnswerRequest>,
    ) -> Result<Response<RecordAnswerResponse>, Status> {
        let request = request.into_inner();
        if self.refused.lock().unwrap().contains(&request.value) {
            return Err(refuse(Code::InvalidArgument, "INVALID_FIELDS"));
        }
        self.in_charge(&request.conversation_id, &request.bot_session_id, |row| {
            let answer = (request.property.clone(), request.value.clone());
            if row.answers.last() != Some(&answer) {
                row.answers.push(answer);
            }
            Ok(())
        })?;
        Ok(Response::new(RecordAnswerResponse::default()))
    }

    async fn hand_off_conversation(
        &self,
        request: Request<HandOffConversationRequest>,
    ) -> Result<Response<HandOffConversationResponse>, Status> {
        let request = request.into_inner();
        self.in_charge(&request.conversation_id, &request.bot_session_id, |row| {
            row.in_charge.clear();
            row.handed_off.push(request.reason.clone());
            Ok(())
        })?;
        Ok(Response::new(HandOffConversationResponse::default()))
    }

    async fn close_conversation(
        &self,
        request: Request<CloseConversationRequest>,
    ) -> Result<Response<CloseConversationResponse>, Status> {
        let request = request.into_inner();
        self.in_charge(&request.conversation_id, &request.bot_session_id, |row| {
            row.in_charge.clear();
            row.closed += 1;
            Ok(())
        })?;
        Ok(Response::new(CloseConversationResponse::default()))
    }

    async fn close_idle_conversations(
        &self,
        request: Request<CloseIdleConversationsRequest>,
    ) -> Result<Response<CloseIdleConversationsResponse>, Status> {
        self.idle_calls.fetch_add(1, Ordering::SeqCst);
        let answer = *self.idle.lock().unwrap();
        let (outcome, time) = answer.ok_or_else(|| Status::unavailable("not now"))?;
        let results = request.into_inner().conversations.into_iter().map(|idle| IdleResult {
            conversation_id: idle.conversation_id,
            outcome: outcome.into(),
            idle_time: time.map(Time::to_proto),
        });
        Ok(Response::new(CloseIdleConversationsResponse { results: results.collect() }))
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

    async fn reopen_conversation(
        &self,
        _: Request<ReopenConversationRequest>,
    ) -> Result<Response<ReopenConversationResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn change_assignee(
        &self,
        _: Request<ChangeAssigneeRequest>,
    ) -> Result<Response<ChangeAssigneeResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}
