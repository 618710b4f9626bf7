//! The baseline server of P3 and P4: it echoes each posted message and sends it to the watches of the same conversation, without
//! decoding it. Optionally it commits a row for each message, and sends messages to the watches through NATS.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use frontdesk_bench::{
    messages::{ID_LENGTH, ID_OFFSET},
    raw::{POST_MESSAGE, WATCH_THREAD},
};
use frontdesk_testkit::RawCodec;
use futures::{Stream, StreamExt, future::BoxFuture, stream};
use http::{Request, Response};
use prost::bytes::Bytes;
use sea_orm::sqlx::{self, PgPool, postgres::PgPoolOptions};
use tokio::{net::TcpListener, sync::broadcast};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tower::Service;

/// The statement that creates the table of committed messages.
pub const CREATE_TABLE: &str = "CREATE TABLE baseline_messages (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body BYTEA NOT NULL
)";
/// Maximum number of messages that a watch may be behind before it ends.
const WATCH_BUFFER: usize = 4_096;

/// Arguments of the baseline server.
#[derive(Debug, clap::Args)]
pub struct BaselineArguments {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// URL of the PostgreSQL database in which one row is committed for each message.
    #[arg(long)]
    postgres: Option<String>,
    /// URL of the NATS server through which messages are sent to the watches.
    #[arg(long)]
    nats: Option<String>,
}

type ConversationId = [u8; ID_LENGTH];

#[derive(Clone)]
struct BaselineServer {
    pool: Option<PgPool>,
    nats: Option<async_nats::Client>,
    watches: Arc<Mutex<HashMap<ConversationId, broadcast::Sender<Bytes>>>>,
}

/// Serves until the process is killed.
pub async fn serve(arguments: BaselineArguments) {
    let pool = match arguments.postgres {
        Some(url) => Some(PgPoolOptions::new().max_connections(16).min_connections(16).connect(&url).await.unwrap()),
        None => None,
    };
    let nats = match arguments.nats {
        Some(url) => Some(async_nats::connect(url).await.unwrap()),
        None => None,
    };
    let baseline = BaselineServer { pool, nats, watches: Arc::default() };
    if let Some(nats) = &baseline.nats {
        let (mut published, baseline) = (nats.subscribe("baseline.>").await.unwrap(), baseline.clone());
        tokio::spawn(async move {
            while let Some(message) = published.next().await {
                baseline.send_to_watches(message.payload);
            }
        });
    }
    let listener = TcpListener::bind(arguments.listen).await.unwrap();
    // The server's own setting does not apply to a listener that is passed to it.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().max_concurrent_streams(1_024).add_service(baseline);
    server.serve_with_incoming(incoming).await.unwrap();
}

/// The conversation id in an encoded request.
fn conversation_of(bytes: &[u8]) -> Result<ConversationId, Status> {
    let id = bytes.get(ID_OFFSET..ID_OFFSET + ID_LENGTH).and_then(|id| id.try_into().ok());
    id.ok_or_else(|| Status::invalid_argument("no conversation id"))
}

impl BaselineServer {
    async fn post(self, message: Bytes) -> Result<Bytes, Status> {
        let conversation = conversation_of(&message)?;
        if let Some(pool) = &self.pool {
            let insert = sqlx::query("INSERT INTO baseline_messages (body) VALUES ($1)").bind(message.as_ref());
            insert.execute(pool).await.map_err(|error| Status::internal(error.to_string()))?;
        }
        match &self.nats {
            Some(nats) => {
                let subject = format!("baseline.{}", String::from_utf8_lossy(&conversation));
                let published = nats.publish(subject, message.clone()).await;
                published.map_err(|error| Status::internal(error.to_string()))?;
            }
            None => self.send_to_watches(message.clone()),
        }
        Ok(message)
    }

    fn send_to_watches(&self, message: Bytes) {
        let Ok(conversation) = conversation_of(&message) else { return };
        if let Some(sender) = self.watches.lock().unwrap_or_else(PoisonError::into_inner).get(&conversation) {
            let _ = sender.send(message);
        }
    }

    fn watch(&self, request: &Bytes) -> Result<Messages, Status> {
        let conversation = conversation_of(request)?;
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = watches.entry(conversation).or_insert_with(|| broadcast::Sender::new(WATCH_BUFFER)).subscribe();
        Ok(Box::pin(stream::unfold(messages, |mut messages| async move {
            let message = messages.recv().await.map_err(|error| Status::data_loss(error.to_string()));
            Some((message, messages))
        })))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl NamedService for BaselineServer {
    const NAME: &'static str = "frontdesk.conversation.v1.ThreadService";
}

impl Service<Request<Body>> for BaselineServer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let baseline = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(RawCodec);
            Ok(match request.uri().path() {
                POST_MESSAGE => grpc.unary(PostMessage(baseline), request).await,
                WATCH_THREAD => grpc.server_streaming(WatchThread(baseline), request).await,
                _ => Status::unimplemented("only PostMessage and WatchThread").into_http(),
            })
        })
    }
}

struct PostMessage(BaselineServer);

impl UnaryService<Bytes> for PostMessage {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let baseline = self.0.clone();
        Box::pin(async move { Ok(tonic::Response::new(baseline.post(request.into_inner()).await?)) })
    }
}

struct WatchThread(BaselineServer);

impl ServerStreamingService<Bytes> for WatchThread {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<'static, Result<tonic::Response<Messages>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let watch = self.0.watch(request.get_ref());
        Box::pin(async move { Ok(tonic::Response::new(watch?)) })
    }
}
