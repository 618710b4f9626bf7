//! A receiver of webhooks, which answers as a test says.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{LOCATION, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use frontdesk_testkit::wait_for;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// A receiver on the loopback address. Requests with the path `/hangs` are not answered.
#[derive(Clone)]
pub struct Receiver {
    pub port: u16,
    state: Arc<Mutex<Requests>>,
}

#[derive(Default)]
struct Requests {
    received: Vec<Received>,
    answers: VecDeque<u16>,
}

/// A request that the receiver got.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub id: String,
    pub timestamp: String,
    pub signatures: Vec<String>,
    pub body: String,
}

impl Received {
    fn new(path: String, headers: &HeaderMap, body: String) -> Self {
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let signatures = header("webhook-signature").split(' ').map(str::to_owned).collect();
        Self { path, id: header("webhook-id"), timestamp: header("webhook-timestamp"), signatures, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of its signatures is of this secret, by the specification of Standard Webhooks and not by the code under test.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let signed = format!("{}.{}.{}", self.id, self.timestamp, self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(&key, signed.as_bytes())));
        self.signatures.contains(&expected)
    }
}

/// RFC 2104, for keys that are not longer than a block.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let padded = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(padding, key)| *padding ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

impl Receiver {
    /// Answers the first requests with these statuses, and later ones with 200.
    pub async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(Requests { answers: answers.iter().copied().collect(), ..Default::default() }));
        let routes = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { port, state }
    }

    /// An address of the receiver with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it got so far, in order.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().unwrap().received.clone()
    }

    /// Waits until it got this number of requests.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        wait_for("webhooks", || async { Some(self.received()).filter(|received| received.len() >= count) }).await
    }
}

async fn answer(State(state): State<Arc<Mutex<Requests>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path().to_owned();
    let received = Received::new(path.clone(), &head.headers, String::from_utf8(body.to_vec()).unwrap());
    let status = {
        let mut requests = state.lock().unwrap();
        requests.received.push(received);
        requests.answers.pop_front().unwrap_or(200)
    };
    if path == "/hangs" {
        return std::future::pending().await;
    }
    let status = StatusCode::from_u16(status).unwrap();
    let retry_after = if status == StatusCode::TOO_MANY_REQUESTS { "3600" } else { "0" };
    (status, [(LOCATION, "/elsewhere"), (RETRY_AFTER, retry_after)], format!("answer {}\u{0}", status.as_u16()))
        .into_response()
}
