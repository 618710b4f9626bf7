//! A client that sends encoded requests and does not decode the responses, so that it uses little processor time of its own: it
//! shares the processors with the servers that it measures. For the same reason it speaks HTTP/2 itself and does without the queue,
//! the middleware and the reconnects of a channel.
//!
//! The same client calls Frontdesk and the baseline server, with the same method names.

use std::{io, time::Duration};

use h2::{RecvStream, client::SendRequest};
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use prost::bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// Path of PostMessage.
pub const POST_MESSAGE: &str = "/frontdesk.conversation.v1.ThreadService/PostMessage";
/// Path of WatchThread.
pub const WATCH_THREAD: &str = "/frontdesk.conversation.v1.ThreadService/WatchThread";
/// Path of WatchChat.
const WATCH_CHAT: &str = "/frontdesk.conversation.v1.VisitorService/WatchChat";
/// Path of WatchInbox.
const WATCH_INBOX: &str = "/frontdesk.conversation.v1.ConversationService/WatchInbox";

/// Path of ListConversations.
const LIST_CONVERSATIONS: &str = "/frontdesk.conversation.v1.ConversationService/ListConversations";
/// Path of SearchConversations.
const SEARCH_CONVERSATIONS: &str = "/frontdesk.conversation.v1.ConversationService/SearchConversations";

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Size of the window of a connection in bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Size of the header of a message of gRPC in bytes: whether it is compressed, and its length.
const MESSAGE_HEADER: usize = 5;

/// A client with one token and several connections.
#[derive(Clone)]
pub struct Client {
    connections: Vec<Connection>,
}

impl Client {
    /// Opens this number of connections to each address. Calls have this `authorization` header.
    pub async fn connect(addresses: &[String], connections: usize, authorization: &str) -> io::Result<Self> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            for address in addresses {
                let connection =
                    tokio::time::timeout(CONNECT_TIMEOUT, Connection::open(address, authorization)).await?;
                opened.push(connection?);
            }
        }
        Ok(Self { connections: opened })
    }

    /// The connection with this number, modulo the number of connections.
    pub fn connection(&self, number: usize) -> Connection {
        self.connections[number % self.connections.len()].clone()
    }
}

/// One connection of a [`Client`].
#[derive(Clone)]
pub struct Connection {
    requests: SendRequest<Bytes>,
    post: Request<()>,
    watch: Request<()>,
    watch_inbox: Request<()>,
    watch_chat: Request<()>,
    list_conversations: Request<()>,
    search_conversations: Request<()>,
}

impl Connection {
    async fn open(address: &str, authorization: &str) -> io::Result<Self> {
        let server: Uri = address.parse().map_err(io::Error::other)?;
        let host = server.authority().ok_or_else(|| io::Error::other(format!("{address} has no host")))?;
        let stream = TcpStream::connect(host.as_str()).await?;
        stream.set_nodelay(true)?;
        let mut client = h2::client::Builder::new();
        client.initial_connection_window_size(CONNECTION_WINDOW).enable_push(false);
        let (requests, connection) = client.handshake(stream).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        let request = |path| {
            Request::post(format!("http://{host}{path}"))
                .header(header::TE, "trailers")
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::AUTHORIZATION, authorization)
                .body(())
                .map_err(io::Error::other)
        };
        let (post, watch, watch_inbox) = (request(POST_MESSAGE)?, request(WATCH_THREAD)?, request(WATCH_INBOX)?);
        let watch_chat = request(WATCH_CHAT)?;
        let (list_conversations, search_conversations) = (request(LIST_CONVERSATIONS)?, request(SEARCH_CONVERSATIONS)?);
        Ok(Self { requests, post, watch, watch_inbox, watch_chat, list_conversations, search_conversations })
    }

    /// Posts a message.
    pub async fn post(&mut self, message: Bytes) -> Result<Bytes, Status> {
        self.unary(self.post.clone(), message).await
    }

    /// Posts a message with a deadline, which the server enforces.
    pub async fn post_with_deadline(&mut self, message: Bytes, deadline: Duration) -> Result<Bytes, Status> {
        let mut request = self.post.clone();
        let timeout =
            format!("{}m", deadline.as_millis()).parse().map_err(|error| unavailable(io::Error::other(error)))?;
        request.headers_mut().insert("grpc-timeout", timeout);
        self.unary(request, message).await
    }

    /// Lists a page of the inbox.
    pub async fn list_conversations(&self, message: Bytes) -> Result<Bytes, Status> {
        self.unary(self.list_conversations.clone(), message).await
    }

    /// Searches conversations.
    pub async fn search_conversations(&self, message: Bytes) -> Result<Bytes, Status> {
        self.unary(self.search_conversations.clone(), message).await
    }

    async fn unary(&self, request: Request<()>, message: Bytes) -> Result<Bytes, Status> {
        let mut messages = self.call(request, message).await?;
        let response = messages.message().await?.ok_or_else(|| Status::internal("the response has no message"))?;
        match messages.message().await? {
            None => Ok(response),
            Some(_) => Err(Status::internal("the response has two messages")),
        }
    }

    /// Opens a watch. Returns when the server has accepted it.
    pub async fn watch(&mut self, message: Bytes) -> Result<Watch, Status> {
        Ok(Watch(self.call(self.watch.clone(), message).await?))
    }

    /// Opens a watch of the inbox.
    pub async fn watch_inbox(&self, message: Bytes) -> Result<Watch, Status> {
        Ok(Watch(self.call(self.watch_inbox.clone(), message).await?))
    }

    /// Opens a watch of a chat, with the `authorization` header of its visitor.
    pub async fn watch_chat(&self, message: Bytes, authorization: &str) -> Result<Watch, Status> {
        let authorization =
            HeaderValue::from_str(authorization).map_err(|error| unavailable(io::Error::other(error)))?;
        let mut request = self.watch_chat.clone();
        request.headers_mut().insert(header::AUTHORIZATION, authorization);
        Ok(Watch(self.call(request, message).await?))
    }

    /// Calls a method. Returns the messages of the response when its head has arrived.
    async fn call(&self, request: Request<()>, message: Bytes) -> Result<Messages, Status> {
        let mut requests = self.requests.clone().ready().await.map_err(unavailable)?;
        let (response, mut body) = requests.send_request(request, false).map_err(unavailable)?;
        let mut framed = BytesMut::with_capacity(MESSAGE_HEADER + message.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).map_err(|_| Status::out_of_range("the message is too long"))?);
        framed.put(message);
        body.send_data(framed.freeze(), true).map_err(unavailable)?;
        let (head, body) = response.await.map_err(unavailable)?.into_parts();
        // A call that fails at once is answered by its head alone.
        if head.headers.contains_key("grpc-status") {
            check(&head.headers)?;
        }
        Ok(Messages { body, received: BytesMut::new() })
    }
}

/// The messages of a response.
struct Messages {
    body: RecvStream,
    received: BytesMut,
}

impl Messages {
    /// The next message, still encoded. None: the call has succeeded.
    async fn message(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.received_message() {
                return Ok(Some(message));
            }
            let Some(data) = self.body.data().await else {
                let trailers = self.body.trailers().await.map_err(unavailable)?;
                check(&trailers.unwrap_or_default())?;
                return Ok(None);
            };
            let data = data.map_err(unavailable)?;
            self.body.flow_control().release_capacity(data.len()).map_err(unavailable)?;
            self.received.extend_from_slice(&data);
        }
    }

    /// The first message that has been received as a whole.
    fn received_message(&mut self) -> Option<Bytes> {
        let length = self.received.get(1..MESSAGE_HEADER)?.get_u32();
        let end = MESSAGE_HEADER + usize::try_from(length).ok()?;
        let mut message = (self.received.len() >= end).then(|| self.received.split_to(end).freeze())?;
        message.advance(MESSAGE_HEADER);
        Some(message)
    }
}

/// An open watch.
pub struct Watch(Messages);

/// First byte of an update with an entry, and of each message of the baseline server: field 1, with a length.
const ENTRY: u8 = 0x0A;

impl Watch {
    /// The next update with an entry, still encoded; of the baseline server, the next message. None: the stream ended.
    pub async fn message(&mut self) -> Result<Option<Bytes>, Status> {
        while let Some(update) = self.0.message().await? {
            if update.first() == Some(&ENTRY) {
                return Ok(Some(update));
            }
        }
        Ok(None)
    }
}

/// Fails unless the status in these headers is OK.
fn check(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() == Code::Ok => Ok(()),
        Some(status) => Err(status),
        None => Err(Status::internal("the response has no status")),
    }
}

/// A failure of the connection: its status has a source, which one that the server sent has not.
fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Status {
    let mut status = Status::unavailable(error.to_string());
    status.set_source(std::sync::Arc::new(error));
    status
}
