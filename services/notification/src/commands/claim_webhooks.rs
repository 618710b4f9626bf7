//! Claims due deliveries of webhooks.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use uuid::Uuid;

use crate::{
    App,
    domain::{WebhookDelivery, WebhookEndpoint},
    error::NotificationError,
    store,
};

/// A claimed delivery, and the endpoint as it was when it was claimed.
#[derive(Clone, Debug)]
pub(crate) struct ClaimedWebhook {
    pub(crate) delivery: WebhookDelivery,
    pub(crate) endpoint: WebhookEndpoint,
    /// End of the claim as this process's clock measures it. After a longer pause of the process another worker may have the delivery.
    pub(crate) claimed_until: Instant,
}

/// Claims due deliveries of the endpoints in `places`, up to the number of each, for the duration of a claim, but none of those that this worker
/// still processes. After the end of a claim the delivery is due again.
pub(crate) async fn claim_webhooks(
    app: &App,
    duration: Duration,
    running: &HashSet<Uuid>,
    places: &BTreeMap<Uuid, usize>,
) -> Result<Vec<ClaimedWebhook>, NotificationError> {
    let claimed_until = Instant::now() + duration;
    let tx = app.db.begin().await?;
    let now = tx.now().await?;
    let mut claimed = Vec::new();
    for endpoint in store::webhook_endpoints::list_enabled_of(&tx, places.keys().copied()).await? {
        let Some(places) = places.get(&endpoint.id) else { continue };
        let mut due = store::webhook_deliveries::list_due_for_update(&tx, &endpoint, now, *places).await?;
        due.retain(|delivery| !running.contains(&delivery.id));
        claimed.extend(due.into_iter().map(|delivery| {
            let delivery = WebhookDelivery { claim: delivery.claim + 1, claimed: true, ..delivery };
            ClaimedWebhook { delivery, endpoint: endpoint.clone(), claimed_until }
        }));
    }
    let ids = claimed.iter().map(|claimed| claimed.delivery.id).collect();
    store::webhook_deliveries::save_claims(&tx, ids, now.plus(duration)).await?;
    tx.commit().await?;
    if !claimed.is_empty() {
        fail::fail_point!("webhooks-claimed", |_| std::process::abort());
    }
    Ok(claimed)
}
