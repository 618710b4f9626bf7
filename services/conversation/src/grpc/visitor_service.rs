//! `VisitorService`: the calls of the widget.

use frontdesk_api::{
    ApiError, ChangingState, CommonUpdates, Items, Signals, WatchTarget, page_size, parse_id, parse_optional_id,
    validated, watch_stream,
};
use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    conversation::v1::{self as pb, visitor_service_server::VisitorService, watch_chat_response::Update},
    watch::v1::{CaughtUp, Heartbeat},
};
use futures::stream;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    DEFAULT_ENTRIES, MAX_ENTRIES, ResponseStream,
    convert::{self, email, ids, one, require_text, require_text_or},
};
use crate::{
    App,
    commands::{
        self, AttachmentUse, ChooseButton, CreateAnonymousVisitor, CreateAttachment, DeleteAttachment, LeaveAddress,
        RequestAddressCode, SendMessage, StartChat, VerifyAddress,
    },
    domain::{AboutPlace, Actor, Entry, VisitorMarks},
    queries::{self, DisplayNames},
};

/// Maximum length of an origin that is compared and shown (characters): no allowed one is longer.
const MAX_ORIGIN: usize = 301;
/// Metadata in which a browser names the origin of its page.
const ORIGIN: &str = "origin";

/// Serves `VisitorService`.
pub(crate) struct Visitors(pub(crate) App);

#[tonic::async_trait]
impl VisitorService for Visitors {
    async fn create_anonymous_visitor(
        &self,
        request: Request<pb::CreateAnonymousVisitorRequest>,
    ) -> Result<Response<pb::CreateAnonymousVisitorResponse>, Status> {
        let origin = request.metadata().get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let origin = origin.map(|origin| origin.chars().take(MAX_ORIGIN).collect());
        let (caller, request) = validated(request)?;
        let command = CreateAnonymousVisitor { origin, previous_token: request.previous_token };
        let (token, renewed) = commands::create_anonymous_visitor(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateAnonymousVisitorResponse {
            visitor_token: token.token,
            expire_time: Some(token.expires_at.to_proto()),
            renew_time: Some(token.renew_at.to_proto()),
            renewed,
        }))
    }

    async fn claim_anonymous_chats(
        &self,
        request: Request<pb::ClaimAnonymousChatsRequest>,
    ) -> Result<Response<pb::ClaimAnonymousChatsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let remaining = commands::claim_anonymous_chats(&self.0, &caller, &request.anonymous_token).await?;
        let remaining_chat_id = remaining.map(|chat| chat.to_string()).unwrap_or_default();
        Ok(Response::new(pb::ClaimAnonymousChatsResponse { remaining_chat_id }))
    }

    async fn get_widget(
        &self,
        request: Request<pb::GetWidgetRequest>,
    ) -> Result<Response<pb::GetWidgetResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = parse_id("channel_id", &request.channel_id)?;
        let widget = queries::get_widget(&self.0, &caller, channel).await?;
        Ok(Response::new(pb::GetWidgetResponse { widget: Some(convert::widget(&widget)) }))
    }

    async fn leave_address(
        &self,
        request: Request<pb::LeaveAddressRequest>,
    ) -> Result<Response<pb::LeaveAddressResponse>, Status> {
        let (caller, request) = validated(request)?;
        let email = one(email(&request.email))?.unwrap_or_default();
        let command = LeaveAddress {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            email: email.clone(),
        };
        commands::leave_address(&self.0, &caller, command).await?;
        Ok(Response::new(pb::LeaveAddressResponse { email }))
    }

    async fn request_address_code(
        &self,
        request: Request<pb::RequestAddressCodeRequest>,
    ) -> Result<Response<pb::RequestAddressCodeResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = RequestAddressCode {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            email: one(email(&request.email))?.unwrap_or_default(),
            request_id: request.request_id,
        };
        commands::request_address_code(&self.0, &caller, command).await?;
        Ok(Response::new(pb::RequestAddressCodeResponse {}))
    }

    async fn verify_address(
        &self,
        request: Request<pb::VerifyAddressRequest>,
    ) -> Result<Response<pb::VerifyAddressResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = VerifyAddress {
            chat: parse_id("chat_id", &request.chat_id)?,
            email: one(email(&request.email))?.unwrap_or_default(),
            code: request.code,
        };
        commands::verify_address(&self.0, &caller, command).await?;
        Ok(Response::new(pb::VerifyAddressResponse {}))
    }

    async fn start_chat(
        &self,
        request: Request<pb::StartChatRequest>,
    ) -> Result<Response<pb::StartChatResponse>, Status> {
        let (caller, request) = validated(request)?;
        if !request.text.is_empty() {
            require_text(&request.text)?;
        }
        let key = Key::new(&caller, &request.request_id, &request);
        let context = convert::start_context(&request);
        let channel = parse_id("channel_id", &request.channel_id)?;
        let command = StartChat { channel, context, text: request.text, request_id: request.request_id, key };
        let started = commands::start_chat(&self.0, &caller, command).await?;
        let names = queries::find_owner_names(&self.0, &caller, started.conversation.owner).await?;
        Ok(Response::new(pb::StartChatResponse {
            chat: Some(convert::chat(&started.conversation, &names)),
            entry: started.entry.as_ref().map(own_entry).transpose()?,
            resumed: started.resumed,
        }))
    }

    async fn send_message(
        &self,
        request: Request<pb::SendMessageRequest>,
    ) -> Result<Response<pb::SendMessageResponse>, Status> {
        let (caller, request) = validated(request)?;
        require_text_or(&request.text, !request.attachment_ids.is_empty())?;
        let command = SendMessage {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            attachments: ids("attachment_ids", &request.attachment_ids)?,
            text: request.text,
            request_id: request.request_id,
        };
        let entry = commands::send_message(&self.0, &caller, command).await?;
        Ok(Response::new(pb::SendMessageResponse { entry: Some(own_entry(&entry)?) }))
    }

    async fn create_chat_attachment(
        &self,
        request: Request<pb::CreateChatAttachmentRequest>,
    ) -> Result<Response<pb::CreateChatAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateAttachment {
            key: Key::new(&caller, &request.request_id, &request),
            usage: AttachmentUse::Chat(parse_id("chat_id", &request.chat_id)?),
            by: Actor::visitor(&caller.actor.id),
            file_name: request.file_name,
            media_type: request.media_type,
            size: request.size_bytes.into(),
        };
        let (attachment, upload) = commands::create_attachment(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateChatAttachmentResponse {
            attachment: Some(convert::attachment(&attachment)),
            upload: upload.map(convert::upload_target),
        }))
    }

    async fn get_chat_attachment(
        &self,
        request: Request<pb::GetChatAttachmentRequest>,
    ) -> Result<Response<pb::GetChatAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let chat = parse_id("chat_id", &request.chat_id)?;
        let id = parse_id("attachment_id", &request.attachment_id)?;
        let attachment = queries::get_chat_attachment(&self.0, &caller, chat, id).await?;
        Ok(Response::new(pb::GetChatAttachmentResponse { attachment: Some(convert::attachment(&attachment)) }))
    }

    async fn create_chat_attachment_link(
        &self,
        request: Request<pb::CreateChatAttachmentLinkRequest>,
    ) -> Result<Response<pb::CreateChatAttachmentLinkResponse>, Status> {
        let (caller, request) = validated(request)?;
        let chat = parse_id("chat_id", &request.chat_id)?;
        let id = parse_id("attachment_id", &request.attachment_id)?;
        let sequence = request.visitor_sequence.into();
        let link = commands::create_chat_attachment_link(&self.0, &caller, chat, sequence, id).await?;
        let expire_time = Some(link.expires_at.to_proto());
        Ok(Response::new(pb::CreateChatAttachmentLinkResponse { url: link.url, expire_time }))
    }

    async fn delete_chat_attachment(
        &self,
        request: Request<pb::DeleteChatAttachmentRequest>,
    ) -> Result<Response<pb::DeleteChatAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let chat = parse_id("chat_id", &request.chat_id)?;
        let command = DeleteAttachment {
            key: Key::new(&caller, &request.request_id, &request),
            attachment: parse_id("attachment_id", &request.attachment_id)?,
        };
        commands::delete_chat_attachment(&self.0, &caller, chat, command).await?;
        Ok(Response::new(pb::DeleteChatAttachmentResponse {}))
    }

    async fn choose_button(
        &self,
        request: Request<pb::ChooseButtonRequest>,
    ) -> Result<Response<pb::ChooseButtonResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = ChooseButton {
            key: Key::new(&caller, &request.request_id, &request),
            chat: parse_id("chat_id", &request.chat_id)?,
            visitor_sequence: request.visitor_sequence.into(),
            button_id: request.button_id,
            request_id: request.request_id,
        };
        let entry = commands::choose_button(&self.0, &caller, command).await?;
        Ok(Response::new(pb::ChooseButtonResponse { entry: Some(own_entry(&entry)?) }))
    }

    async fn mark_chat_read(
        &self,
        request: Request<pb::MarkChatReadRequest>,
    ) -> Result<Response<pb::MarkChatReadResponse>, Status> {
        let (caller, request) = validated(request)?;
        let chat = parse_id("chat_id", &request.chat_id)?;
        let (delivered, read) = (request.delivered_visitor_sequence, request.read_visitor_sequence);
        let marks = VisitorMarks { delivered: delivered.into(), read: read.into() };
        commands::mark_chat_read(&self.0, &caller, chat, marks).await?;
        Ok(Response::new(pb::MarkChatReadResponse {}))
    }

    async fn signal_typing(
        &self,
        request: Request<pb::VisitorServiceSignalTypingRequest>,
    ) -> Result<Response<pb::VisitorServiceSignalTypingResponse>, Status> {
        let (caller, request) = validated(request)?;
        commands::signal_visitor_typing(&self.0, &caller, parse_id("chat_id", &request.chat_id)?).await?;
        Ok(Response::new(pb::VisitorServiceSignalTypingResponse {}))
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
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let channel = parse_optional_id("channel_id", &request.channel_id)?;
        let (mut chats, names) = queries::list_chats(&self.0, &caller, channel, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut chats, |last| (last.created_at, last.id))?;
        let chats = chats.iter().map(|chat| convert::chat(chat, &names)).collect();
        Ok(Response::new(pb::ListChatsResponse { chats, next_page_token }))
    }

    async fn list_chat_entries(
        &self,
        request: Request<pb::ListChatEntriesRequest>,
    ) -> Result<Response<pb::ListChatEntriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("chat_id", &request.chat_id)?;
        let size = page_size(request.page_size, DEFAULT_ENTRIES, MAX_ENTRIES);
        let after = request.after_visitor_sequence.into();
        let until = Some(request.until_visitor_sequence.into()).filter(|until| *until > 0);
        let (page, names) = queries::list_chat_entries(&self.0, &caller, id, after, until, size).await?;
        let entries = page.entries.iter().filter_map(|entry| convert::chat_entry(entry, &names)).collect();
        Ok(Response::new(pb::ListChatEntriesResponse { entries, has_more: page.has_more }))
    }

    type WatchChatStream = ResponseStream<pb::WatchChatResponse>;

    async fn watch_chat(
        &self,
        request: Request<pb::WatchChatRequest>,
    ) -> Result<Response<Self::WatchChatStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("chat_id", &request.chat_id)?;
        let cursor = request.after_visitor_sequence.into();
        // Subscribed before the mark is read, so that no change between the two is missed.
        let signals = Signals {
            receiver: self.0.notifier.subscribe_signals(id),
            response: Box::new(move |signal| convert::chat_signal(id, signal).map(watch_response)),
        };
        let team_read = queries::begin_chat_watch(&self.0, &caller, id, cursor).await?;
        let (changes, reads) = (self.0.notifier.subscribe(id), self.0.chat_reads.clone());
        // Reads are shared by the watches of one visitor: the chat may become another's.
        let topic = watch_topic(id, &caller);
        let places = queue_places(self.0.watched_places.watch(id));
        let (updates, changing_state) = (common_updates(), Some(places));
        let state = Some(watch_response(Update::TeamMarks(convert::team_marks(team_read))));
        let target = WatchTarget { id: topic, cursor, changes, reads, updates, state, changing_state, signals };
        let (app, shutdown) = (self.0.clone(), self.0.shutdown.clone());
        let read = move |after| {
            let (app, caller) = (app.clone(), caller.clone());
            async move {
                let (chat, page, names) = queries::watch_chat_entries(&app, &caller, id, after).await?;
                let visible = page.entries.iter().filter_map(|entry| convert::chat_entry(entry, &names));
                let response =
                    |entry: pb::ChatEntry| (entry.visitor_sequence.into(), watch_response(Update::Entry(entry)));
                let state = Some(watch_response(Update::State(convert::chat_state(&chat, &names))));
                Ok(Items { items: visible.map(response).collect(), has_more: page.has_more, state })
            }
        };
        Ok(Response::new(Box::pin(watch_stream(target, shutdown, read))))
    }
}

/// What the watches of a visitor in a chat share their reads by.
fn watch_topic(chat: Uuid, caller: &Caller) -> Uuid {
    let digest = Sha256::new().chain_update(chat.as_bytes()).chain_update(&caller.actor.id).finalize();
    let mut topic = [0; 16];
    topic.copy_from_slice(&digest[..16]);
    Uuid::from_bytes(topic)
}

/// The places in the queue that the visitor is shown, as they come.
fn queue_places(places: watch::Receiver<Option<AboutPlace>>) -> ChangingState<pb::WatchChatResponse> {
    Box::pin(stream::unfold(places, |mut places| async move {
        loop {
            places.changed().await.ok()?;
            let place = *places.borrow_and_update();
            if let Some(place) = place {
                return Some((watch_response(Update::QueuePlace(convert::queue_place(place))), places));
            }
        }
    }))
}

fn watch_response(update: Update) -> pb::WatchChatResponse {
    pb::WatchChatResponse { update: Some(update) }
}

fn common_updates() -> CommonUpdates<pb::WatchChatResponse> {
    CommonUpdates {
        caught_up: watch_response(Update::CaughtUp(CaughtUp {})),
        heartbeat: watch_response(Update::Heartbeat(Heartbeat {})),
    }
}

/// The entry of a message that the visitor wrote.
fn own_entry(entry: &Entry) -> Result<pb::ChatEntry, Status> {
    convert::chat_entry(entry, &DisplayNames::default())
        .ok_or_else(|| ApiError::internal(&"a visitor's own message is not visible to the visitor").into())
}
