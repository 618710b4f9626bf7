//! Records the calls of audited methods: the record is written before the handler runs, and without it the handler does not run;
//! the outcome is added afterwards. Of request and response only the ids are recorded.

use std::{convert::Infallible, panic::AssertUnwindSafe};

use bytes::Bytes;
use frontdesk_api::ApiError;
use frontdesk_audit::{AuditLog, Call, Resources};
use frontdesk_auth::{Caller, UndeclaredMethod};
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{code_name::code_name, layer::undecodable_as_invalid_argument, request_body::PREFIX_SIZE};

/// Records the calls of audited methods.
pub struct AuditLayer {
    log: AuditLog,
    descriptors: DescriptorPool,
}

impl AuditLayer {
    /// Records in `log`; the encoded descriptors of the protos say which fields of a message are ids.
    pub fn try_new(log: AuditLog, descriptors: &[u8]) -> Result<Self, UndeclaredMethod> {
        let descriptors = DescriptorPool::decode(descriptors).map_err(|error| UndeclaredMethod(error.to_string()))?;
        Ok(Self { log, descriptors })
    }

    /// Records a refused call, without the ids of its request, which is not read.
    pub(super) async fn record_rejection(&self, caller: &Caller, path: &str, status: &Status) {
        if let Err(error) = self.log.record_refused(call(caller, path, Resources::new()), &outcome(status)).await {
            tracing::error!(%error, "the audit log has no record of a refused call");
        }
    }

    /// Writes the numbers of refused calls.
    pub(super) async fn write_counts(&self) {
        if let Err(error) = self.log.write_counts().await {
            tracing::error!(%error, "the audit log has not the number of the refused calls");
        }
    }

    /// Writes the record, runs the handler, and adds the outcome. Answers UNAVAILABLE without running the handler when the record
    /// cannot be written.
    pub(super) async fn record<F>(
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
        let record = match self.log.begin(call(caller, path, ids(input, &body))).await {
            Ok(record) => record,
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be written");
                let message = "the audit log cannot be written now, so nothing was done; try again";
                return Status::from(ApiError::unavailable(message)).into_http();
            }
        };
        let handler = AssertUnwindSafe(handler(Request::from_parts(head, Body::new(Full::new(body))))).catch_unwind();
        let (recorded, response) = match handler.await {
            Ok(Ok(response)) => {
                let (response, outcome, created) =
                    read_outcome(undecodable_as_invalid_argument(response), output).await;
                (record.finish(&outcome, created).await, Ok(response))
            }
            Ok(Err(never)) => match never {},
            Err(panic) => (record.finish("INTERNAL", Resources::new()).await, Err(panic)),
        };
        if let Err(error) = recorded {
            // The call took place: the caller gets its response.
            tracing::error!(%error, "the audit log has no outcome of a call");
        }
        response.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The request and response messages of the method at `path`.
    fn messages(&self, path: &str) -> Option<(MessageDescriptor, MessageDescriptor)> {
        let (service, method) = path.trim_start_matches('/').rsplit_once('/')?;
        let method =
            self.descriptors.get_service_by_name(service)?.methods().find(|candidate| candidate.name() == method)?;
        Some((method.input(), method.output()))
    }
}

fn call<'a>(caller: &'a Caller, path: &'a str, resources: Resources) -> Call<'a> {
    let trace_id = frontdesk_telemetry::traceparent().split('-').nth(1).unwrap_or_default().to_owned();
    Call { caller, method: path.trim_start_matches('/'), resources, trace_id }
}

/// The response unchanged, the call's outcome, and the ids of what it created.
async fn read_outcome(
    response: Response<Body>,
    message: Option<MessageDescriptor>,
) -> (Response<Body>, String, Resources) {
    // An error response consists of headers only.
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
    let created = ids(message, &bytes);
    let body = Full::new(bytes).with_trailers(std::future::ready(trailers.map(Ok)));
    let outcome = status.map_or_else(|| code_name(Code::Unknown).to_owned(), |status| outcome(&status));
    (Response::from_parts(head, Body::new(body)), outcome, created)
}

/// The ids in a message with its gRPC prefix: of the fields `id` and `…_id`, and of messages in it, so that the `id` of a field `agent`
/// becomes `agent_id`. Only UUIDs are recorded: the fields are not validated yet and may hold any text.
fn ids(message: Option<MessageDescriptor>, prefixed: &Bytes) -> Resources {
    let mut found = Resources::new();
    // The handler refuses a compressed message.
    let bytes = prefixed.get(..PREFIX_SIZE).filter(|prefix| prefix[0] == 0).and(prefixed.get(PREFIX_SIZE..));
    let message = message.zip(bytes).and_then(|(message, bytes)| DynamicMessage::decode(message, bytes).ok());
    for (field, value) in message.iter().flat_map(DynamicMessage::fields) {
        let name = field.name();
        let (name, id) = match value.as_message().and_then(|inner| Some(inner.get_field_by_name("id")?.into_owned())) {
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

/// The name of the code, and the reason.
fn outcome(status: &Status) -> String {
    let code = code_name(status.code());
    match status.get_details_error_info() {
        Some(info) if !info.reason.is_empty() => format!("{code} {}", info.reason),
        _ => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_auth::{AccessMap, DevelopmentKey};
    use frontdesk_clock::Clock;
    use frontdesk_proto::error::v1::Reason;
    use prost_reflect::{ReflectMessage, Value, prost::Message};

    use super::*;

    fn prefixed(bytes: Vec<u8>) -> Bytes {
        let mut prefixed = vec![0];
        prefixed.extend((bytes.len() as u32).to_be_bytes());
        prefixed.extend(bytes);
        prefixed.into()
    }

    /// The request of the first audited method that has this field, and an id.
    fn request_with(field: &str) -> MessageDescriptor {
        let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let mut paths = access.iter().filter(|(_, access)| access.audited()).map(|(path, _)| path);
        paths
            .find_map(|path| {
                audit.messages(path).map(|(input, _)| input).filter(|input| {
                    input.get_field_by_name(field).is_some() && input.fields().any(|own| own.name().ends_with("_id"))
                })
            })
            .unwrap()
    }

    #[test]
    fn ids_are_recorded_and_other_texts_in_their_fields_are_not() {
        let id = Uuid::from_u128(7);
        let mut message = DynamicMessage::new(request_with("etag"));
        let fields: Vec<String> = message.descriptor().fields().map(|field| field.name().to_owned()).collect();
        let own = fields.iter().find(|name| name.ends_with("_id")).unwrap();
        message.set_field_by_name("etag", Value::String(id.to_string()));
        message.set_field_by_name(own, Value::String(id.to_string()));
        assert_eq!(
            ids(Some(message.descriptor()), &prefixed(message.encode_to_vec())),
            Resources::from([(own.to_string(), id)])
        );
        message.set_field_by_name(own, Value::String("canary@example.com".into()));
        assert!(ids(Some(message.descriptor()), &prefixed(message.encode_to_vec())).is_empty());
        for broken in [&b""[..], b"\0\0\0", b"\x01\0\0\0\0", b"\0\0\0\0\x09\xff\xff"] {
            assert!(ids(Some(message.descriptor()), &Bytes::from_static(broken)).is_empty());
        }
    }

    #[test]
    fn outcomes_are_the_names_of_codes_and_reasons() {
        assert_eq!((code_name(Code::Ok), code_name(Code::FailedPrecondition)), ("OK", "FAILED_PRECONDITION"));
        let error = ApiError::shared(Code::PermissionDenied, Reason::NotPermitted, "no");
        assert_eq!(outcome(&error.into()), "PERMISSION_DENIED NOT_PERMITTED");
        assert_eq!(outcome(&Status::unimplemented("")), "UNIMPLEMENTED");
    }

    #[tokio::test]
    async fn without_a_record_the_handler_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &Clock::system()).unwrap();
        let account = frontdesk_db::AccountId(Uuid::from_u128(1));
        let claims = keys.claims(account, frontdesk_auth::CallerKind::Admin, "ada", std::time::Duration::from_secs(60));
        let caller = keys.verify(&keys.mint(&claims).unwrap()).unwrap();
        let audit = AuditLayer::try_new(AuditLog::default(), frontdesk_proto::DESCRIPTORS).unwrap();
        let handler = |_| async { panic!("the handler ran") };
        let response = audit.record(&caller, "/test.Service/Method", Request::new(Bytes::new()), handler).await;
        assert_eq!(response.headers()["grpc-status"], "14", "UNAVAILABLE");
    }
}
