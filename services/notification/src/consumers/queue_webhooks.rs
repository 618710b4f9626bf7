//! Queues the public events of every service for the endpoints of webhooks.

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::Event;

use crate::{
    App,
    commands::{self, ArrivedEvent},
};

/// Maximum number of events that one transaction queues.
const MAX_BATCH: usize = 64;

/// Consumes the events of one service.
pub(crate) struct QueueWebhooks {
    app: App,
    name: &'static str,
    source: &'static str,
}

impl QueueWebhooks {
    /// The consumers of all services.
    pub(crate) fn of_all_services(app: &App) -> impl Iterator<Item = Self> {
        let consumers = [
            ("notification.webhooks_of_conversation", "conversation"),
            ("notification.webhooks_of_assignment", "assignment"),
            ("notification.webhooks_of_bot_session", "bot-session"),
            ("notification.webhooks_of_notification", "notification"),
        ];
        consumers.into_iter().map(|(name, source)| Self { app: app.clone(), name, source })
    }
}

#[async_trait::async_trait]
impl Consumer for QueueWebhooks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn types(&self) -> Vec<String> {
        self.app.public_events.types_of(self.source)
    }

    fn concerns(&self, event: &Event) -> bool {
        // Where other processes write the database too, it is not known here which accounts have endpoints.
        let account = account_id(event).ok().filter(|_| self.app.db.is_sqlite());
        account.is_none_or(|account| self.app.webhook_accounts.may_have_endpoints(account))
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match arrived(event) {
            // False: it was handled before.
            Ok(arrived) => commands::queue_webhooks(&self.app, self.name, &[arrived]).await.map(drop).into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    async fn handle_batch(&self, events: &[Event]) -> Vec<bool> {
        let readable: Vec<bool> = events.iter().map(|event| arrived(event).is_ok()).collect();
        let arrived: Vec<ArrivedEvent<'_>> = events.iter().filter_map(|event| arrived(event).ok()).collect();
        let queued = commands::queue_webhooks(&self.app, self.name, &arrived).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "events are queued for webhooks one by one");
            false
        });
        readable.into_iter().map(|readable| readable && queued).collect()
    }
}

fn arrived(event: &Event) -> Result<ArrivedEvent<'_>, String> {
    Ok(ArrivedEvent {
        event,
        account: account_id(event)?,
        id: uuid("id", &event.id)?,
        aggregate: uuid("aggregate_id", &event.aggregate_id)?,
    })
}
