//! The replicas of another service of ours: finding them, choosing one for each call, trying another when one is gone, and
//! saying so at once when all are.
//!
//! Every call between our services may be repeated: it reads, or carries a request id, or changes nothing the second time.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::{
    Code, Status,
    body::Body,
    transport::{Channel, Endpoint},
};
use tower::Service;

use crate::{Refusal, Tls, WithinProcess};

/// One replica has so long to answer; then another is asked.
const TRY_WITHIN: Duration = Duration::from_secs(3);
/// So many replicas are asked.
const TRIES: usize = 3;
/// Names are looked up so often: replicas come and go.
const LOOK_UP_EVERY: Duration = Duration::from_secs(5);
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);
/// A replica that failed is left alone for so long, twice as long each time.
const REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// Calls that wait for one service at most: more are refused at once instead of piling up.
const IN_FLIGHT_AT_MOST: usize = 1_024;

/// An address is wrong.
#[derive(Debug, thiserror::Error)]
#[error("the address {address} of a service is wrong: {why}")]
pub struct PeerError {
    address: String,
    why: String,
}

/// All replicas of a service. Clones share them.
#[derive(Clone)]
pub struct Replicas(Arc<Shared>);

struct Shared {
    /// Empty: this process, to which there is one way.
    hosts: Vec<Uri>,
    tls: Option<Tls>,
    known: RwLock<Vec<Arc<Replica>>>,
    in_flight: AtomicUsize,
    turn: AtomicUsize,
}

struct Replica {
    address: SocketAddr,
    channel: Channel,
    in_flight: AtomicUsize,
    rest: Mutex<Rest>,
}

/// How often it failed in a row, and until when it is left alone.
#[derive(Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

/// Counts a call while it runs.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Replicas {
    /// The replicas at these addresses, `http://host:port` or `https://host:port` with commas between them; each name may stand
    /// for several. To be called within a runtime, which looks the names up again and again.
    pub fn new(addresses: &str, tls: Option<&Tls>) -> Result<Self, PeerError> {
        let hosts = addresses.split(',').map(str::trim).map(host).collect::<Result<Vec<_>, _>>()?;
        if hosts.iter().any(|host| host.scheme() != hosts[0].scheme()) {
            let why = "all replicas of a service must be https, or none".into();
            return Err(PeerError { address: addresses.to_owned(), why });
        }
        if let Some(address) = hosts.iter().find(|host| host.scheme_str() == Some("https") && tls.is_none()) {
            let why = "it needs tls.certificate_path, tls.key_path and tls.ca_path".into();
            return Err(PeerError { address: address.to_string(), why });
        }
        let replicas = Self::of(hosts, tls, Vec::new());
        let weak = Arc::downgrade(&replicas.0);
        tokio::spawn(async move {
            while let Some(shared) = weak.upgrade() {
                shared.look_up().await;
                drop(shared);
                tokio::time::sleep(LOOK_UP_EVERY).await;
            }
        });
        Ok(replicas)
    }

    /// The one that is this process, for the service named `me`.
    pub(crate) fn within(process: &WithinProcess, me: &'static str) -> Self {
        let (process, me) = (process.clone(), Arc::from(me));
        let connector = tower::service_fn(move |_: Uri| {
            let (process, me) = (process.clone(), Arc::clone(&me));
            async move { process.connect(&me).await.map(TokioIo::new) }
        });
        let channel = endpoint("http://within").connect_with_connector_lazy(connector);
        Self::of(Vec::new(), None, vec![Arc::new(Replica::of(SocketAddr::from(([0, 0, 0, 0], 0)), channel))])
    }

    fn of(hosts: Vec<Uri>, tls: Option<&Tls>, known: Vec<Arc<Replica>>) -> Self {
        Self(Arc::new(Shared {
            hosts,
            tls: tls.cloned(),
            known: RwLock::new(known),
            in_flight: AtomicUsize::new(0),
            turn: AtomicUsize::new(0),
        }))
    }

    async fn ask(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let shared = &self.0;
        if shared.in_flight.load(Ordering::Relaxed) >= IN_FLIGHT_AT_MOST {
            return Err(unreachable("too many calls wait for it"));
        }
        let _counted = Counted::enter(&shared.in_flight);
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| Status::internal(error.to_string()))?.to_bytes();
        if shared.known().is_empty() {
            shared.look_up().await;
        }
        let mut failed = Vec::new();
        let mut last = unreachable("no replica is there");
        for _ in 0..TRIES {
            let Some(replica) = shared.choose(&failed) else { return Err(last) };
            let mut request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            *request.extensions_mut() = parts.extensions.clone();
            match replica.ask(request).await {
                // A replica that stops, or has no database, says so: another may have one.
                Ok(response) if says_unavailable(&response) && failed.len() + 1 < TRIES => {
                    failed.push(replica.address);
                    if shared.choose(&failed).is_none() {
                        return Ok(response);
                    }
                }
                Ok(response) => return Ok(response),
                Err(status) => {
                    failed.push(replica.address);
                    last = status;
                }
            }
        }
        Err(last)
    }
}

impl Shared {
    fn known(&self) -> Vec<Arc<Replica>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks what the names stand for now. One that has no answer keeps the one that it had.
    async fn look_up(&self) {
        let mut addresses = Vec::new();
        for host in &self.hosts {
            let (name, port) = (host.host().unwrap_or_default(), host.port_u16().unwrap_or(80));
            match tokio::time::timeout(LOOK_UP_WITHIN, tokio::net::lookup_host((name, port))).await {
                Ok(Ok(found)) => addresses.extend(found.map(|address| (address, host))),
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!(%host, "the name of a service has no answer");
                    return;
                }
            }
        }
        let before = self.known();
        let mut known: Vec<Arc<Replica>> = Vec::with_capacity(addresses.len());
        for (address, host) in addresses {
            if known.iter().any(|replica| replica.address == address) {
                continue;
            }
            let there = before.iter().find(|replica| replica.address == address).cloned();
            known.push(there.unwrap_or_else(|| Arc::new(Replica::new(address, host, self.tls.as_ref()))));
        }
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The one with the fewest calls among those that are not left alone, in turn where they are even. None: there is none.
    fn choose(&self, failed: &[SocketAddr]) -> Option<Arc<Replica>> {
        let known = self.known();
        if known.is_empty() {
            return None;
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut ready = Vec::with_capacity(known.len());
        for place in 0..known.len() {
            let replica = &known[(turn + place) % known.len()];
            if !failed.contains(&replica.address) && replica.is_ready(now) {
                ready.push(replica);
            }
        }
        ready.into_iter().min_by_key(|replica| replica.in_flight.load(Ordering::Relaxed)).cloned()
    }
}

impl Replica {
    fn new(address: SocketAddr, host: &Uri, tls: Option<&Tls>) -> Self {
        let endpoint = endpoint(&format!("http://{address}")).origin(host.clone());
        let channel = match tls.filter(|_| host.scheme_str() == Some("https")) {
            None => endpoint.connect_lazy(),
            Some(tls) => {
                let (tls, name) = (tls.clone(), host.host().unwrap_or_default().trim_matches(['[', ']']).to_owned());
                // The certificates of the moment, at each connection.
                endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
                    let (tls, name) = (tls.clone(), name.clone());
                    async move {
                        let stream = TcpStream::connect(address).await?;
                        stream.set_nodelay(true)?;
                        tls.connect(&name, stream).await.map(TokioIo::new)
                    }
                }))
            }
        };
        Self::of(address, channel)
    }

    fn of(address: SocketAddr, channel: Channel) -> Self {
        Self { address, channel, in_flight: AtomicUsize::new(0), rest: Mutex::default() }
    }

    async fn ask(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let _counted = Counted::enter(&self.in_flight);
        let mut channel = self.channel.clone();
        let answer = async {
            std::future::poll_fn(|context| channel.poll_ready(context)).await?;
            channel.call(request).await
        };
        match tokio::time::timeout(TRY_WITHIN, answer).await {
            Ok(Ok(response)) => {
                *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Rest::default();
                Ok(response)
            }
            Ok(Err(error)) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                // The first time with its cause: of a wrong certificate nobody else would hear.
                match self.failed() {
                    1 => tracing::warn!(address = %self.address, error, "a replica cannot be reached"),
                    _ => tracing::debug!(address = %self.address, error, "a replica cannot be reached"),
                }
                Err(unreachable("its replica cannot be reached"))
            }
            Err(_) => {
                self.failed();
                Err(unreachable("its replica does not answer"))
            }
        }
    }

    /// Leaves it alone for a while; gives how often it failed in a row.
    fn failed(&self) -> u32 {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.failures += 1;
        rest.until = Some(Instant::now() + (REST * (1 << rest.failures.min(5))).min(LONGEST_REST));
        rest.failures
    }

    /// Not left alone. After its rest one call finds out how it is, while the others still leave it alone.
    fn is_ready(&self, now: Instant) -> bool {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        match rest.until {
            None => true,
            Some(until) => now >= until && self.in_flight.load(Ordering::Relaxed) == 0,
        }
    }
}

impl Service<Request<Body>> for Replicas {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::from_shared(address.to_owned())
        .unwrap_or_else(|_| Endpoint::from_static("http://invalid"))
        .connect_timeout(Duration::from_secs(1))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(3))
}

fn host(address: &str) -> Result<Uri, PeerError> {
    let wrong = |why: &str| PeerError { address: address.to_owned(), why: why.to_owned() };
    let uri: Uri = address.parse().map_err(|_| wrong("it must be like http://host:port or https://host:port"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.port_u16().is_none() {
        return Err(wrong("it must be like http://host:port or https://host:port"));
    }
    Ok(uri)
}

fn says_unavailable(response: &Response<Body>) -> bool {
    response.headers().get("grpc-status") == Some(&HeaderValue::from(Code::Unavailable as i32))
}

fn unreachable(why: &str) -> Status {
    Refusal::unavailable(format!("another service cannot be reached now ({why}); try again"))
        .retry_after(Duration::from_millis(500))
        .into()
}
