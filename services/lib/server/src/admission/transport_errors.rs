//! Requests that are no call of a method that is served here, and the answers that say so.

use http::{Method, Request, Response, StatusCode, header};
use tonic::{Status, body::Body};

use super::Admission;

/// What the content-type of a call begins with, and that of gRPC-Web.
const GRPC: &str = "application/grpc";
const GRPC_WEB: &str = "application/grpc-web";

/// The answer to a request that is not gRPC. None: it is.
pub(super) fn refuse_other_protocols(request: &Request<Body>) -> Option<Response<Body>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    let (status, text) = if request.method() != Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, "This port speaks gRPC: a call is a POST.\n")
    } else if content_type.starts_with(GRPC_WEB) {
        let text =
            "This port speaks gRPC, with the content-type application/grpc+proto. gRPC-Web is served at web.listen.\n";
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    } else if content_type == GRPC
        || content_type == "application/grpc+proto"
        || content_type.starts_with("application/grpc;")
    {
        return None;
    } else {
        let text = "This port speaks gRPC: the content-type must be application/grpc+proto, and the body a message of protobuf, not JSON or a form.\n";
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    };
    let mut response = Response::new(Body::new(http_body_util::Full::new(text.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    }
    Some(response)
}

impl Admission {
    /// The answer to a call of a method that is not served here.
    pub(super) fn unimplemented(&self, path: &str) -> Status {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        let methods = self.access.methods(service);
        Status::unimplemented(if methods.is_empty() {
            let service = quoted(service);
            format!(
                "there is no service {service} here; reflection (grpc.reflection.v1.ServerReflection) lists the services"
            )
        } else if methods.contains(&method) {
            format!("the service {service} is not served by this process; reflection lists the services that are")
        } else {
            format!("the service {service} has no method {}; it has {}", quoted(method), methods.join(", "))
        })
    }

    /// Adds the missing words to an answer that says UNIMPLEMENTED and nothing more: the router's.
    pub(super) fn explain_unimplemented(&self, response: Response<Body>, path: &str) -> Response<Body> {
        let headers = response.headers();
        let is_unimplemented = headers.get("grpc-status").is_some_and(|status| status == "12");
        let has_message = headers.get("grpc-message").is_some_and(|message| !message.is_empty());
        if is_unimplemented && !has_message { self.unimplemented(path).into_http() } else { response }
    }
}

/// A name from a request, of at most 100 characters.
fn quoted(name: &str) -> String {
    format!("{:?}", name.chars().take(100).collect::<String>())
}
