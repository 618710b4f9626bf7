//! A gRPC server whose methods a test sets: it stands for the services that the service under test calls.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Ready,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use prost::{Message, Name, bytes::Bytes};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    server::{Grpc, UnaryService},
    service::Routes,
    transport::Server,
};

use crate::RawCodec;

type Answer = Arc<dyn Fn(Request<Bytes>) -> Result<Bytes, Status> + Send + Sync>;

/// Answers the unary methods that a test sets, and every other one with UNIMPLEMENTED. Clones share the methods.
///
/// A method is named by its request type, since every method has one of its own:
///
/// ```ignore
/// fake.on(|request: Request<GetBotRequest>| Ok(GetBotResponse { bot: Some(robin(request.get_ref())) }));
/// ```
#[derive(Clone, Default)]
pub struct FakeServices {
    /// By the full name of the request.
    methods: Arc<Mutex<HashMap<String, Answer>>>,
    calls: Arc<Mutex<HashMap<String, usize>>>,
}

impl FakeServices {
    /// Answers calls of the method whose request is `Q` with `answer`, from now on.
    ///
    /// # Panics
    /// When `R` is not the response of that method.
    pub fn on<Q, R>(&self, answer: impl Fn(Request<Q>) -> Result<R, Status> + Send + Sync + 'static)
    where
        Q: Message + Name + Default,
        R: Message + Name,
    {
        let method = Q::full_name();
        assert_eq!(
            method.strip_suffix("Request"),
            R::full_name().strip_suffix("Response"),
            "the request and the response must be those of one method"
        );
        let answer = move |request: Request<Bytes>| {
            let (metadata, extensions, bytes) = request.into_parts();
            let message = Q::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))?;
            let response = answer(Request::from_parts(metadata, extensions, message))?;
            Ok(response.encode_to_vec().into())
        };
        self.methods.lock().expect("the methods").insert(method, Arc::new(answer));
    }

    /// Number of calls of the method whose request is `Q` so far, refused ones included.
    pub fn calls<Q: Name>(&self) -> usize {
        self.calls.lock().expect("the calls").get(&Q::full_name()).copied().unwrap_or(0)
    }

    /// Serves on a free loopback port until the runtime of the test ends; returns the address.
    pub async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = self.clone();
        let server = Server::builder()
            .layer(tower::layer::layer_fn(move |_: Routes| fake.clone()))
            .add_routes(Routes::default())
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        address
    }

    /// The answer of the method at `path`, `/package.Service/Method`.
    fn answer(&self, path: &str) -> Answer {
        let name = path.trim_start_matches('/').split_once('/').and_then(|(service, method)| {
            let (package, _) = service.rsplit_once('.')?;
            Some(format!("{package}.{method}Request"))
        });
        let name = name.unwrap_or_default();
        *self.calls.lock().expect("the calls").entry(name.clone()).or_default() += 1;
        self.methods.lock().expect("the methods").get(&name).cloned().unwrap_or_else(|| {
            let message = format!("the test sets no answer for {path}");
            Arc::new(move |_| Err(Status::unimplemented(message.clone())))
        })
    }
}

struct Unary(Answer);

impl UnaryService<Bytes> for Unary {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready((self.0)(request).map(Response::new))
    }
}

impl Service<http::Request<Body>> for FakeServices {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let method = Unary(self.answer(request.uri().path()));
        Box::pin(async move { Ok(Grpc::new(RawCodec).unary(method, request).await) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use frontdesk_proto::botsession::v1::{
        Bot, CreateBotResponse, GetBotRequest, GetBotResponse, ListBotsRequest, bot_service_client::BotServiceClient,
    };
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_fake_answers_the_methods_that_are_set_and_counts_all_calls() {
        let fake = FakeServices::default();
        let mut bots = BotServiceClient::connect(fake.serve().await).await.unwrap();
        let get = GetBotRequest { bot_id: "robin".into() };
        assert_eq!(bots.get_bot(get.clone()).await.unwrap_err().code(), Code::Unimplemented);
        fake.on(|request: Request<GetBotRequest>| match request.get_ref().bot_id.as_str() {
            "robin" => Ok(GetBotResponse { bot: Some(Bot { id: "robin".into(), ..Bot::default() }) }),
            other => Err(Status::not_found(other)),
        });
        assert_eq!(bots.get_bot(get).await.unwrap().into_inner().bot.unwrap().id, "robin");
        let absent = bots.get_bot(GetBotRequest { bot_id: "other".into() }).await.unwrap_err();
        assert_eq!((absent.code(), absent.message()), (Code::NotFound, "other"));
        assert_eq!((fake.calls::<GetBotRequest>(), fake.calls::<ListBotsRequest>()), (3, 0));
    }

    #[test]
    #[should_panic(expected = "must be those of one method")]
    fn a_response_of_another_method_is_refused() {
        FakeServices::default().on(|_: Request<GetBotRequest>| Ok(CreateBotResponse::default()));
    }
}
