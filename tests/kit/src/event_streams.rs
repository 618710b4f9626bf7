//! What the stream of a service's events promises, the same for every service: functions that the services' tests call.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_db::{AccountId, delete_expired_once};
use frontdesk_outbox::{Aggregate, RETENTIONS, append};
use frontdesk_proto::event::v1::{
    DeliveryParked, Event, EventFilter, EventStart, SubscribeConversationEventsRequest,
    SubscribeConversationEventsResponse, subscribe_conversation_events_response::Update,
};
use prost::{Message, bytes::Bytes};
use tonic::{Code, Request, Status, Streaming, client::Grpc};
use uuid::Uuid;

use crate::{RawCodec, ServiceUnderTest, new_id, reason};

/// How long an update may take.
const WAIT: Duration = Duration::from_secs(60);
/// How long an event is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The streams of one service's events. The messages of all services have the same fields.
pub struct EventStreams<'a> {
    service: &'a ServiceUnderTest,
    source: &'static str,
    path: &'static str,
}

/// An open stream.
struct Updates(Streaming<Bytes>);

impl<'a> EventStreams<'a> {
    /// The streams of the method at `path`, with the events of the service `source`.
    pub fn new(service: &'a ServiceUnderTest, source: &'static str, path: &'static str) -> Self {
        Self { service, source, path }
    }

    async fn open(
        &self,
        account: AccountId,
        kind: CallerKind,
        request: SubscribeConversationEventsRequest,
    ) -> Result<Updates, Status> {
        let mut grpc = Grpc::new(self.service.calls(account, kind, &new_id().to_string()));
        grpc.ready().await.expect("a connection");
        let path = self.path.parse().expect("a path");
        let request = Request::new(Bytes::from(request.encode_to_vec()));
        Ok(Updates(grpc.server_streaming(request, path, RawCodec).await?.into_inner()))
    }

    /// A stream of an administrator from the oldest event on.
    async fn read_from_oldest(&self, account: AccountId, filter: EventFilter) -> Updates {
        let start = EventStart::Earliest.into();
        let request = SubscribeConversationEventsRequest { filter: Some(filter), cursor: String::new(), start };
        self.open(account, CallerKind::Admin, request).await.expect("a stream")
    }

    /// A stream of an administrator from a cursor on.
    async fn after(&self, account: AccountId, cursor: &str) -> Result<Updates, Status> {
        let request = SubscribeConversationEventsRequest { cursor: cursor.to_owned(), ..Default::default() };
        self.open(account, CallerKind::Admin, request).await
    }

    /// The service makes an event.
    async fn happens(&self, account: AccountId, id: Uuid, version: i64) {
        let mut tx = self.service.db.begin().await.expect("a transaction");
        let aggregate = Aggregate { source: self.source, account, kind: "thing", id, version };
        append(&mut tx, aggregate, &DeliveryParked::default()).await.expect("an event");
        tx.commit().await.expect("a commit");
    }

    /// The service deletes the events that are not kept any more.
    async fn delete_expired(&self) {
        for retention in &RETENTIONS {
            delete_expired_once(&self.service.db, retention).await.expect("a deletion");
        }
    }

    /// Events come once and in the order of their aggregate, with and without a filter, and a cursor goes on after it.
    ///
    /// # Panics
    /// When they do not.
    pub async fn come_in_their_order(&self) {
        const VERSIONS: i64 = 20;
        let (account, things) = (AccountId(new_id()), [new_id(), new_id()]);
        let mut early = self.read_from_oldest(account, EventFilter::default()).await;
        let mut latest = self.after(account, "").await.expect("a stream");
        for stream in [&mut early, &mut latest] {
            assert!(stream.until_caught_up().await.0.is_empty());
        }
        for version in 1..=VERSIONS {
            for id in things {
                self.happens(account, id, version).await;
            }
        }
        let seen = early.take(2 * VERSIONS as usize).await;
        let versions = |of: Uuid, events: &[(Event, String)]| -> Vec<i32> {
            let of_it = events.iter().filter(|(event, _)| event.aggregate_id == of.to_string());
            of_it.map(|(event, _)| event.version).collect()
        };
        for id in things {
            assert_eq!(versions(id, &seen), (1..=VERSIONS as i32).collect::<Vec<_>>());
        }
        let ids = |events: &[(Event, String)]| events.iter().map(|(event, _)| event.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&latest.take(seen.len()).await), ids(&seen), "the same order for each stream");
        for at in [0, 14, seen.len() - 2] {
            let mut rest = self.after(account, &seen[at].1).await.expect("a stream");
            assert_eq!(ids(&rest.until_caught_up().await.0), ids(&seen[at + 1..]), "after event {at}");
        }

        let [one, other] = things;
        let of_one = EventFilter { aggregate_ids: vec![one.to_string()], ..EventFilter::default() };
        let (found, _) = self.read_from_oldest(account, of_one).await.until_caught_up().await;
        assert_eq!((versions(one, &found).len(), found.len()), (VERSIONS as usize, VERSIONS as usize));
        // A cursor passes events that do not match the filter.
        let none = EventFilter { event_types: vec!["frontdesk.event.v1.Nothing".into()], ..EventFilter::default() };
        let (found, cursor) = self.read_from_oldest(account, none).await.until_caught_up().await;
        assert!(found.is_empty());
        let mut rest = self.after(account, &cursor).await.expect("a stream");
        self.happens(account, other, VERSIONS + 1).await;
        assert_eq!(i64::from(rest.take(1).await[0].0.version), VERSIONS + 1);
    }

    /// No event and no cursor crosses accounts, and only administrators are served.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn stay_in_their_account(&self) {
        let (ours, theirs) = (AccountId(new_id()), AccountId(new_id()));
        self.happens(ours, new_id(), 1).await;
        let (_, cursor) = self.read_from_oldest(ours, EventFilter::default()).await.take(1).await.remove(0);
        let mut stream = self.read_from_oldest(theirs, EventFilter::default()).await;
        assert!(stream.until_caught_up().await.0.is_empty());
        let refused = self.after(theirs, &cursor).await.err().expect("a refusal");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"));
        let refused = self.after(ours, &format!("{cursor}x")).await.err().expect("a refusal");
        assert_eq!(refused.code(), Code::InvalidArgument, "a changed cursor");
        for kind in [CallerKind::Agent, CallerKind::Service] {
            let request = SubscribeConversationEventsRequest::default();
            let refused = self.open(ours, kind, request).await.err().expect("a refusal");
            assert_eq!(refused.code(), Code::PermissionDenied, "{kind:?}");
        }
        // The stream was open all the time.
        self.happens(theirs, new_id(), 1).await;
        assert_eq!(stream.take(1).await[0].0.account_id, theirs.to_string());
    }

    /// A cursor is refused when events after it may have been deleted, and only then.
    ///
    /// # Panics
    /// When that is not so.
    pub async fn refuse_old_cursors(&self) {
        let (account, id) = (AccountId(new_id()), new_id());
        for version in 1..=2 {
            self.happens(account, id, version).await;
        }
        let mut stream = self.read_from_oldest(account, EventFilter::default()).await;
        let seen = stream.take(2).await;
        self.service.clock.advance(KEPT).expect("a clock that moves");
        let refusal = async |cursor: &str| {
            let refused = self.after(account, cursor).await.err().expect("a refusal");
            assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "CURSOR_TOO_OLD"));
        };
        refusal(&seen[0].1).await;
        let mut rest = self.after(account, &seen[1].1).await.expect("a stream, since no event came after the cursor");
        assert!(rest.until_caught_up().await.0.is_empty());
        self.happens(account, id, 3).await;
        assert_eq!(rest.take(1).await[0].0.version, 3);
        // However old the cursor is, nothing after it was deleted.
        self.delete_expired().await;
        let mut rest =
            self.after(account, &seen[1].1).await.expect("a stream, since each event after the cursor is kept");
        assert_eq!(rest.take(1).await[0].0.version, 3);
        refusal(&seen[0].1).await;
        let (found, _) = self.read_from_oldest(account, EventFilter::default()).await.until_caught_up().await;
        assert_eq!(found.iter().map(|(event, _)| event.version).collect::<Vec<_>>(), [3], "those that can be read");
    }
}

impl Updates {
    /// The next update and its cursor.
    async fn next(&mut self) -> (Update, String) {
        let next = tokio::time::timeout(WAIT, self.0.message()).await.expect("an update in time");
        let bytes = next.expect("an open stream").expect("another update");
        let response = SubscribeConversationEventsResponse::decode(bytes).expect("an update");
        assert!(!response.cursor.is_empty());
        (response.update.expect("an update"), response.cursor)
    }

    /// This number of events, each with the cursor after it.
    async fn take(&mut self, number: usize) -> Vec<(Event, String)> {
        let mut events = Vec::new();
        while events.len() < number {
            if let (Update::Published(event), cursor) = self.next().await {
                events.push((event, cursor));
            }
        }
        events
    }

    /// The events until the stream has caught up, each with the cursor after it, and the cursor then.
    async fn until_caught_up(&mut self) -> (Vec<(Event, String)>, String) {
        let mut events = Vec::new();
        loop {
            match self.next().await {
                (Update::Published(event), cursor) => events.push((event, cursor)),
                (Update::CaughtUp(_), cursor) => return (events, cursor),
                (Update::Heartbeat(_), _) => {}
            }
        }
    }
}
