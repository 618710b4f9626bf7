//! `ThreadService`.

use std::collections::HashSet;

use frontdesk_api::{WatchTarget, parse_id, validated, watch_stream};
use frontdesk_auth::{Caller, CallerKind};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, thread_service_server::ThreadService};
use tonic::{Request, Response, Status};

use super::{
    ResponseStream,
    convert::{self, agent, bot_session, invalid, require_text},
};
use crate::{
    App,
    commands::{self, PostComment, PostMessage},
    domain::{AppendMessage, Button},
    queries,
};

/// Number of entries on a page unless the request says.
const DEFAULT_PAGE_SIZE: usize = 200;

/// Serves `ThreadService`.
pub(crate) struct Threads(pub(crate) App);

#[tonic::async_trait]
impl ThreadService for Threads {
    async fn post_message(
        &self,
        request: Request<pb::PostMessageRequest>,
    ) -> Result<Response<pb::PostMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        require_text(&request.text)?;
        let command = PostMessage {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            message: message(&caller, request)?,
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
        let command = PostComment { conversation, agent: agent(&caller)?, text: request.text, key };
        let entry = commands::post_comment(&self.0, &caller, command).await?;
        let names = queries::find_owner_names(&self.0, &caller, entry.author.as_owner()).await?;
        Ok(Response::new(pb::PostCommentResponse { entry: Some(convert::entry(&entry, &names)) }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let size = usize::try_from(request.page_size).ok().filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE_SIZE);
        let until = Some(request.until_sequence).filter(|until| *until > 0);
        let (page, names) = queries::list_entries(&self.0, &caller, id, request.after_sequence, until, size).await?;
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
        queries::get_conversation(&self.0, &caller, id).await?;
        let (changes, reads) = (self.0.notifier.subscribe(id), self.0.thread_reads.clone());
        let target = WatchTarget { id, cursor: request.after_sequence, changes, reads };
        let (app, shutdown) = (self.0.clone(), self.0.shutdown.clone());
        let read = move |after| {
            let (app, account) = (app.clone(), caller.account);
            async move {
                let (page, names) = queries::watch_entries(&app, account, id, after).await?;
                let response = |entry| pb::WatchThreadResponse { entry: Some(convert::entry(entry, &names)) };
                Ok(page.entries.iter().map(|entry| (entry.sequence, response(entry))).collect())
            }
        };
        Ok(Response::new(Box::pin(watch_stream(target, shutdown, read))))
    }
}

/// The message of an agent, or of the bot that a service acts for.
fn message(caller: &Caller, request: pb::PostMessageRequest) -> Result<AppendMessage, Status> {
    let pb::PostMessageRequest { text, expected_epoch, bot_session_id, buttons, .. } = request;
    if caller.kind == CallerKind::Service {
        let session = bot_session(caller, &bot_session_id)?;
        return Ok(AppendMessage::Bot { session, text, buttons: distinct_buttons(buttons)?, expected_epoch });
    }
    if !bot_session_id.is_empty() {
        return Err(invalid("bot_session_id", "must be empty: it is for services"));
    }
    if !buttons.is_empty() {
        return Err(invalid("buttons", "must be empty: they are for bots"));
    }
    Ok(AppendMessage::Agent { agent: agent(caller)?, text, expected_epoch })
}

fn distinct_buttons(buttons: Vec<pb::NewButton>) -> Result<Vec<Button>, Status> {
    let mut ids = HashSet::new();
    if !buttons.iter().all(|button| ids.insert(button.id.as_str())) {
        return Err(invalid("buttons", "must have different ids"));
    }
    Ok(buttons.into_iter().map(|button| Button { id: button.id, label: button.label }).collect())
}
