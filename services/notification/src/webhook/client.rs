//! Posts events to receivers.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
    redirect::Policy,
};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

use super::{ReceiverNetworks, target};
use crate::{domain::WebhookOutcome, settings::WebhookSettings};

/// Maximum size of the part of an answer that is stored (bytes).
const MAX_BODY: usize = 1024;
/// How long the body of an answer is waited for after its status.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection is kept open without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of names that are looked up at the same time. Each takes one of the 512 threads that the process has for such calls.
const MAX_LOOKUPS: usize = 256;
/// Maximum number of characters of the reason of a failure.
const MAX_FAILURE: usize = 300;

/// A request to a receiver.
pub(crate) struct WebhookRequest {
    pub(crate) url: String,
    /// The header `webhook-id`.
    pub(crate) event: Uuid,
    /// The header `webhook-timestamp`.
    pub(crate) timestamp: i64,
    /// The header `webhook-signature`.
    pub(crate) signatures: String,
    pub(crate) body: String,
}

/// Posts events to receivers, over connections that are kept for a while. Clones share them.
#[derive(Clone)]
pub(crate) struct WebhookClient {
    client: Client,
    networks: Arc<ReceiverNetworks>,
    allow_http: bool,
    timeout: Duration,
}

/// Why no connection was made.
#[derive(Debug)]
struct RefusedAddress;

impl fmt::Display for RefusedAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the host has no address that webhooks may connect to: it is not known, or its addresses are not public",
        )
    }
}

impl std::error::Error for RefusedAddress {}

/// Resolves names to the addresses that receivers may have. The client connects to these and asks no other resolver, so a name that resolves to
/// another address later leads nowhere else.
struct Resolver {
    networks: Arc<ReceiverNetworks>,
    lookups: Arc<Semaphore>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (networks, lookups, host) = (self.networks.clone(), self.lookups.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let permit = lookups.acquire_owned().await?;
            // The thread of a lookup works on after the time limit of the attempt: a task keeps the permit as long.
            let lookup = tokio::spawn(async move {
                // The client sets the port.
                let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
                drop(permit);
                found
            });
            // A name that is not known has the same text, so that no account learns which names only this network knows.
            let found: Vec<SocketAddr> = lookup.await.ok().and_then(Result::ok).unwrap_or_default();
            let usable: Vec<SocketAddr> = found.into_iter().filter(|address| networks.allow(address.ip())).collect();
            if usable.is_empty() {
                return Err(RefusedAddress.into());
            }
            let addresses: Addrs = Box::new(usable.into_iter());
            Ok::<Addrs, Box<dyn std::error::Error + Send + Sync>>(addresses)
        })
    }
}

impl WebhookClient {
    /// Returns a client for receivers in these networks.
    pub(crate) fn try_new(settings: &WebhookSettings, networks: Arc<ReceiverNetworks>) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .dns_resolver(Resolver { networks: networks.clone(), lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) })
            // A redirect could lead to a private address, and to another receiver than the account chose.
            .redirect(Policy::none())
            // Each connection of HTTP/2 would have large windows, and none has many requests.
            .http1_only()
            // A proxy would resolve the names itself.
            .no_proxy()
            .connect_timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, networks, allow_http: settings.allow_http, timeout: settings.timeout })
    }

    /// Posts an event. It takes no longer than the setting `timeout` and a second.
    pub(crate) async fn post(&self, request: WebhookRequest) -> WebhookOutcome {
        let began = Instant::now();
        match timeout(self.timeout, self.send(request)).await {
            Ok(Ok(mut response)) => {
                let (retry_after, body) = (retry_after(&response), first_bytes(&mut response).await);
                let answered = WebhookOutcome::answered(response.status().as_u16(), body, began.elapsed());
                WebhookOutcome { retry_after, ..answered }
            }
            Ok(Err(failure)) => WebhookOutcome::unanswered(failure, began.elapsed()),
            Err(_) => {
                let failure = format!("the receiver did not answer within {} ms", self.timeout.as_millis());
                WebhookOutcome::unanswered(failure, began.elapsed())
            }
        }
    }

    async fn send(&self, request: WebhookRequest) -> Result<Response, String> {
        let url = Url::parse(&request.url).map_err(|_| "the address of the endpoint is not valid".to_owned())?;
        // The setting may have changed since the endpoint was created.
        if url.scheme() != "https" && !self.allow_http {
            return Err("the address of the endpoint is not https".into());
        }
        // The client asks no resolver for a host that is an address.
        if target::literal(&url).is_some_and(|address| !self.networks.allow(address)) {
            return Err(RefusedAddress.to_string());
        }
        let post = self
            .client
            .post(url)
            .header(USER_AGENT, concat!("Frontdesk/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.event.to_string())
            .header("webhook-timestamp", request.timestamp)
            .header("webhook-signature", request.signatures)
            .body(request.body);
        post.send().await.map_err(|error| with_causes(&error.without_url()))
    }
}

/// Returns the pause that the receiver asks for in seconds. Dates are not read.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// Reads the beginning of the body, as far as it comes soon, without control characters.
async fn first_bytes(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= MAX_BODY {
                return;
            }
        }
    };
    // A receiver that does not end its body has confirmed the event with its status.
    let _ = timeout(BODY_TIMEOUT, read).await;
    beginning(&bytes)
}

/// Returns the beginning of a text, without control characters.
fn beginning(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..MAX_BODY).unwrap_or(bytes));
    let mut text: String = text.chars().filter(|character| !character.is_control() || *character == '\n').collect();
    // Each byte that is no UTF-8 became three.
    text.truncate(text.floor_char_boundary(MAX_BODY));
    text
}

/// The error with its causes, which the HTTP client leaves out of its text.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.chars().filter(|character| !character.is_control()).take(MAX_FAILURE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i17_no_more_than_1024_bytes_of_an_answer_are_stored() {
        assert_eq!(beginning(b"words\0\n"), "words\n");
        assert_eq!(beginning(&[b'a'; 2_000]).len(), 1_024);
        let cut = beginning(&[0xff; 2_000]);
        assert_eq!((cut.len(), cut.chars().count()), (1_023, 341));
    }
}
