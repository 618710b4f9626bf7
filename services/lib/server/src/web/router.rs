//! What a request of a browser is: a preflight, a call by gRPC-Web, or nothing that is served here.

use std::{collections::HashSet, sync::Arc};

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
use tonic::{Status, body::Body, service::Routes};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, ServiceExt};

use super::{AllowedOrigins, cors::cors};
use crate::{Admission, CallLayer, CallService, PeerInfo};

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

/// The services for browsers.
#[derive(Clone)]
struct Calls {
    names: Arc<HashSet<String>>,
    /// The answer to a call of any other service.
    not_served: Arc<str>,
    service: GrpcWebService<CallService<Routes>>,
}

/// Routes the requests of browsers. A preflight carries no token: it is counted by address, and answered before everything else.
pub(super) fn router(
    routes: Routes,
    admission: Arc<Admission>,
    services: Vec<String>,
    allowed_origins: &AllowedOrigins,
) -> Router {
    let service = GrpcWebLayer::new().layer(CallLayer(admission.clone()).layer(routes.prepare()));
    let not_served = format!("this service is not served to browsers; those that are: {}", services.join(", ")).into();
    let calls = Calls { names: Arc::new(services.into_iter().collect()), not_served, service };
    Router::new()
        .fallback(answer)
        .with_state(calls)
        .layer(cors(allowed_origins))
        .layer(from_fn_with_state(admission, limit_preflights))
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
