//! A conversation service that answers what a test wants.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use frontdesk_proto::conversation::v1::{
    channel_service_server::{ChannelService, ChannelServiceServer},
    contact_service_server::{ContactService, ContactServiceServer},
    conversation_service_server::{ConversationService, ConversationServiceServer},
    thread_service_server::{ThreadService, ThreadServiceServer},
    *,
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

type Answer<T> = Result<Response<T>, Status>;

/// What it knows. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<Mutex<Known>>);

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) conversation: Conversation,
    pub(crate) channel: Channel,
    pub(crate) contacts: Vec<Contact>,
    /// Of each close, and at last what a close now would freeze.
    pub(crate) facts: Vec<GetClosingFactsResponse>,
    pub(crate) entries: Vec<Entry>,
    /// The largest page that was asked for.
    pub(crate) largest_page: usize,
}

impl Fake {
    /// Serves until the test ends; the address.
    pub(crate) async fn serve(&self) -> String {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = format!("http://{}", incoming.local_addr().unwrap());
        let server = Server::builder()
            .add_service(ConversationServiceServer::new(self.clone()))
            .add_service(ChannelServiceServer::new(self.clone()))
            .add_service(ContactServiceServer::new(self.clone()))
            .add_service(ThreadServiceServer::new(self.clone()))
            .serve_with_incoming(incoming);
        tokio::spawn(server);
        address
    }
}

/// Calls that nobody makes, as `async_trait` writes them: it does not look into macros.
macro_rules! absent {
    ($($name:ident($request:ty) -> $response:ty;)*) => {$(
        fn $name<'life0, 'async_trait>(
            &'life0 self,
            _: Request<$request>,
        ) -> Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'async_trait>>
        where
            'life0: 'async_trait,
            Self: 'async_trait,
        {
            Box::pin(async { Err(Status::unimplemented("not asked in these tests")) })
        }
    )*};
}

#[tonic::async_trait]
impl ConversationService for Fake {
    async fn get_conversation(&self, _: Request<GetConversationRequest>) -> Answer<GetConversationResponse> {
        let conversation = Some(self.0.lock().unwrap().conversation.clone());
        Ok(Response::new(GetConversationResponse { conversation }))
    }

    async fn get_closing_facts(&self, request: Request<GetClosingFactsRequest>) -> Answer<GetClosingFactsResponse> {
        let known = self.0.lock().unwrap();
        let number = usize::try_from(request.get_ref().close_number).unwrap();
        let facts = if number == 0 { known.facts.last() } else { known.facts.get(number - 1) };
        facts.cloned().map(Response::new).ok_or_else(|| Status::not_found("no such close"))
    }

    absent! {
        list_conversations(ListConversationsRequest) -> ListConversationsResponse;
        close_conversation(CloseConversationRequest) -> CloseConversationResponse;
        reopen_conversation(ReopenConversationRequest) -> ReopenConversationResponse;
        change_assignee(ChangeAssigneeRequest) -> ChangeAssigneeResponse;
        hand_off_conversation(HandOffConversationRequest) -> HandOffConversationResponse;
        close_idle_conversations(CloseIdleConversationsRequest) -> CloseIdleConversationsResponse;
        record_answer(RecordAnswerRequest) -> RecordAnswerResponse;
        link_contact(LinkContactRequest) -> LinkContactResponse;
    }
}

#[tonic::async_trait]
impl ChannelService for Fake {
    async fn get_channel(&self, _: Request<GetChannelRequest>) -> Answer<GetChannelResponse> {
        let channel = Some(self.0.lock().unwrap().channel.clone());
        Ok(Response::new(GetChannelResponse { channel }))
    }

    absent! {
        create_channel(CreateChannelRequest) -> CreateChannelResponse;
        list_channels(ListChannelsRequest) -> ListChannelsResponse;
        update_channel(UpdateChannelRequest) -> UpdateChannelResponse;
        delete_channel(DeleteChannelRequest) -> DeleteChannelResponse;
        rotate_visitor_key(RotateVisitorKeyRequest) -> RotateVisitorKeyResponse;
        list_visitor_keys(ListVisitorKeysRequest) -> ListVisitorKeysResponse;
    }
}

#[tonic::async_trait]
impl ContactService for Fake {
    async fn get_contact(&self, request: Request<GetContactRequest>) -> Answer<GetContactResponse> {
        let known = self.0.lock().unwrap();
        let contact = known.contacts.iter().find(|contact| contact.id == request.get_ref().contact_id).cloned();
        contact
            .map(|contact| Response::new(GetContactResponse { contact: Some(contact) }))
            .ok_or_else(|| Status::not_found("no such contact"))
    }

    absent! {
        create_contact(CreateContactRequest) -> CreateContactResponse;
        list_contacts(ListContactsRequest) -> ListContactsResponse;
        update_contact(UpdateContactRequest) -> UpdateContactResponse;
    }
}

#[tonic::async_trait]
impl ThreadService for Fake {
    type WatchThreadStream = tonic::codegen::BoxStream<WatchThreadResponse>;

    async fn list_entries(&self, request: Request<ListEntriesRequest>) -> Answer<ListEntriesResponse> {
        let request = request.into_inner();
        let mut known = self.0.lock().unwrap();
        let until = if request.until_sequence == 0 { i64::MAX } else { request.until_sequence };
        let rest: Vec<Entry> = known
            .entries
            .iter()
            .filter(|entry| entry.sequence > request.after_sequence && entry.sequence <= until)
            .cloned()
            .collect();
        let size = usize::try_from(request.page_size).unwrap();
        known.largest_page = known.largest_page.max(size);
        let has_more = rest.len() > size;
        Ok(Response::new(ListEntriesResponse { entries: rest.into_iter().take(size).collect(), has_more }))
    }

    absent! {
        post_message(PostMessageRequest) -> PostMessageResponse;
        post_comment(PostCommentRequest) -> PostCommentResponse;
        watch_thread(WatchThreadRequest) -> Self::WatchThreadStream;
    }
}
