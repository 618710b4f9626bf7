//! The published events of a service as streams for programs of the account: those after a cursor, then new ones, filtered.
//!
//! A stream reads what was published before it began, and then follows the feed, which reads new events once for all streams of this
//! replica. Start reading at [`EventStreams::subscribe`].

mod feed;
mod filter;
mod updates;

use std::{pin::Pin, sync::Arc};

use frontdesk_api::{ApiError, Pages, live_stream};
use frontdesk_auth::Caller;
use frontdesk_bus::{Bus, ChangeNotifier};
use frontdesk_db::Db;
use frontdesk_outbox::{earliest_position, is_kept_after, published_notifier, settled_to};
use frontdesk_proto::event::v1::{EventFilter, EventStart};
use futures::{Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use feed::Feed;
use filter::Filter;
use updates::Updates;

pub use updates::{EventUpdate, Update};

/// Maximum number of streams that read at the same time what was published before they began. Each reads the events of all accounts.
const MAX_CATCHING_UP: usize = 4;

/// The streams of one service's events. Clones share the feed.
#[derive(Clone)]
pub struct EventStreams {
    source: &'static str,
    db: Db,
    /// Notifies of published events.
    notifier: ChangeNotifier,
    feed: Feed,
    /// Permits to read what was published before a stream began.
    catch_up: Arc<Semaphore>,
    pages: Pages,
    shutdown: CancellationToken,
}

/// A stream of responses.
pub type ResponseStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a caller subscribes to.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Which events. None: all.
    pub filter: Option<EventFilter>,
    /// The cursor after which the stream begins. Empty: it begins at `start`.
    pub cursor: String,
    /// Where it begins without a cursor.
    pub start: EventStart,
}

impl EventStreams {
    /// The streams of the events of the service `source`, which are in the outbox of `db` and published to `bus`.
    pub fn new(source: &'static str, db: &Db, bus: &Bus, pages: &Pages, shutdown: &CancellationToken) -> Self {
        Self {
            source,
            db: db.clone(),
            notifier: published_notifier(bus, source),
            feed: Feed::default(),
            catch_up: Arc::new(Semaphore::new(MAX_CATCHING_UP)),
            pages: pages.clone(),
            shutdown: shutdown.clone(),
        }
    }

    /// A stream of the events of the caller's account. Each comes at least once, those of an aggregate in their order. `response`: what the
    /// stream sends for an update.
    ///
    /// Fails with INVALID_ARGUMENT when the cursor is of another account or service, and with OUT_OF_RANGE when events after it may have
    /// been deleted.
    pub async fn subscribe<T: 'static>(
        &self,
        caller: &Caller,
        subscription: Subscription,
        response: fn(EventUpdate) -> T,
    ) -> Result<ResponseStream<T>, Status> {
        let Subscription { filter, cursor, start } = subscription;
        let account = caller.account;
        let signer = self.pages.account_cursor_signer(account, self.source);
        let filter = Filter::try_from_proto(filter.unwrap_or_default())?;
        let cursor: Option<i64> = signer.verify(&cursor)?;
        // Before the position is read, so that no event that is published meanwhile is missed.
        let follower = self.feed.follow(account);
        let database = |error| ApiError::database(&error);
        let settled_to = settled_to(&self.db).await.map_err(database)?;
        let after = match cursor {
            Some(cursor) => cursor,
            None if start == EventStart::Earliest => earliest_position(&self.db, settled_to).await.map_err(database)?,
            None => settled_to,
        };
        if cursor.is_some() && !is_kept_after(&self.db, after, settled_to).await.map_err(database)? {
            return Err(ApiError::cursor_too_old().into());
        }
        let updates = Updates::new(self.clone(), account, filter, signer, follower, after, settled_to);
        let stream = live_stream(updates, self.shutdown.clone());
        Ok(Box::pin(stream.map(move |update| update.map(response))))
    }

    /// Reads new events for the streams of this replica, until the shutdown.
    pub async fn read_new_events(self) {
        self.feed.run(self.source, self.db, self.notifier, self.shutdown).await;
    }
}
