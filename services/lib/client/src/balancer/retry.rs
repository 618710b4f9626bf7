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

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::SocketAddr,
        sync::{Arc, Mutex},
    };

    use bytes::Bytes;
    use frontdesk_api::has_reason;
    use tower::util::BoxCloneSyncService;

    use super::*;
    use crate::balancer::replica::Replica;

    /// What a replica does with a call.
    #[derive(Clone, Copy)]
    enum Behaviour {
        Answers,
        AnswersUnavailable,
        CannotBeReached,
        DoesNotAnswer,
    }

    use Behaviour::{Answers, AnswersUnavailable, CannotBeReached, DoesNotAnswer};

    type Channel = BoxCloneSyncService<Request<Body>, Response<Body>, io::Error>;
    /// The ports of the replicas that were called, and the bodies that they got.
    type Calls = Arc<Mutex<Vec<(u16, Bytes)>>>;

    /// Replicas that behave like this, at the ports from 1.
    fn replicas(behaviours: &[Behaviour]) -> (Picker<Channel>, Calls) {
        let (picker, calls) = (Picker::default(), Calls::default());
        let replica = |(port, behaviour): (u16, Behaviour)| {
            let calls = calls.clone();
            let channel = tower::service_fn(move |request: Request<Body>| {
                let calls = calls.clone();
                async move {
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    calls.lock().unwrap().push((port, body));
                    match behaviour {
                        Answers => Ok(Response::new(Body::empty())),
                        AnswersUnavailable => Ok(Status::unavailable("no database").into_http()),
                        CannotBeReached => Err(io::ErrorKind::ConnectionRefused.into()),
                        DoesNotAnswer => std::future::pending().await,
                    }
                }
            });
            Arc::new(Replica::new(SocketAddr::from(([127, 0, 0, 1], port)), BoxCloneSyncService::new(channel)))
        };
        picker.replace((1..).zip(behaviours.iter().copied()).map(replica).collect());
        (picker, calls)
    }

    async fn call(picker: &Picker<Channel>) -> Result<Response<Body>, Status> {
        call_with_retries(picker, Request::new(Body::new(Full::new(Bytes::from_static(b"request"))))).await
    }

    #[tokio::test(start_paused = true)]
    async fn r16_a_call_succeeds_when_one_of_three_replicas_answers() {
        for failure in [AnswersUnavailable, CannotBeReached, DoesNotAnswer] {
            let (picker, calls) = replicas(&[failure, failure, Answers]);
            let response = call(&picker).await.unwrap();
            assert!(!is_unavailable(&response));
            let request = Bytes::from_static(b"request");
            let expected = [(1, request.clone()), (2, request.clone()), (3, request)];
            assert_eq!(*calls.lock().unwrap(), expected, "each replica gets the whole request");
        }
    }

    #[tokio::test]
    async fn r16_a_retry_excludes_the_replica_that_was_tried_even_if_it_has_the_fewest_calls() {
        let (picker, calls) = replicas(&[AnswersUnavailable, Answers]);
        let busy = picker.find(SocketAddr::from(([127, 0, 0, 1], 2))).unwrap();
        let _call = busy.health.begin_call();
        assert!(!is_unavailable(&call(&picker).await.unwrap()));
        assert_eq!(calls.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn r16_a_call_tries_three_replicas_at_most() {
        let (picker, calls) = replicas(&[CannotBeReached; 5]);
        let status = call(&picker).await.unwrap_err();
        assert!(has_reason(&status, "UNAVAILABLE") && status.message().contains("cannot be reached"), "{status:?}");
        assert_eq!(calls.lock().unwrap().len(), MAX_ATTEMPTS);
    }

    #[tokio::test(start_paused = true)]
    async fn r16_the_last_answer_is_returned_when_no_other_replica_is_left() {
        let (picker, _) = replicas(&[CannotBeReached, AnswersUnavailable]);
        assert!(is_unavailable(&call(&picker).await.unwrap()), "the replica's own words");
        let (picker, _) = replicas(&[DoesNotAnswer]);
        assert!(call(&picker).await.unwrap_err().message().contains("does not answer"));
        assert!(call(&picker).await.unwrap_err().message().contains("no replica is available"), "it is ejected now");
    }
}
