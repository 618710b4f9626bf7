//! Retries a call with another replica when one cannot be reached, does not answer, or answers UNAVAILABLE.

use std::error::Error;

use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tonic::{Code, Status, body::Body};
use tower::Service;

use super::{pick::Picker, unreachable};

/// Maximum number of replicas that one call tries.
const MAX_ATTEMPTS: usize = 3;

/// The response of the first replica that is available, else that of the last one tried.
pub(super) async fn call_with_retries<C>(picker: &Picker<C>, request: Request<Body>) -> Result<Response<Body>, Status>
where
    C: Service<Request<Body>, Response = Response<Body>> + Clone,
    C::Error: Error + 'static,
{
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| Status::internal(error.to_string()))?.to_bytes();
    let mut tried = Vec::new();
    let mut last = Err(unreachable("no replica is available"));
    for _ in 0..MAX_ATTEMPTS {
        let Some(replica) = picker.pick(&tried) else { break };
        let request = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
        match replica.call(request).await {
            Ok(response) if !is_unavailable(&response) => return Ok(response),
            // A replica that shuts down, or has lost its database, says so: another one may have one.
            failed => last = failed,
        }
        tried.push(replica.address);
    }
    last
}

fn is_unavailable(response: &Response<Body>) -> bool {
    response.headers().get("grpc-status") == Some(&HeaderValue::from(Code::Unavailable as i32))
}
