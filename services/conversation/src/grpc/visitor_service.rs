//! `VisitorService`: the calls of the widget.

use frontdesk_api::{ApiError, WatchTarget, parse_id, parse_optional_id, validated, watch_stream};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, visitor_service_server::VisitorService};
use tonic::{Request, Response, Status};

use super::{
    ResponseStream,
    convert::{self, require_text},
};
use crate::{
    App,
    commands::{self, ChooseButton, SendMessage, StartChat},
    domain::Entry,
    queries::{self, DisplayNames},
};

/// Serves `VisitorService`.
pub(crate) struct Visitors(pub(crate) App);

#[tonic::async_trait]
impl VisitorService for Visitors {
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
        let chat = commands::start_chat(&self.0, &caller, command).await?;
        let names = queries::find_owner_names(&self.0, &caller, chat.owner).await?;
        Ok(Response::new(pb::StartChatResponse { chat: Some(convert::chat(&chat, &names)) }))
    }

    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        require_text(&request.text)?;
        let command = SendMessage {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            text: request.text,
        };
        let entry = commands::send_message(&self.0, &caller, command).await?;
        Ok(Response::new(pb::SendMessageResponse { entry: Some(own_entry(&entry)?) }))
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
        Ok(Response::new(pb::ChooseButtonResponse { entry: Some(own_entry(&entry)?) }))
    }

    async fn get_chat(&self, request: Request<pb::GetChatRequest>) -> Result<Response<pb::GetChatResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (chat, names) = queries::get_chat(&self.0, &caller, parse_id("chat_id", &request.chat_id)?).await?;
        Ok(Response::new(pb::GetChatResponse { chat: Some(convert::chat(&chat, &names)) }))
    }

    async fn list_chats(
        &self,
        request: Request<pb::ListChatsRequest>,
    ) -> Result<Response<pb::ListChatsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = parse_optional_id("channel_id", &request.channel_id)?;
        let (chats, names) = queries::list_chats(&self.0, &caller, channel).await?;
        let chats = chats.iter().map(|chat| convert::chat(chat, &names)).collect();
        Ok(Response::new(pb::ListChatsResponse { chats }))
    }

    type WatchChatStream = ResponseStream<pb::WatchChatResponse>;

    async fn watch_chat(
        &self,
        request: Request<pb::WatchChatRequest>,
    ) -> Result<Response<Self::WatchChatStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("chat_id", &request.chat_id)?;
        queries::get_chat(&self.0, &caller, id).await?;
        let (changes, reads) = (self.0.notifier.subscribe(id), self.0.chat_reads.clone());
        let target = WatchTarget { id, cursor: request.after_visitor_sequence, changes, reads };
        let (app, shutdown) = (self.0.clone(), self.0.shutdown.clone());
        let read = move |after| {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let (page, names) = queries::watch_chat_entries(&app, &caller, id, after).await?;
                let visible = page.entries.iter().filter_map(|entry| convert::chat_entry(entry, &names));
                let response =
                    |entry: pb::ChatEntry| (entry.visitor_sequence, pb::WatchChatResponse { entry: Some(entry) });
                Ok(visible.map(response).collect())
            }
        };
        Ok(Response::new(Box::pin(watch_stream(target, shutdown, read))))
    }
}

/// The entry of a message that the visitor wrote.
fn own_entry(entry: &Entry) -> Result<pb::ChatEntry, Status> {
    convert::chat_entry(entry, &DisplayNames::default())
        .ok_or_else(|| ApiError::internal(&"a visitor's own message is not visible to the visitor").into())
}
