//! Background tasks of the service.

mod account_export;
mod account_jobs;
mod contact_exports;
mod contact_jobs;
mod export_file;
mod inbox_changes;
mod locked_messages;
mod message_queue;
mod message_writer;
mod queue_places;
mod recent_rows;
mod running_exports;
mod search_index;
mod unsent_attachments;
mod watched_conversations;

use frontdesk_bus::ChangeNotifier;
use frontdesk_db::Db;
use frontdesk_service::Worker;
use tokio_util::sync::CancellationToken;

pub(crate) use inbox_changes::{InboxWatch, WatchedInboxes};
pub(crate) use message_queue::MessageQueue;
pub(crate) use message_writer::{WriteError, WriteOutcome, WriteRequest};
pub(crate) use queue_places::WatchedPlaces;

use crate::{App, store::objects::Objects};

/// The worker that reads new events for their streams.
pub(crate) fn event_streams(app: &App) -> Worker {
    let events = app.events.clone();
    Worker::new("event-streams", move || events.clone().read_new_events())
}

/// The worker that writes the messages of the queue.
pub(crate) fn message_writer(queue: &MessageQueue, shutdown: &CancellationToken) -> Worker {
    let (queue, shutdown) = (queue.clone(), shutdown.clone());
    Worker::new("message-writer", move || queue.clone().run_worker(shutdown.clone()))
}

/// The worker that reads the changes of watched inboxes.
pub(crate) fn inbox_changes(
    db: &Db,
    notifier: &ChangeNotifier,
    inboxes: &WatchedInboxes,
    shutdown: &CancellationToken,
) -> Worker {
    let (db, notifier, inboxes, shutdown) = (db.clone(), notifier.clone(), inboxes.clone(), shutdown.clone());
    Worker::new("inbox-changes", move || {
        inbox_changes::run(db.clone(), notifier.clone(), inboxes.clone(), shutdown.clone())
    })
}

/// The worker that stores the words of new entries for searches.
pub(crate) fn search_index(db: &Db, notifier: &ChangeNotifier, shutdown: &CancellationToken) -> Worker {
    let (db, notifier, shutdown) = (db.clone(), notifier.clone(), shutdown.clone());
    Worker::new("search-index", move || search_index::run(db.clone(), notifier.clone(), shutdown.clone()))
}

/// The worker that removes attachments that are not sent.
pub(crate) fn unsent_attachments(db: &Db, objects: &Objects, shutdown: &CancellationToken) -> Worker {
    let (db, objects, shutdown) = (db.clone(), objects.clone(), shutdown.clone());
    Worker::new("unsent-attachments", move || unsent_attachments::run(db.clone(), objects.clone(), shutdown.clone()))
}

/// The worker that finds changes of watched conversations whose notification was lost.
pub(crate) fn watched_conversations(db: &Db, notifier: &ChangeNotifier, shutdown: &CancellationToken) -> Worker {
    let (db, notifier, shutdown) = (db.clone(), notifier.clone(), shutdown.clone());
    Worker::new("watched-conversations", move || {
        watched_conversations::run(db.clone(), notifier.clone(), shutdown.clone())
    })
}

/// The worker that erases and exports contacts.
pub(crate) fn contact_jobs(app: &App) -> Worker {
    let app = app.clone();
    Worker::new("contact-jobs", move || contact_jobs::run(app.clone(), app.shutdown.clone()))
}

/// The worker that exports accounts that end, and begins and ends their erasure.
pub(crate) fn account_jobs(app: &App) -> Worker {
    let app = app.clone();
    Worker::new("account-jobs", move || account_jobs::run(app.clone(), app.shutdown.clone()))
}

/// The worker that asks for the places in queues that visitors are shown.
pub(crate) fn queue_places(app: &App) -> Worker {
    let app = app.clone();
    Worker::new("queue-places", move || queue_places::run(app.clone()))
}
