//! Callers: connections that send a token, and what tests read from refusals.

use std::time::Duration;

use frontdesk_clock::testing::new_id;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};
use tonic_types::StatusExt;

/// How long [`wait_for`] waits before the test fails. An event that was retried eight times waits for 25 seconds, and twenty events
/// of one session retry often on a loaded machine.
const WAIT: Duration = Duration::from_secs(60);

/// Adds a token to each call; without a token, nothing.
#[derive(Clone)]
pub struct BearerToken(Option<MetadataValue<Ascii>>);

impl BearerToken {
    /// Sends this token.
    pub fn new(token: &str) -> Self {
        Self(Some(format!("Bearer {token}").parse().expect("a token that is metadata")))
    }

    /// Sends no token.
    pub fn none() -> Self {
        Self(None)
    }
}

impl Interceptor for BearerToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A new request id.
pub fn request_id() -> String {
    new_id().to_string()
}

/// The reason of a refusal; the whole status, if it has none, so that a failed comparison shows it.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map_or_else(|| format!("{status:?}"), |info| info.reason)
}

/// The value of `key` in the metadata of a refusal. Empty: it has none.
pub fn metadata(status: &Status, key: &str) -> String {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove(key)).unwrap_or_default()
}

/// Calls `find` until it returns a value.
///
/// # Panics
/// After 60 seconds.
pub async fn wait_for<T, F: Future<Output = Option<T>>>(what: &str, find: impl Fn() -> F) -> T {
    let finding = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT, finding).await.unwrap_or_else(|_| panic!("waited {WAIT:?} in vain for {what}"))
}

/// Calls `holds` until it returns true.
///
/// # Panics
/// After 60 seconds.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    wait_for(what, || async { holds().await.then_some(()) }).await;
}
