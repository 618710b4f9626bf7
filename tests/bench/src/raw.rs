//! Calls of already encoded messages: the client costs next to nothing, and what is measured is the server.
//!
//! The same client calls the service and the bare server beside it, by the same method names.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::bytes::{Buf, BufMut, Bytes};
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// Where a message is posted.
pub const POST: &str = "/frontdesk.conversation.v1.ThreadService/PostMessage";
/// Where a thread is watched.
pub const WATCH: &str = "/frontdesk.conversation.v1.ThreadService/WatchThread";

/// Bytes in, bytes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A caller with one token and several connections.
#[derive(Clone)]
pub struct Client {
    channels: Vec<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Client {
    /// Connects so many times.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn connect(address: &str, connections: usize, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(address.to_owned()).unwrap().connect_timeout(Duration::from_secs(5));
        let endpoint = endpoint.tcp_nodelay(true).initial_connection_window_size(1 << 20);
        let mut channels = Vec::new();
        for _ in 0..connections {
            channels.push(endpoint.connect().await.unwrap());
        }
        Self { channels, bearer: format!("Bearer {token}").parse().unwrap() }
    }

    /// The connection of this number; numbers go round.
    pub fn connection(&self, number: usize) -> Connection {
        let channel = self.channels[number % self.channels.len()].clone();
        Connection { grpc: Grpc::new(channel), bearer: self.bearer.clone() }
    }
}

/// One connection of a [`Client`].
#[derive(Clone)]
pub struct Connection {
    grpc: Grpc<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Connection {
    fn request(&self, message: Bytes) -> Request<Bytes> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Posts a message and waits for the answer.
    pub async fn post(&mut self, message: Bytes) -> Result<Bytes, Status> {
        self.ready().await?;
        let request = self.request(message);
        Ok(self.grpc.unary(request, PathAndQuery::from_static(POST), Raw).await?.into_inner())
    }

    /// Opens a watch; when it is given, the server has it.
    pub async fn watch(&mut self, message: Bytes) -> Result<Streaming<Bytes>, Status> {
        self.ready().await?;
        let request = self.request(message);
        Ok(self.grpc.server_streaming(request, PathAndQuery::from_static(WATCH), Raw).await?.into_inner())
    }
}
