//! A client that sends encoded requests and does not decode the responses, so that it uses little processor time of its own.
//!
//! The same client calls Frontdesk and the baseline server, with the same method names.

use std::time::Duration;

use frontdesk_testkit::RawCodec;
use http::uri::PathAndQuery;
use prost::bytes::Bytes;
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

/// Path of PostMessage.
pub const POST_MESSAGE: &str = "/frontdesk.conversation.v1.ThreadService/PostMessage";
/// Path of WatchThread.
pub const WATCH_THREAD: &str = "/frontdesk.conversation.v1.ThreadService/WatchThread";

/// A client with one token and several connections.
#[derive(Clone)]
pub struct Client {
    channels: Vec<Channel>,
    bearer: MetadataValue<Ascii>,
}

impl Client {
    /// Opens this number of connections.
    ///
    /// # Panics
    /// If the server does not accept them.
    pub async fn connect(address: &str, connections: usize, token: &str) -> Self {
        let endpoint = endpoint(address).unwrap();
        let mut channels = Vec::new();
        for _ in 0..connections {
            channels.push(endpoint.connect().await.unwrap());
        }
        Self { channels, bearer: format!("Bearer {token}").parse().unwrap() }
    }

    /// A client with this number of connections to each address, which are opened at their first use.
    pub fn connect_lazy(
        addresses: &[String],
        connections: usize,
        bearer: MetadataValue<Ascii>,
    ) -> Result<Self, tonic::transport::Error> {
        let endpoints: Vec<Endpoint> = addresses.iter().map(|address| endpoint(address)).collect::<Result<_, _>>()?;
        let all = (0..connections).flat_map(|_| &endpoints);
        Ok(Self { channels: all.map(Endpoint::connect_lazy).collect(), bearer })
    }

    /// The connection with this number, modulo the number of connections.
    pub fn connection(&self, number: usize) -> Connection {
        let channel = self.channels[number % self.channels.len()].clone();
        Connection { grpc: Grpc::new(channel), bearer: self.bearer.clone() }
    }
}

fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(address.to_owned())?.connect_timeout(Duration::from_secs(5));
    Ok(endpoint.tcp_nodelay(true).initial_connection_window_size(1 << 20))
}

/// One connection of a [`Client`].
#[derive(Clone)]
pub struct Connection {
    grpc: Grpc<Channel>,
    bearer: MetadataValue<Ascii>,
}

/// First byte of an update with an entry, and of each message of the baseline server: field 1, with a length.
const ENTRY: u8 = 0x0A;

impl Connection {
    fn request(&self, message: Bytes) -> Request<Bytes> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.bearer.clone());
        request
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Posts a message.
    pub async fn post(&mut self, message: Bytes) -> Result<Bytes, Status> {
        let request = self.request(message);
        self.unary(request).await
    }

    /// Posts a message with a deadline, which the server enforces.
    pub async fn post_with_deadline(&mut self, message: Bytes, deadline: Duration) -> Result<Bytes, Status> {
        let mut request = self.request(message);
        request.set_timeout(deadline);
        self.unary(request).await
    }

    async fn unary(&mut self, request: Request<Bytes>) -> Result<Bytes, Status> {
        self.ready().await?;
        Ok(self.grpc.unary(request, PathAndQuery::from_static(POST_MESSAGE), RawCodec).await?.into_inner())
    }

    /// Opens a watch. Returns when the server has accepted it.
    pub async fn watch(&mut self, message: Bytes) -> Result<Watch, Status> {
        self.ready().await?;
        let request = self.request(message);
        let updates = self.grpc.server_streaming(request, PathAndQuery::from_static(WATCH_THREAD), RawCodec).await?;
        Ok(Watch(updates.into_inner()))
    }
}

/// An open watch.
pub struct Watch(Streaming<Bytes>);

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
