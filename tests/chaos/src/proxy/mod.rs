//! A TCP proxy on one edge, such as the conversation service's way to PostgreSQL. It passes bytes on until it is told to do
//! something else; what it knows of the protocol ([`Reads`]) lets it strike at named moments.

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

/// What the proxy reads of what it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing.
    Bytes,
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
    reads: Reads,
    /// While true, nothing is passed on and nothing is closed.
    holds: watch::Sender<bool>,
    cut: Notify,
    delay: AtomicU64,
    refuses: AtomicBool,
    /// Of a thousand acknowledgements of NATS consumers so many are dropped; the same for the broker's own.
    drop_acks: AtomicU32,
    drop_pub_acks: AtomicU32,
    /// So many commits of PostgreSQL are forwarded and never answered.
    cut_commits: AtomicU32,
    /// How often each protocol fault struck.
    struck: AtomicU64,
    random: Mutex<StdRng>,
}

impl Proxy {
    /// Starts one in front of this port.
    pub async fn start(upstream: u16, reads: Reads, seed: u64) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let inner = Arc::new(Inner {
            upstream,
            reads,
            holds: watch::Sender::new(false),
            cut: Notify::new(),
            delay: AtomicU64::new(0),
            refuses: AtomicBool::new(false),
            drop_acks: AtomicU32::new(0),
            drop_pub_acks: AtomicU32::new(0),
            cut_commits: AtomicU32::new(0),
            struck: AtomicU64::new(0),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        });
        let accepting = inner.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if accepting.refuses.load(Ordering::Relaxed) {
                    crate::sink::reset(&client);
                    continue;
                }
                tokio::spawn(connection(client, accepting.clone()));
            }
        });
        Ok(Self { port, inner })
    }

    /// Resets every connection; new ones are made as before.
    pub fn cut(&self) {
        self.inner.cut.notify_waiters();
    }

    /// Nothing passes any more, and nobody is told.
    pub fn hold(&self) {
        self.inner.holds.send_replace(true);
    }

    /// New connections are reset.
    pub fn refuse(&self) {
        self.inner.refuses.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Everything takes so much longer, in each direction.
    pub fn delay(&self, by: Duration) {
        self.inner.delay.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Drops so many of a thousand acknowledgements that NATS consumers send.
    pub fn drop_acks(&self, of_thousand: u32) {
        self.inner.drop_acks.store(of_thousand, Ordering::Relaxed);
    }

    /// Drops so many of a thousand acknowledgements that JetStream sends for what was published.
    pub fn drop_pub_acks(&self, of_thousand: u32) {
        self.inner.drop_pub_acks.store(of_thousand, Ordering::Relaxed);
    }

    /// The next so many commits reach PostgreSQL, and their connection is cut before the answer.
    pub fn cut_commits(&self, number: u32) {
        self.inner.cut_commits.fetch_add(number, Ordering::Relaxed);
    }

    /// How often a protocol fault struck.
    pub fn struck(&self) -> u64 {
        self.inner.struck.load(Ordering::Relaxed)
    }

    /// Passes everything on again. What was held while nothing passed goes on where it stood.
    pub fn heal(&self) {
        let inner = &self.inner;
        inner.holds.send_replace(false);
        inner.delay.store(0, Ordering::Relaxed);
        inner.refuses.store(false, Ordering::Relaxed);
        inner.drop_acks.store(0, Ordering::Relaxed);
        inner.drop_pub_acks.store(0, Ordering::Relaxed);
        inner.cut_commits.store(0, Ordering::Relaxed);
    }
}

impl Inner {
    /// Whether one of so many in a thousand is struck now.
    fn strikes(&self, of_thousand: &AtomicU32) -> bool {
        let of_thousand = of_thousand.load(Ordering::Relaxed);
        let strikes = of_thousand > 0 && self.random().random_range(0..1000) < of_thousand;
        if strikes {
            self.struck.fetch_add(1, Ordering::Relaxed);
        }
        strikes
    }

    fn random(&self) -> MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connection(mut client: TcpStream, inner: Arc<Inner>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", inner.upstream)).await else {
        crate::sink::reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cuts = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let commits = postgres::Commits::default();
        let up = pass(from_client, to_server, &inner, Direction::Up, &commits);
        let down = pass(from_server, to_client, &inner, Direction::Down, &commits);
        tokio::select! {
            () = inner.cut.notified() => true,
            ended = up => ended.is_err(),
            ended = down => ended.is_err(),
        }
    };
    if cuts {
        crate::sink::reset(&client);
        crate::sink::reset(&server);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    inner: &Inner,
    direction: Direction,
    commits: &postgres::Commits,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut holds = inner.holds.subscribe();
    let mut frames = nats::Frames::default();
    let mut messages = postgres::Messages::new(direction == Direction::Up);
    let mut out = Vec::new();
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        let delay = inner.delay.load(Ordering::Relaxed);
        if delay > 0 {
            tokio::time::sleep(Duration::from_micros(delay)).await;
        }
        // An error: the proxy is gone, and with it this connection.
        let _ = holds.wait_for(|holds| !holds).await;
        let bytes = &buffer[..read];
        match (inner.reads, direction) {
            (Reads::Nats, _) => {
                out.clear();
                frames.push(bytes, &mut out, |frame| match direction {
                    Direction::Up => nats::is_ack(frame) && inner.strikes(&inner.drop_acks),
                    Direction::Down => nats::is_pub_ack(frame) && inner.strikes(&inner.drop_pub_acks),
                });
                to.write_all(&out).await?;
            }
            (Reads::Postgres, Direction::Up) => {
                if messages.hold_commit(bytes) && take(&inner.cut_commits) {
                    inner.struck.fetch_add(1, Ordering::Relaxed);
                    commits.swallow();
                }
                to.write_all(bytes).await?;
            }
            (Reads::Postgres, Direction::Down) if commits.swallows() => {
                // The server has answered, so the commit is done; nobody is told.
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            _ => to.write_all(bytes).await?,
        }
    }
}

/// Takes one, if there is one.
fn take(number: &AtomicU32) -> bool {
    number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
