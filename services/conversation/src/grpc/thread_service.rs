//! `ThreadService`.

use std::collections::HashSet;

use frontdesk_api::{WatchTarget, parse_id, validated, watch_stream};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, thread_service_server::ThreadService};
use tonic::{Request, Response, Status};

use super::{Answers, Grpc, active_agent, agent, bot_session, convert, refuse, says_something};
use crate::{
    commands::{self, PostComment, PostMessage, Poster},
    domain::{Button, Entry},
    error::ConversationError,
    queries,
    store::names,
};

impl Grpc {
    async fn told_entry(&self, caller: &Caller, entry: &Entry) -> Result<pb::Entry, Status> {
        let read = self.read(caller).await?;
        let conversation = queries::get_conversation(&read.conn(), caller, entry.conversation_id).await?;
        let entries = std::slice::from_ref(entry);
        let names = names::find(&read.conn(), &conversation, entries).await.map_err(ConversationError::from)?;
        Ok(convert::entry(entry, &names))
    }
}

#[tonic::async_trait]
impl ThreadService for Grpc {
    async fn post_message(
        &self,
        request: Request<pb::PostMessageRequest>,
    ) -> Result<Response<pb::PostMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        says_something(&request.text)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let by = match caller.kind {
            CallerKind::Service => Poster::Bot {
                session: bot_session(&caller, &request.bot_session_id)?,
                buttons: buttons(request.buttons)?,
            },
            _ if !request.bot_session_id.is_empty() => {
                return Err(refuse("bot_session_id", "must be empty: it is for services"));
            }
            _ if !request.buttons.is_empty() => return Err(refuse("buttons", "must be empty: they are for bots")),
            _ => Poster::Agent(agent(&caller)?),
        };
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let command = PostMessage { conversation, by, text: request.text, expected_epoch: request.expected_epoch, key };
        let mut posted = commands::post_message(&self.0, &caller, command.clone()).await;
        if matches!(posted, Err(ConversationError::AgentUnknown)) {
            active_agent(&self.0, &caller).await?;
            posted = commands::post_message(&self.0, &caller, command).await;
        }
        let (entry, names) = posted?;
        Ok(Response::new(pb::PostMessageResponse { entry: Some(convert::entry(&entry, &names)) }))
    }

    async fn post_comment(
        &self,
        request: Request<pb::PostCommentRequest>,
    ) -> Result<Response<pb::PostCommentResponse>, Status> {
        let (caller, request) = validated(request)?;
        says_something(&request.text)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = PostComment { conversation, agent: agent(&caller)?, text: request.text, key };
        let entry = commands::post_comment(&self.0, &caller, command).await?;
        Ok(Response::new(pb::PostCommentResponse { entry: Some(self.told_entry(&caller, &entry).await?) }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let size = if request.page_size == 0 { 200 } else { usize::try_from(request.page_size).unwrap_or(200) };
        let until = Some(request.until_sequence).filter(|until| *until > 0);
        let read = self.read(&caller).await?;
        let conversation = queries::get_conversation(&read.conn(), &caller, id).await?;
        let (listed, names) =
            queries::list_entries(&read.conn(), &conversation, request.after_sequence, until, size).await?;
        let entries = listed.entries.iter().map(|entry| convert::entry(entry, &names)).collect();
        let has_more = listed.more;
        Ok(Response::new(pb::ListEntriesResponse { entries, has_more }))
    }

    type WatchThreadStream = Answers<pb::WatchThreadResponse>;

    async fn watch_thread(
        &self,
        request: Request<pb::WatchThreadRequest>,
    ) -> Result<Response<Self::WatchThreadStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        queries::get_conversation(&self.read(&caller).await?.conn(), &caller, id).await?;
        let (hints, reads) = (self.0.hints.subscribe(id), self.0.thread_reads.clone());
        let followed = WatchTarget { id, cursor: request.after_sequence, changes: hints, reads };
        let app = self.0.clone();
        let shutdown = app.shutdown.clone();
        let read = move |after| {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let conversation = queries::get_conversation(app.db.read(), &caller, id).await?;
                let (listed, names) = queries::list_entries(app.db.read(), &conversation, after, None, 100).await?;
                let told = |entry: &Entry| {
                    (entry.sequence, pb::WatchThreadResponse { entry: Some(convert::entry(entry, &names)) })
                };
                Ok(listed.entries.iter().map(told).collect())
            }
        };
        Ok(Response::new(Box::pin(watch_stream(followed, shutdown, read))))
    }
}

/// Buttons with ids of their own.
fn buttons(buttons: Vec<pb::NewButton>) -> Result<Vec<Button>, Status> {
    let mut ids = HashSet::new();
    if !buttons.iter().all(|button| ids.insert(button.id.as_str())) {
        return Err(refuse("buttons", "must have different ids"));
    }
    Ok(buttons.into_iter().map(|button| Button { id: button.id, label: button.label }).collect())
}
