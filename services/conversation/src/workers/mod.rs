//! Background tasks of the service.

mod locked_messages;
mod message_queue;
mod message_writer;

use frontdesk_service::Worker;
use tokio_util::sync::CancellationToken;

pub(crate) use message_queue::MessageQueue;
pub(crate) use message_writer::{WriteError, WriteOutcome, WriteRequest};

/// The workers that write the messages of the queue.
pub(crate) fn message_writers(queue: &MessageQueue, shutdown: &CancellationToken) -> Vec<Worker> {
    let worker = |number| {
        let (queue, shutdown) = (queue.clone(), shutdown.clone());
        Worker::new("message-writer", move || queue.clone().run_worker(number, shutdown.clone()))
    };
    (0..queue.workers()).map(worker).collect()
}
