//! A receiver of webhooks behind a proxy. It confirms an event when a signature of the request is valid.

use std::sync::{
    Arc, Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use aws_lc_rs::hmac;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::Notes;
use crate::{
    cluster::Failure,
    proxy::{Protocol, Proxy},
};

/// How a receiver answers requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With 200, if they are signed.
    Confirms,
    /// With 500, and forgets them.
    Fails,
    /// Not at all, and forgets them.
    Never,
}

/// A receiver on the loopback address.
pub struct Receiver {
    proxy: Proxy,
    inner: Arc<Inner>,
    _serving: AbortOnDropHandle<()>,
}

struct Inner {
    /// How it answers without a fault.
    usual: Answer,
    answer: Mutex<Answer>,
    requests: AtomicU64,
    verifier: OnceLock<Verifier>,
}

/// What it verifies requests with, and where it notes their events.
struct Verifier {
    key: Vec<u8>,
    notes: Notes,
}

impl Receiver {
    /// Starts a receiver. Until `verify` it confirms nothing.
    pub async fn start(usual: Answer, seed: u64) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy::start(listener.local_addr()?.port(), Protocol::Opaque, seed).await?;
        let (answer, requests, verifier) = (Mutex::new(usual), AtomicU64::new(0), OnceLock::new());
        let inner = Arc::new(Inner { usual, answer, requests, verifier });
        let routes = Router::new().fallback(receive).with_state(inner.clone());
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { proxy, inner, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Verifies requests with this secret of an endpoint from now on, and notes their events.
    pub(super) fn verify(&self, secret: &str, notes: Notes) -> Result<(), Failure> {
        let key = secret.strip_prefix("whsec_").ok_or("the secret of the endpoint has another form")?;
        let verifier = Verifier { key: STANDARD.decode(key)?, notes };
        self.inner.verifier.set(verifier).map_err(|_| "the receiver has a secret".into())
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.proxy.port)
    }

    /// Number of requests that it got, confirmed or not.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// Changes how it answers requests from now on.
    pub(super) fn set_answer(&self, answer: Answer) {
        *self.inner.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// Resets all open and all new connections.
    pub(super) fn refuse_connections(&self) {
        self.proxy.refuse_connections();
    }

    /// Ends all faults.
    pub(super) fn heal(&self) {
        self.set_answer(self.inner.usual);
        self.proxy.heal();
    }
}

async fn receive(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    inner.requests.fetch_add(1, Ordering::Relaxed);
    let answer = *inner.answer.lock().unwrap_or_else(PoisonError::into_inner);
    match (answer, inner.verifier.get()) {
        (Answer::Never, _) => std::future::pending().await,
        (Answer::Confirms, Some(verifier)) => match verifier.verify(&headers, &body) {
            Ok((event, account)) => {
                verifier.notes.receive(&event, &account);
                StatusCode::OK
            }
            Err(failure) => {
                verifier.notes.fail(failure);
                StatusCode::BAD_REQUEST
            }
        },
        (Answer::Fails, _) | (Answer::Confirms, None) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Verifier {
    /// Returns the ids of the event and of its account, if the request is signed as Standard Webhooks specifies.
    fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(String, String), String> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
        let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let is_valid = |signature: &str| {
            let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
            tag.is_some_and(|tag| hmac::verify(&key, &signed, &tag).is_ok())
        };
        if !header("webhook-signature").split(' ').any(is_valid) {
            return Err(format!("the request with the event {id} has no valid signature"));
        }
        let event: Value =
            serde_json::from_slice(body).map_err(|error| format!("the event {id} is no JSON: {error}"))?;
        let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if field("id") != id {
            return Err(format!("the request with the event {id} has the event {} in its body", field("id")));
        }
        Ok((field("id"), field("accountId")))
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Clock;

    use super::*;

    const BODY: &str = r#"{"id": "e", "accountId": "a"}"#;
    const KEY: &[u8] = b"key of the endpoint";

    fn verified(id: &str, signed: &str) -> Result<(String, String), String> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY), format!("{id}.7.{signed}").as_bytes());
        let signature = format!("v1,AAAA v1,{}", STANDARD.encode(tag));
        let mut headers = HeaderMap::new();
        for (name, value) in [("webhook-id", id), ("webhook-timestamp", "7"), ("webhook-signature", signature.as_str())]
        {
            headers.insert(name, value.parse().unwrap());
        }
        let notes = Notes::new("webhook", "a", 0, &Clock::system());
        Verifier { key: KEY.to_vec(), notes }.verify(&headers, BODY.as_bytes())
    }

    #[test]
    fn a_request_is_taken_with_a_signature_of_its_body_only() {
        assert_eq!(verified("e", BODY), Ok(("e".into(), "a".into())));
        assert!(verified("e", "{}").unwrap_err().contains("no valid signature"));
        assert!(verified("other", BODY).unwrap_err().contains("has the event e in its body"));
    }
}
