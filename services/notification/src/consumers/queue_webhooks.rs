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
        account_id(event).ok().is_none_or(|account| self.app.webhook_accounts.may_have_endpoints(account))
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
        // With one that cannot be read they are handled one by one, and it becomes a dead letter.
        let Ok(arrived) = events.iter().map(arrived).collect::<Result<Vec<_>, String>>() else {
            return vec![false; events.len()];
        };
        let queued = commands::queue_webhooks(&self.app, self.name, &arrived).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "events are queued for webhooks one by one");
            false
        });
        vec![queued; events.len()]
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
