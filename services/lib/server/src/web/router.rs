//! What a request of a browser is: a preflight, a call by gRPC-Web, a request of a route of plain HTTP, or nothing that is served here.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::{
    Router,
    body::HttpBody,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tonic::{Status, body::Body, service::Routes};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, ServiceExt};

use super::{
    AllowedOrigins,
    cors::{cors, cors_of_http},
};
use crate::{Admission, CallLayer, CallService, PeerInfo, listener::reset_at};

/// Media types of gRPC-Web.
const GRPC_WEB: [&[u8]; 4] = [
    b"application/grpc-web",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc-web-text+proto",
];
/// The answer to a request that is no call by gRPC-Web.
const NOT_FOUND: &str = "Nothing is here. This address serves gRPC-Web: POST /<service>/<method> with the content-type application/grpc-web+proto, or application/grpc-web-text for a body in base64.\n";
/// The answer to preflights that are too many.
const TOO_MANY_PREFLIGHTS: &str = "Your address sends too many preflights; try again later.\n";
/// The answer to requests of plain HTTP that are too many.
const TOO_MANY_REQUESTS: &str = "Your address sends too many requests; try again later.\n";
/// How long a request of plain HTTP over HTTP/2 may take until its answer is read.
const HTTP_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The services for browsers.
#[derive(Clone)]
pub(super) struct Calls {
    names: Arc<HashSet<String>>,
    /// The answer to a call of any other service.
    not_served: Arc<str>,
    service: GrpcWebService<CallService<Routes>>,
}

impl Calls {
    /// Those of `routes` that are for browsers.
    pub(super) fn new(routes: Routes, admission: Arc<Admission>, services: Vec<String>) -> Self {
        let service = GrpcWebLayer::new().layer(CallLayer(admission).layer(routes.prepare()));
        let not_served =
            format!("this service is not served to browsers; those that are: {}", services.join(", ")).into();
        Self { names: Arc::new(services.into_iter().collect()), not_served, service }
    }
}

/// Routes the requests of browsers. A preflight carries no token: it is counted by address, and answered before everything else; so is a
/// request of the routes of plain HTTP, whose token only they can verify.
pub(super) fn router(
    calls: Calls,
    http: Router,
    admission: Arc<Admission>,
    allowed_origins: &AllowedOrigins,
) -> Router {
    let http =
        http.layer(from_fn_with_state(admission.clone(), limit_http_requests)).layer(cors_of_http(allowed_origins));
    Router::new()
        .fallback(answer)
        .with_state(calls)
        .layer(cors(allowed_origins))
        .merge(http)
        .layer(from_fn_with_state(admission, limit_preflights))
}

async fn limit_http_requests(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<PeerInfo>().and_then(|peer| peer.address);
    if let Some(address) = address
        && let Err(wait) = admission.check_http_request(&address)
    {
        let seconds = (wait.as_secs() + 1).to_string();
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)], TOO_MANY_REQUESTS).into_response();
    }
    // Over HTTP/1.1 the connection closes when its client reads nothing.
    reset_at(Instant::now() + HTTP_TIMEOUT, "the answer to a request");
    next.run(request).await
}

async fn limit_preflights(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    let address = request.extensions().get::<PeerInfo>().and_then(|peer| peer.address);
    if request.method() == Method::OPTIONS
        && let Some(address) = address
        && let Err(wait) = admission.check_preflight(&address)
    {
        let seconds = (wait.as_secs() + 1).to_string();
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)], TOO_MANY_PREFLIGHTS).into_response();
    }
    next.run(request).await
}

async fn answer(State(calls): State<Calls>, mut request: Request) -> Response {
    let content_type = request.headers().get(CONTENT_TYPE).filter(|value| GRPC_WEB.contains(&value.as_bytes()));
    let Some(content_type) = content_type.filter(|_| request.method() == Method::POST).cloned() else {
        return (StatusCode::NOT_FOUND, NOT_FOUND).into_response();
    };
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    if !calls.names.contains(service) {
        let mut refused = Status::unimplemented(calls.not_served.as_ref()).into_http();
        refused.headers_mut().insert(CONTENT_TYPE, content_type);
        return refused;
    }
    // Without this a call in base64 that does not say what it accepts is answered in bytes.
    if !request.headers().get(ACCEPT).is_some_and(|value| GRPC_WEB.contains(&value.as_bytes())) {
        request.headers_mut().insert(ACCEPT, content_type);
    }
    match calls.service.oneshot(request).await {
        Ok(response) => response.map(of_unknown_size),
        Err(never) => match never {},
    }
}

/// The body without its size: the translation does not count what it adds, so a size would cut off the trailers.
fn of_unknown_size(body: Body) -> axum::body::Body {
    match body.is_end_stream() {
        true => axum::body::Body::empty(),
        false => axum::body::Body::from_stream(body.into_data_stream()),
    }
}
