//! The bare server that the service is measured beside: it echoes what is posted and brings it to the watches of the same
//! conversation, without looking into the bytes. It can commit a row for each post, and go over NATS to the watches.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

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

use crate::{
    messages::{ID, ID_AT},
    raw::{POST, Raw, WATCH},
};

/// The table that it commits to.
pub const COMMITS: &str = "CREATE TABLE bare_commits (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body BYTEA NOT NULL
)";
/// A watch that is so many messages behind is ended.
const BEHIND: usize = 4_096;

/// What it does besides echoing.
#[derive(Debug, clap::Args)]
pub struct BareArguments {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Commit one row for each post here.
    #[arg(long)]
    postgres: Option<String>,
    /// Bring posts to the watches over this NATS server.
    #[arg(long)]
    nats: Option<String>,
}

type Thread = [u8; ID];

#[derive(Clone)]
struct Bare {
    pool: Option<PgPool>,
    nats: Option<async_nats::Client>,
    threads: Arc<Mutex<HashMap<Thread, broadcast::Sender<Bytes>>>>,
}

/// Serves until it is killed.
pub async fn serve(arguments: BareArguments) {
    let pool = match arguments.postgres {
        Some(url) => Some(PgPoolOptions::new().max_connections(16).min_connections(16).connect(&url).await.unwrap()),
        None => None,
    };
    let nats = match arguments.nats {
        Some(url) => Some(async_nats::connect(url).await.unwrap()),
        None => None,
    };
    let bare = Bare { pool, nats, threads: Arc::default() };
    if let Some(nats) = &bare.nats {
        let (mut published, bare) = (nats.subscribe("bare.>").await.unwrap(), bare.clone());
        tokio::spawn(async move {
            while let Some(message) = published.next().await {
                bare.bring(message.payload);
            }
        });
    }
    let listener = TcpListener::bind(arguments.listen).await.unwrap();
    // The server's own setting says nothing to a listener that it is given.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().max_concurrent_streams(1_024).add_service(bare);
    server.serve_with_incoming(incoming).await.unwrap();
}

/// Whose bytes these are.
fn thread_of(bytes: &[u8]) -> Result<Thread, Status> {
    let id = bytes.get(ID_AT..ID_AT + ID).and_then(|id| id.try_into().ok());
    id.ok_or_else(|| Status::invalid_argument("no conversation"))
}

impl Bare {
    async fn post(self, message: Bytes) -> Result<Bytes, Status> {
        let thread = thread_of(&message)?;
        if let Some(pool) = &self.pool {
            let insert = sqlx::query("INSERT INTO bare_commits (body) VALUES ($1)").bind(message.as_ref());
            insert.execute(pool).await.map_err(|error| Status::internal(error.to_string()))?;
        }
        match &self.nats {
            Some(nats) => {
                let subject = format!("bare.{}", String::from_utf8_lossy(&thread));
                let published = nats.publish(subject, message.clone()).await;
                published.map_err(|error| Status::internal(error.to_string()))?;
            }
            None => self.bring(message.clone()),
        }
        Ok(message)
    }

    fn bring(&self, message: Bytes) {
        let Ok(thread) = thread_of(&message) else { return };
        if let Some(watches) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).get(&thread) {
            let _ = watches.send(message);
        }
    }

    fn watch(&self, request: &Bytes) -> Result<Messages, Status> {
        let thread = thread_of(request)?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = threads.entry(thread).or_insert_with(|| broadcast::Sender::new(BEHIND)).subscribe();
        Ok(Box::pin(stream::unfold(messages, |mut messages| async move {
            let message = messages.recv().await.map_err(|error| Status::data_loss(error.to_string()));
            Some((message, messages))
        })))
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl NamedService for Bare {
    const NAME: &'static str = "frontdesk.conversation.v1.ThreadService";
}

impl Service<Request<Body>> for Bare {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let bare = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match request.uri().path() {
                POST => grpc.unary(Posts(bare), request).await,
                WATCH => grpc.server_streaming(Watches(bare), request).await,
                _ => Status::unimplemented("only posts and watches").into_http(),
            })
        })
    }
}

struct Posts(Bare);

impl UnaryService<Bytes> for Posts {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let bare = self.0.clone();
        Box::pin(async move { Ok(tonic::Response::new(bare.post(request.into_inner()).await?)) })
    }
}

struct Watches(Bare);

impl ServerStreamingService<Bytes> for Watches {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = BoxFuture<'static, Result<tonic::Response<Messages>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let watch = self.0.watch(request.get_ref());
        Box::pin(async move { Ok(tonic::Response::new(watch?)) })
    }
}
