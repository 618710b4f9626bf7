//! Reads that many streams share: a thousand streams of one topic are served by one read, whether they have just been opened or
//! wait for the next item.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use prost::Message;
use tokio::sync::watch;
use tonic::Status;
use uuid::Uuid;

/// Pause before the next read when notifications have ended.
const UNNOTIFIED_PAUSE: Duration = Duration::from_millis(100);
/// How long the result of a read is kept for other streams.
const SHARED_FOR: Duration = Duration::from_secs(2);
/// Maximum number of bytes of kept results.
const MAX_SHARED_BYTES: u64 = 64 * 1024 * 1024;

/// What one read returned.
pub struct Items<T> {
    /// Items with their sequence numbers, in order.
    pub items: Vec<(i64, T)>,
    /// Whether more items follow.
    pub has_more: bool,
    /// State of the topic that is no item, as of this read: a stream sends it when it has caught up, and then whenever it is another
    /// one. None: nothing.
    pub state: Option<T>,
}

/// What a topic's feed has read last.
pub(crate) struct Batch<T> {
    /// The sequence number after which it was read.
    pub(crate) after: i64,
    pub(crate) items: Arc<Items<T>>,
}

/// The last batch of each topic that has a feed.
type Feeds<T> = Arc<Mutex<HashMap<Uuid, watch::Sender<Batch<T>>>>>;

/// The reads of one kind of stream. Clones share them.
#[derive(Clone)]
pub struct SharedReads<T> {
    /// Results of recent reads: streams that are opened together read the same items.
    recent: Cache<(Uuid, i64, u64), Arc<Items<T>>>,
    feeds: Feeds<T>,
}

impl<T: Message + 'static> Default for SharedReads<T> {
    fn default() -> Self {
        let bytes = |_: &_, read: &Arc<Items<T>>| {
            let all = read.items.iter().map(|(_, item)| item).chain(&read.state);
            let bytes: usize = all.map(|response| response.encoded_len()).sum();
            u32::try_from(bytes).unwrap_or(u32::MAX).max(1)
        };
        let recent = Cache::builder().weigher(bytes).max_capacity(MAX_SHARED_BYTES).time_to_live(SHARED_FOR).build();
        Self { recent, feeds: Arc::default() }
    }
}

impl<T: Message + 'static> SharedReads<T> {
    /// The items of `id` after `cursor` as of notification `version`: the result of a recent or running read, or else of `read`.
    pub(crate) async fn get_or_read<F>(
        &self,
        id: Uuid,
        cursor: i64,
        version: u64,
        read: impl FnOnce() -> F,
    ) -> Result<Arc<Items<T>>, Status>
    where
        F: Future<Output = Result<Items<T>, Status>>,
    {
        let key = (id, cursor, version);
        if let Some(items) = self.recent.get(&key).await {
            return Ok(items);
        }
        // Boxed, because few of the streams come here, and the future is large.
        let read = read();
        let read = Box::pin(self.recent.try_get_with(key, async { read.await.map(Arc::new) }));
        read.await.map_err(|status| (*status).clone())
    }

    /// Follows the feed of `id`. If there is none, it begins after `cursor`, with the changes that `changes` has not seen. It ends when
    /// no stream follows it, or when a read fails.
    pub(crate) fn follow<R, F>(
        &self,
        id: Uuid,
        cursor: i64,
        changes: &watch::Receiver<u64>,
        read: &Arc<R>,
    ) -> watch::Receiver<Batch<T>>
    where
        R: Fn(i64) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Items<T>, Status>> + Send + 'static,
    {
        let mut feeds = lock(&self.feeds);
        if let Some(feed) = feeds.get(&id) {
            return feed.subscribe();
        }
        let (batches, follower) = watch::channel(Batch { after: cursor, items: Arc::default() });
        feeds.insert(id, batches.clone());
        let feed = Feed { id, cursor, changes: changes.clone(), batches, feeds: self.feeds.clone() };
        // A runtime that shuts down drops the feed at once, which takes the lock.
        drop(feeds);
        tokio::spawn(feed.run(read.clone()));
        follower
    }

    #[cfg(test)]
    pub(crate) fn has_no_feed(&self) -> bool {
        lock(&self.feeds).is_empty()
    }
}

impl<T> Default for Items<T> {
    /// Nothing was read yet.
    fn default() -> Self {
        Self { items: Vec::new(), has_more: true, state: None }
    }
}

impl<T> Clone for Batch<T> {
    fn clone(&self) -> Self {
        Self { after: self.after, items: self.items.clone() }
    }
}

impl<T> Items<T> {
    /// Index of the first item after this sequence number.
    pub(crate) fn first_after(&self, cursor: i64) -> usize {
        self.items.partition_point(|(number, _)| *number <= cursor)
    }
}

/// Reads the new items of a topic once for all streams that have caught up.
struct Feed<T> {
    id: Uuid,
    /// Sequence number of the last item that was read.
    cursor: i64,
    changes: watch::Receiver<u64>,
    batches: watch::Sender<Batch<T>>,
    feeds: Feeds<T>,
}

impl<T: Message + 'static> Feed<T> {
    async fn run<R, F>(mut self, read: Arc<R>)
    where
        R: Fn(i64) -> F,
        F: Future<Output = Result<Items<T>, Status>>,
    {
        loop {
            tokio::select! {
                () = self.batches.closed() => if self.end_unless_followed() { return },
                change = self.changes.changed() => {
                    if change.is_err() {
                        tokio::time::sleep(UNNOTIFIED_PAUSE).await;
                    }
                    // The streams read themselves when the feed has ended, and end with the error that they get.
                    if self.read_new(&read).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn read_new<R, F>(&mut self, read: &Arc<R>) -> Result<(), Status>
    where
        R: Fn(i64) -> F,
        F: Future<Output = Result<Items<T>, Status>>,
    {
        loop {
            // Marked as seen before the read: a commit during the read notifies again.
            self.changes.borrow_and_update();
            let items = Arc::new(read(self.cursor).await?);
            let has_more = items.has_more && !items.items.is_empty();
            let after = self.cursor;
            self.cursor = items.items.last().map_or(after, |(number, _)| *number);
            self.batches.send_replace(Batch { after, items });
            if !has_more {
                return Ok(());
            }
        }
    }

    /// Removes the feed if no stream follows it: under the lock, so that none begins to follow it meanwhile.
    fn end_unless_followed(&self) -> bool {
        let mut feeds = lock(&self.feeds);
        let is_unfollowed = self.batches.receiver_count() == 0;
        if is_unfollowed {
            feeds.remove(&self.id);
        }
        is_unfollowed
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        let mut feeds = lock(&self.feeds);
        if feeds.get(&self.id).is_some_and(|feed| feed.same_channel(&self.batches)) {
            feeds.remove(&self.id);
        }
    }
}

fn lock<T>(feeds: &Feeds<T>) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<Batch<T>>>> {
    feeds.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a feed when it is dropped.
    struct FollowsAtTheEnd(SharedReads<()>);

    impl Drop for FollowsAtTheEnd {
        fn drop(&mut self) {
            let (_, changes) = watch::channel(0);
            let read = Arc::new(|_| async { Ok(Items { items: Vec::new(), has_more: false, state: None }) });
            self.0.follow(Uuid::nil(), 0, &changes, &read);
        }
    }

    #[test]
    fn a_stream_that_is_polled_while_the_process_stops_holds_up_nothing() {
        let reads = SharedReads::<()>::default();
        let (ended, end) = std::sync::mpsc::channel();
        let follows = FollowsAtTheEnd(reads.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            runtime.spawn(async move {
                let _follows = follows;
                std::future::pending::<()>().await;
            });
            drop(runtime);
            ended.send(()).unwrap();
        });
        end.recv_timeout(Duration::from_secs(20)).expect("the runtime stops");
        assert!(reads.has_no_feed());
    }
}
