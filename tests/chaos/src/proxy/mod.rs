//! A TCP proxy in front of one server for one service, for example between the conversation service and PostgreSQL. It forwards
//! bytes until a fault is injected; what it knows of the protocol ([`Protocol`]) lets it fail at chosen messages.

mod nats;
mod postgres;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, watch},
};

/// The protocol that the proxy parses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// None: bytes are forwarded as they are.
    Opaque,
    /// The frames of NATS.
    Nats,
    /// The messages of PostgreSQL.
    Postgres,
}

/// The proxy. Clones share it.
#[derive(Clone)]
pub struct Proxy {
    /// Its port on the loopback address.
    pub port: u16,
    inner: Arc<Inner>,
}

struct Inner {
    upstream: u16,
    protocol: Protocol,
    /// While true, nothing is forwarded and no connection is closed.
    stalled: watch::Sender<bool>,
    reset: Notify,
    /// Additional latency of each read, in microseconds.
    latency: AtomicU64,
    refuses_connections: AtomicBool,
    /// Share of the acknowledgements of NATS consumers that are dropped, in thousandths.
    drop_acks: AtomicU32,
    /// Share of JetStream's acknowledgements of published messages that are dropped, in thousandths.
    drop_publish_acks: AtomicU32,
    /// Number of the next PostgreSQL commits that are forwarded and whose reply is lost.
    lose_commit_replies: AtomicU32,
    /// Number of messages that were dropped and commit replies that were lost.
    protocol_faults: AtomicU64,
    random: Mutex<StdRng>,
}

impl Proxy {
    /// Starts a proxy in front of this port.
    pub async fn start(upstream: u16, protocol: Protocol, seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            upstream,
            protocol,
            stalled: watch::Sender::new(false),
            reset: Notify::new(),
            latency: AtomicU64::new(0),
            refuses_connections: AtomicBool::new(false),
            drop_acks: AtomicU32::new(0),
            drop_publish_acks: AtomicU32::new(0),
            lose_commit_replies: AtomicU32::new(0),
            protocol_faults: AtomicU64::new(0),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let accepting = inner.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refuses_connections.load(Ordering::Relaxed) {
                    crate::mail_sink::reset(&client);
                    continue;
                }
                tokio::spawn(connection(client, accepting.clone()));
            }
        });
        Ok(Self { port, inner })
    }

    /// Resets all open connections; new ones are accepted.
    pub fn reset_connections(&self) {
        self.inner.reset.notify_waiters();
    }

    /// Forwards nothing and keeps all connections open.
    pub fn stall(&self) {
        self.inner.stalled.send_replace(true);
    }

    /// Resets all open and all new connections.
    pub fn refuse_connections(&self) {
        self.inner.refuses_connections.store(true, Ordering::Relaxed);
        self.reset_connections();
    }

    /// Adds this latency in each direction.
    pub fn set_latency(&self, latency: Duration) {
        self.inner.latency.store(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Drops this share, in thousandths, of the acknowledgements that NATS consumers send.
    pub fn drop_acks(&self, thousandths: u32) {
        self.inner.drop_acks.store(thousandths, Ordering::Relaxed);
    }

    /// Drops this share, in thousandths, of the acknowledgements that JetStream sends for published messages.
    pub fn drop_publish_acks(&self, thousandths: u32) {
        self.inner.drop_publish_acks.store(thousandths, Ordering::Relaxed);
    }

    /// Forwards the next `count` commits to PostgreSQL and resets their connections before the reply.
    pub fn lose_commit_replies(&self, count: u32) {
        self.inner.lose_commit_replies.fetch_add(count, Ordering::Relaxed);
    }

    /// Number of acknowledgements that were dropped and commit replies that were lost.
    pub fn protocol_faults(&self) -> u64 {
        self.inner.protocol_faults.load(Ordering::Relaxed)
    }

    /// Ends all faults. A stalled connection continues with the bytes that it held back.
    pub fn heal(&self) {
        let inner = &self.inner;
        inner.stalled.send_replace(false);
        inner.latency.store(0, Ordering::Relaxed);
        inner.refuses_connections.store(false, Ordering::Relaxed);
        inner.drop_acks.store(0, Ordering::Relaxed);
        inner.drop_publish_acks.store(0, Ordering::Relaxed);
        inner.lose_commit_replies.store(0, Ordering::Relaxed);
    }
}

impl Inner {
    /// Decides at random whether this message is dropped, and counts it.
    fn drops(&self, thousandths: &AtomicU32) -> bool {
        let thousandths = thousandths.load(Ordering::Relaxed);
        let drops = thousandths > 0 && self.random().random_range(0..1000) < thousandths;
        if drops {
            self.protocol_faults.fetch_add(1, Ordering::Relaxed);
        }
        drops
    }

    fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(mut client: TcpStream, inner: Arc<Inner>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", inner.upstream)).await else {
        crate::mail_sink::reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let resets = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let commit_reply = postgres::CommitReply::default();
        let upstream = forward(from_client, to_server, &inner, Direction::Upstream, &commit_reply);
        let downstream = forward(from_server, to_client, &inner, Direction::Downstream, &commit_reply);
        tokio::select! {
            () = inner.reset.notified() => true,
            ended = upstream => ended.is_err(),
            ended = downstream => ended.is_err(),
        }
    };
    if resets {
        crate::mail_sink::reset(&client);
        crate::mail_sink::reset(&server);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Upstream,
    Downstream,
}

async fn forward(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    inner: &Inner,
    direction: Direction,
    commit_reply: &postgres::CommitReply,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut stalled = inner.stalled.subscribe();
    let mut frames = nats::Frames::default();
    let mut messages = postgres::Messages::new(direction == Direction::Upstream);
    let mut out = Vec::new();
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let latency = inner.latency.load(Ordering::Relaxed);
        if latency > 0 {
            tokio::time::sleep(Duration::from_micros(latency)).await;
        }
        // Fails only when the proxy was dropped, and this connection with it.
        let _ = stalled.wait_for(|stalled| !stalled).await;
        let bytes = &buffer[..read];
        match (inner.protocol, direction) {
            (Protocol::Nats, _) => {
                out.clear();
                frames.push(bytes, &mut out, |frame| match direction {
                    Direction::Upstream => nats::is_ack(frame) && inner.drops(&inner.drop_acks),
                    Direction::Downstream => nats::is_publish_ack(frame) && inner.drops(&inner.drop_publish_acks),
                });
                to.write_all(&out).await?;
            }
            (Protocol::Postgres, Direction::Upstream) => {
                if messages.contain_commit(bytes) && decrement(&inner.lose_commit_replies) {
                    inner.protocol_faults.fetch_add(1, Ordering::Relaxed);
                    commit_reply.lose();
                }
                to.write_all(bytes).await?;
            }
            (Protocol::Postgres, Direction::Downstream) if commit_reply.is_lost() => {
                // The server has replied, so the transaction is committed. The client does not learn it.
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            _ => to.write_all(bytes).await?,
        }
    }
}

/// Decrements a counter that is not zero. Returns false at zero.
fn decrement(counter: &AtomicU32) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
