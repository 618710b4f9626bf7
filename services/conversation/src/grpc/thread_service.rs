//! `ThreadService`.

use frontdesk_api::{CommonUpdates, Items, Signals, WatchTarget, page_size, parse_id, validated, watch_stream};
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    conversation::v1::{
        self as pb, PostCommentRequest, thread_service_server::ThreadService, watch_thread_response::Update,
    },
    watch::v1::{CaughtUp, Heartbeat},
};
use tonic::{Request, Response, Status};

use super::{
    DEFAULT_ENTRIES, MAX_ENTRIES, ResponseStream,
    convert::{self, agent, ids, mentions, message_text, one, require_text, require_text_or, team_member},
};
use crate::{
    App,
    commands::{self, Mark, MarkRead, PostComment, PostMessage},
    domain::{AppendMessage, Message},
    queries,
};

/// Serves `ThreadService`.
pub(crate) struct Threads(pub(crate) App);

#[tonic::async_trait]
impl ThreadService for Threads {
    async fn post_message(
        &self,
        request: Request<pb::PostMessageRequest>,
    ) -> Result<Response<pb::PostMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let (text, rich_text) = one(message_text(request.text, request.rich_text))?;
        require_text_or(&text, !request.insert_ids.is_empty() || !request.attachment_ids.is_empty())?;
        let command = PostMessage {
            inserts: ids("insert_ids", &request.insert_ids)?,
            fills_placeholders: false,
            attachments: ids("attachment_ids", &request.attachment_ids)?,
            key,
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            message: AppendMessage::Team {
                author: team_member(&caller)?,
                message: Message { text, rich_text, ..Message::default() },
                request_id: request.request_id,
                expected_epoch: request.expected_epoch.map(i64::from),
            },
        };
        let (entry, names) = commands::post_message(&self.0, &caller, command).await?;
        Ok(Response::new(pb::PostMessageResponse { entry: Some(convert::entry(&entry, &names)) }))
    }

    async fn post_comment(
        &self,
        request: Request<pb::PostCommentRequest>,
    ) -> Result<Response<pb::PostCommentResponse>, Status> {
        let (caller, request) = validated(request)?;
        require_text(&request.text)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let mentions = one(mentions(&request.text, &request.mentions))?;
        let PostCommentRequest { text, request_id, .. } = request;
        let command = PostComment { conversation, author: team_member(&caller)?, text, mentions, request_id, key };
        let entry = commands::post_comment(&self.0, &caller, command).await?;
        let names = queries::find_author_name(&self.0, &caller, &entry).await?;
        Ok(Response::new(pb::PostCommentResponse { entry: Some(convert::entry(&entry, &names)) }))
    }

    async fn mark_read(&self, request: Request<pb::MarkReadRequest>) -> Result<Response<pb::MarkReadResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = MarkRead {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            agent: agent(&caller)?,
            mark: Mark::Read(request.sequence.into()),
        };
        let state = commands::mark_read(&self.0, &caller, command).await?;
        Ok(Response::new(pb::MarkReadResponse { state: Some(convert::read_state(state)) }))
    }

    async fn mark_unread(
        &self,
        request: Request<pb::MarkUnreadRequest>,
    ) -> Result<Response<pb::MarkUnreadResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = MarkRead {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            agent: agent(&caller)?,
            mark: Mark::Unread(request.sequence.into()),
        };
        let state = commands::mark_read(&self.0, &caller, command).await?;
        Ok(Response::new(pb::MarkUnreadResponse { state: Some(convert::read_state(state)) }))
    }

    async fn signal_typing(
        &self,
        request: Request<pb::ThreadServiceSignalTypingRequest>,
    ) -> Result<Response<pb::ThreadServiceSignalTypingResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        commands::signal_team_typing(&self.0, &caller, id, team_member(&caller)?, request.comment).await?;
        Ok(Response::new(pb::ThreadServiceSignalTypingResponse {}))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let size = page_size(request.page_size, DEFAULT_ENTRIES, MAX_ENTRIES);
        let after = request.after_sequence.into();
        let until = Some(request.until_sequence.into()).filter(|until| *until > 0);
        let (page, names) = queries::list_entries(&self.0, &caller, id, after, until, size).await?;
        let entries = page.entries.iter().map(|entry| convert::entry(entry, &names)).collect();
        Ok(Response::new(pb::ListEntriesResponse { entries, has_more: page.has_more }))
    }

    type WatchThreadStream = ResponseStream<pb::WatchThreadResponse>;

    async fn watch_thread(
        &self,
        request: Request<pb::WatchThreadRequest>,
    ) -> Result<Response<Self::WatchThreadStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let cursor = request.after_sequence.into();
        // Subscribed before the marks are read, so that no change between the two is missed.
        let signals = Signals {
            receiver: self.0.notifier.subscribe_signals(id),
            response: Box::new(|signal| convert::thread_signal(signal).map(watch_response)),
        };
        let marks = queries::begin_watch(&self.0, &caller, id, cursor).await?;
        let (changes, reads) = (self.0.notifier.subscribe(id), self.0.thread_reads.clone());
        let state = Some(watch_response(Update::VisitorMarks(convert::visitor_marks(marks))));
        let (updates, changing_state) = (common_updates(), None);
        let target = WatchTarget { id, cursor, changes, reads, updates, state, changing_state, signals };
        let (app, shutdown) = (self.0.clone(), self.0.shutdown.clone());
        let read = move |after| {
            let (app, account) = (app.clone(), caller.account);
            async move {
                let (page, names) = queries::watch_entries(&app, account, id, after).await?;
                let response = |entry| watch_response(Update::Entry(convert::entry(entry, &names)));
                let items = page.entries.iter().map(|entry| (entry.sequence, response(entry))).collect();
                Ok(Items { items, has_more: page.has_more, state: None })
            }
        };
        Ok(Response::new(Box::pin(watch_stream(target, shutdown, read))))
    }
}

fn watch_response(update: Update) -> pb::WatchThreadResponse {
    pb::WatchThreadResponse { update: Some(update) }
}

fn common_updates() -> CommonUpdates<pb::WatchThreadResponse> {
    CommonUpdates {
        caught_up: watch_response(Update::CaughtUp(CaughtUp {})),
        heartbeat: watch_response(Update::Heartbeat(Heartbeat {})),
    }
}
