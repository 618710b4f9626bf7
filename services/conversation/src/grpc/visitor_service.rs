//! `VisitorService`: the widget's side.

use frontdesk_api::{ApiError, WatchTarget, parse_id, parse_optional_id, validated, watch_stream};
use frontdesk_db::Read;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, visitor_service_server::VisitorService};
use tonic::{Request, Response, Status};

use super::{Answers, Grpc, convert, says_something};
use crate::{
    commands::{self, ChooseButton, SendMessage, StartChat},
    domain::{Conversation, Entry},
    error::ConversationError,
    queries,
    store::{conversations, names},
};

impl Grpc {
    async fn chats(read: &Read, conversations: &[Conversation]) -> Result<Vec<pb::Chat>, Status> {
        let Some(first) = conversations.first() else { return Ok(Vec::new()) };
        let owners: Vec<_> = conversations.iter().filter_map(Conversation::owner).collect();
        let names =
            names::find_owners(&read.conn(), first.row.account_id, owners).await.map_err(ConversationError::from)?;
        Ok(conversations.iter().map(|conversation| convert::chat(conversation, &names)).collect())
    }

    /// A line that the visitor themselves just wrote.
    fn own_line(entry: &Entry) -> Result<Option<pb::ChatEntry>, Status> {
        let line = convert::chat_entry(entry, &names::Names::default());
        line.map(Some).ok_or_else(|| ApiError::internal(&"a visitor's message that the visitor does not see").into())
    }
}

#[tonic::async_trait]
impl VisitorService for Grpc {
    async fn start_chat(
        &self,
        request: Request<pb::StartChatRequest>,
    ) -> Result<Response<pb::StartChatResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = StartChat {
            key: Key::new(&caller, &request.request_id, &request),
            channel: parse_id("channel_id", &request.channel_id)?,
            page_url: request.page_url,
            page_title: request.page_title,
            text: request.text,
        };
        let conversation = commands::start_chat(&self.0, &caller, command).await?;
        let read = self.read(&caller).await?;
        Ok(Response::new(pb::StartChatResponse { chat: Self::chats(&read, &[conversation]).await?.pop() }))
    }

    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        says_something(&request.text)?;
        let command = SendMessage {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            text: request.text,
        };
        let entry = commands::send_message(&self.0, &caller, command).await?;
        Ok(Response::new(pb::SendMessageResponse { entry: Self::own_line(&entry)? }))
    }

    async fn choose_button(
        &self,
        request: Request<pb::ChooseButtonRequest>,
    ) -> Result<Response<pb::ChooseButtonResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = ChooseButton {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            visitor_sequence: request.visitor_sequence,
            button_id: request.button_id,
        };
        let entry = commands::choose_button(&self.0, &caller, command).await?;
        Ok(Response::new(pb::ChooseButtonResponse { entry: Self::own_line(&entry)? }))
    }

    async fn get_chat(&self, request: Request<pb::GetChatRequest>) -> Result<Response<pb::GetChatResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("chat_id", &request.chat_id)?;
        let read = self.read(&caller).await?;
        let chat = queries::get_chat(&read.conn(), &caller, id).await?;
        Ok(Response::new(pb::GetChatResponse { chat: Self::chats(&read, &[chat]).await?.pop() }))
    }

    async fn list_chats(
        &self,
        request: Request<pb::ListChatsRequest>,
    ) -> Result<Response<pb::ListChatsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = parse_optional_id("channel_id", &request.channel_id)?;
        let read = self.read(&caller).await?;
        let rows = conversations::list_of_visitor(&read.conn(), caller.account, &caller.actor.id, channel)
            .await
            .map_err(ConversationError::from)?;
        Ok(Response::new(pb::ListChatsResponse { chats: Self::chats(&read, &rows).await? }))
    }

    type WatchChatStream = Answers<pb::WatchChatResponse>;

    async fn watch_chat(
        &self,
        request: Request<pb::WatchChatRequest>,
    ) -> Result<Response<Self::WatchChatStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("chat_id", &request.chat_id)?;
        queries::get_chat(&self.read(&caller).await?.conn(), &caller, id).await?;
        let (hints, reads) = (self.0.hints.subscribe(id), self.0.chat_reads.clone());
        let followed = WatchTarget { id, cursor: request.after_visitor_sequence, changes: hints, reads };
        let app = self.0.clone();
        let shutdown = app.shutdown.clone();
        let read = move |after| {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let chat = queries::get_chat(app.db.read(), &caller, id).await?;
                let (listed, names) = queries::list_visible(app.db.read(), &chat, after, 100).await?;
                let told = |entry: &Entry| {
                    let line = convert::chat_entry(entry, &names)?;
                    Some((line.visitor_sequence, pb::WatchChatResponse { entry: Some(line) }))
                };
                Ok(listed.entries.iter().filter_map(told).collect())
            }
        };
        Ok(Response::new(Box::pin(watch_stream(followed, shutdown, read))))
    }
}
