//! Queues events for the endpoints of webhooks that want them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::{
    App,
    domain::{OrderTerms, QueuedEvent, WebhookDelivery, WebhookEndpoint},
    error::NotificationError,
    store::{self, event_orders::AggregateKey},
};

/// An event that the bus has delivered, or one that tests an endpoint, with its ids.
pub(crate) struct ArrivedEvent<'a> {
    pub(crate) event: &'a Event,
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    pub(crate) aggregate: Uuid,
}

impl ArrivedEvent<'_> {
    fn key(&self) -> AggregateKey {
        AggregateKey { account: self.account, source: self.event.source.clone(), aggregate: self.aggregate }
    }

    fn is_wanted_by(&self, endpoint: &WebhookEndpoint) -> bool {
        endpoint.wants(&self.event.r#type, self.event.create_time.as_ref().map(Time::from_proto))
    }

    pub(super) fn queued(&self, app: &App) -> Result<QueuedEvent, NotificationError> {
        Ok(QueuedEvent {
            id: self.id,
            kind: self.event.r#type.clone(),
            source: self.event.source.clone(),
            aggregate: self.aggregate,
            version: self.event.version.into(),
            payload: app.public_events.to_json(self.event).map_err(NotificationError::Internal)?,
            traceparent: self.event.traceparent.clone(),
        })
    }
}

/// Queues each event for each endpoint that wants it, in one transaction with the marks of the handled events. Returns false if one of several was
/// handled before: then nothing was done, and they are handled one by one.
pub(crate) async fn queue_webhooks(
    app: &App,
    consumer: &str,
    arrived: &[ArrivedEvent<'_>],
) -> Result<bool, NotificationError> {
    load_accounts(app).await?;
    let accounts: BTreeSet<AccountId> = arrived.iter().map(|arrived| arrived.account).collect();
    let endpoints = store::webhook_endpoints::list_enabled(app.db.read(), accounts).await?;
    let of_account = |account: AccountId| endpoints.iter().filter(move |endpoint| endpoint.account == account);
    // Where an endpoint wants order, every version of an aggregate counts.
    let concerned: Vec<&ArrivedEvent<'_>> = arrived
        .iter()
        .filter(|arrived| {
            of_account(arrived.account).any(|endpoint| endpoint.ordered || arrived.is_wanted_by(endpoint))
        })
        .collect();
    if concerned.is_empty() {
        return Ok(true);
    }
    let events: Vec<&Event> = concerned.iter().map(|arrived| arrived.event).collect();
    let mut tx = app.db.begin().await?;
    if !frontdesk_outbox::mark_all_handled(&tx, consumer, events.into_iter()).await? {
        return Ok(false);
    }
    let now = tx.now().await?;
    let terms = order_terms(&endpoints, app.settings.webhooks.order_wait);
    let in_order = concerned.iter().filter(|arrived| terms.contains_key(&arrived.account));
    let mut orders = store::event_orders::lock(&tx, in_order.map(|arrived| arrived.key()).collect(), now).await?;
    let mut deliveries = Vec::new();
    for arrived in concerned {
        let wait = match (orders.get_mut(&arrived.key()), terms.get(&arrived.account)) {
            (Some(order), Some(terms)) => {
                order.arrive(arrived.event.version.into(), created_at(arrived.aggregate), terms, now)
            }
            _ => Duration::ZERO,
        };
        let wanting: Vec<&WebhookEndpoint> =
            of_account(arrived.account).filter(|endpoint| arrived.is_wanted_by(endpoint)).collect();
        if wanting.is_empty() {
            continue;
        }
        let queued = arrived.queued(app)?;
        deliveries.extend(wanting.into_iter().map(|endpoint| {
            let due_at = if endpoint.ordered { now.plus(wait) } else { now };
            WebhookDelivery::new(tx.new_id(), endpoint.account, endpoint.id, queued.clone(), due_at, now)
        }));
    }
    store::webhook_deliveries::insert_all_once(&tx, &deliveries).await?;
    store::event_orders::save(&tx, &orders).await?;
    for (key, order) in orders.iter().filter(|(_, order)| order.is_released) {
        let in_order = of_account(key.account).filter(|endpoint| endpoint.ordered).map(|endpoint| endpoint.id);
        store::webhook_deliveries::release(&tx, in_order, key, order.version, now).await?;
    }
    if !deliveries.is_empty() || orders.values().any(|order| order.is_released) {
        tx.on_commit(app.wake_webhooks());
    }
    tx.commit().await?;
    Ok(true)
}

/// Returns the terms of the orders of each account that has endpoints that want order. A change of such an endpoint may have enabled it, or made
/// it want order.
fn order_terms(endpoints: &[WebhookEndpoint], max_wait: Duration) -> BTreeMap<AccountId, OrderTerms> {
    let mut terms: BTreeMap<AccountId, OrderTerms> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.ordered) {
        let since = endpoint.updated_at;
        let first = terms.entry(endpoint.account).or_insert(OrderTerms { since, max_wait });
        first.since = first.since.min(since);
    }
    terms
}

/// Returns when an aggregate was created, if its id has the time: many ids are UUIDs of version 7.
fn created_at(aggregate: Uuid) -> Option<Time> {
    let (seconds, nanos) = aggregate.get_timestamp()?.to_unix();
    let micros = i64::try_from(seconds).ok()?.saturating_mul(1_000_000);
    Some(Time(micros.saturating_add(i64::from(nanos / 1_000))))
}

/// Loads which accounts have endpoints, where this process is the only one that writes the database.
async fn load_accounts(app: &App) -> Result<(), NotificationError> {
    if app.db.is_sqlite() && !app.webhook_accounts.is_loaded() {
        app.webhook_accounts.load(store::webhook_endpoints::list_accounts(app.db.read()).await?);
    }
    Ok(())
}
