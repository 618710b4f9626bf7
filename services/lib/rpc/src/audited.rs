//! Calls that are kept in the audit trail: the record is written before the handler runs, or it does not run, and how the call
//! ended is added after it. What of request and answer is kept are the ids in them.

use std::{convert::Infallible, panic::AssertUnwindSafe};

use bytes::Bytes;
use frontdesk_audit::{Call, Resources, Trail};
use frontdesk_auth::{Caller, UndeclaredMethod};
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{Refusal, request::FRAME};

/// Records the calls of audited methods.
pub struct Audited {
    trail: Trail,
    contract: DescriptorPool,
}

impl Audited {
    /// Records in `trail`; the encoded descriptors of the contract say where in a message the ids are.
    pub fn try_new(trail: Trail, descriptors: &[u8]) -> Result<Self, UndeclaredMethod> {
        let contract = DescriptorPool::decode(descriptors).map_err(|error| UndeclaredMethod(error.to_string()))?;
        Ok(Self { trail, contract })
    }

    /// Records a call that was refused to a caller who may not make it. Their request is not read.
    pub(crate) async fn refused(&self, caller: &Caller, path: &str, status: &Status) {
        if let Err(error) = self.trail.refused(call(caller, path, Resources::new()), &outcome(status)).await {
            tracing::error!(%error, "a refusal is missing in the audit trail");
        }
    }

    /// Writes the record, lets `handler` answer, and adds how that ended.
    pub(crate) async fn record<F>(
        &self,
        caller: &Caller,
        path: &str,
        request: Request<Bytes>,
        handler: impl FnOnce(Request<Body>) -> F,
    ) -> Response<Body>
    where
        F: Future<Output = Result<Response<Body>, Infallible>>,
    {
        let (head, body) = request.into_parts();
        let (input, output) = self.messages(path).unzip();
        let begun = match self.trail.begin(call(caller, path, ids(input, &body))).await {
            Ok(begun) => begun,
            Err(error) => {
                tracing::error!(%error, "the audit trail cannot be written");
                let why = "the audit trail cannot be written now, so nothing was done; try again";
                return Status::from(Refusal::unavailable(why)).into_http();
            }
        };
        let handled = AssertUnwindSafe(handler(Request::from_parts(head, Body::new(Full::new(body))))).catch_unwind();
        let (ended, answer) = match handled.await {
            Ok(Ok(response)) => {
                let (response, outcome, made) = read(crate::gate::blame(response), output).await;
                (begun.end(&outcome, made).await, Ok(response))
            }
            Ok(Err(never)) => match never {},
            Err(panic) => (begun.end("INTERNAL", Resources::new()).await, Err(panic)),
        };
        if let Err(error) = ended {
            // The call took place, and the caller must know what came of it.
            tracing::error!(%error, "the end of a call is missing in the audit trail");
        }
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The messages of the method at `path`.
    fn messages(&self, path: &str) -> Option<(MessageDescriptor, MessageDescriptor)> {
        let (service, method) = path.trim_start_matches('/').rsplit_once('/')?;
        let method = self.contract.get_service_by_name(service)?.methods().find(|known| known.name() == method)?;
        Some((method.input(), method.output()))
    }
}

fn call<'a>(caller: &'a Caller, path: &'a str, resources: Resources) -> Call<'a> {
    let trace_id = frontdesk_telemetry::traceparent().split('-').nth(1).unwrap_or_default().to_owned();
    Call { caller, method: path.trim_start_matches('/'), resources, trace_id }
}

/// The answer unchanged, how the call ended, and the ids of what it made.
async fn read(response: Response<Body>, message: Option<MessageDescriptor>) -> (Response<Body>, String, Resources) {
    // A refusal is headers and nothing else.
    if let Some(status) = Status::from_header_map(response.headers()) {
        return (response, outcome(&status), Resources::new());
    }
    let (head, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body,
        Err(status) => return (status.clone().into_http(), outcome(&status), Resources::new()),
    };
    let (trailers, bytes) = (body.trailers().cloned(), body.to_bytes());
    let status = trailers.as_ref().and_then(Status::from_header_map);
    let made = ids(message, &bytes);
    let body = Full::new(bytes).with_trailers(std::future::ready(trailers.map(Ok)));
    let outcome = status.map_or_else(|| name_of(Code::Unknown), |status| outcome(&status));
    (Response::from_parts(head, Body::new(body)), outcome, made)
}

/// The ids in a message as gRPC frames it: of its fields `id` and `…_id`, and of what it holds as `agent` with an `id`, named
/// `agent_id`. Anything else than a UUID is not kept: before the field rules such a field may hold a text.
fn ids(message: Option<MessageDescriptor>, frame: &Bytes) -> Resources {
    let mut found = Resources::new();
    // A compressed one is refused by the handler.
    let bytes = frame.get(..FRAME).filter(|head| head[0] == 0).and(frame.get(FRAME..));
    let message = message.zip(bytes).and_then(|(message, bytes)| DynamicMessage::decode(message, bytes).ok());
    for (field, value) in message.iter().flat_map(DynamicMessage::fields) {
        let name = field.name();
        let (name, id) = match value.as_message().and_then(|held| Some(held.get_field_by_name("id")?.into_owned())) {
            Some(id) => (format!("{name}_id"), id),
            None if name == "id" || name.ends_with("_id") => (name.to_owned(), value.clone()),
            None => continue,
        };
        if let Some(id) = id.as_str().and_then(|id| id.parse::<Uuid>().ok()) {
            found.insert(name, id);
        }
    }
    found
}

/// The code as gRPC names it, and the reason.
fn outcome(status: &Status) -> String {
    let code = name_of(status.code());
    match status.get_details_error_info() {
        Some(info) if !info.reason.is_empty() => format!("{code} {}", info.reason),
        _ => code,
    }
}

/// `FailedPrecondition` as `FAILED_PRECONDITION`.
fn name_of(code: Code) -> String {
    let mut name = String::new();
    for char in format!("{code:?}").chars() {
        if char.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(char.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use frontdesk_auth::{AccessMap, Keys};
    use frontdesk_clock::Clock;
    use frontdesk_proto::auth::v1::Reason;
    use prost_reflect::{ReflectMessage, Value, prost::Message};

    use super::*;

    fn framed(bytes: Vec<u8>) -> Bytes {
        let mut frame = vec![0];
        frame.extend((bytes.len() as u32).to_be_bytes());
        frame.extend(bytes);
        frame.into()
    }

    /// The first audited method whose request has this field.
    fn request_with(field: &str) -> MessageDescriptor {
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audited = Audited::try_new(Trail::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let mut paths = access.iter().filter(|(_, access)| access.audited()).map(|(path, _)| path);
        paths
            .find_map(|path| {
                audited.messages(path).map(|(input, _)| input).filter(|input| input.get_field_by_name(field).is_some())
            })
            .unwrap()
    }

    #[test]
    fn ids_are_kept_and_what_only_stands_in_their_place_is_not() {
        let id = Uuid::from_u128(7);
        let mut message = DynamicMessage::new(request_with("etag"));
        let fields: Vec<String> = message.descriptor().fields().map(|field| field.name().to_owned()).collect();
        let own = fields.iter().find(|name| name.ends_with("_id")).unwrap();
        message.set_field_by_name("etag", Value::String(id.to_string()));
        message.set_field_by_name(own, Value::String(id.to_string()));
        let frame = framed(message.encode_to_vec());
        assert_eq!(ids(Some(message.descriptor()), &frame), Resources::from([(own.to_string(), id)]));
        message.set_field_by_name(own, Value::String("canary@example.com".into()));
        assert!(ids(Some(message.descriptor()), &framed(message.encode_to_vec())).is_empty());
        for broken in [&b""[..], b"\0\0\0", b"\x01\0\0\0\0", b"\0\0\0\0\x09\xff\xff"] {
            assert!(ids(Some(message.descriptor()), &Bytes::from_static(broken)).is_empty());
        }
    }

    #[test]
    fn outcomes_are_named_as_callers_know_them() {
        assert_eq!((name_of(Code::Ok), name_of(Code::FailedPrecondition)), ("OK".into(), "FAILED_PRECONDITION".into()));
        let refusal = Refusal::shared(Code::PermissionDenied, Reason::NotPermitted, "no");
        assert_eq!(outcome(&refusal.into()), "PERMISSION_DENIED NOT_PERMITTED");
        assert_eq!(outcome(&Status::unimplemented("")), "UNIMPLEMENTED");
    }

    #[tokio::test]
    async fn without_a_record_the_handler_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::development(&folder.path().join("key"), &Clock::system()).unwrap();
        let account = frontdesk_auth::AccountId(Uuid::from_u128(1));
        let claims = keys.claims(account, frontdesk_auth::Kind::Admin, "ada", std::time::Duration::from_secs(60));
        let caller = keys.verify(&keys.mint(&claims).unwrap()).unwrap();
        let audited = Audited::try_new(Trail::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let handler = |_| async { panic!("it ran") };
        let answer = audited.record(&caller, "/test.Service/Method", Request::new(Bytes::new()), handler).await;
        assert_eq!(answer.headers()["grpc-status"], "14", "UNAVAILABLE");
    }
}
