//! Measures what waits to be sent, for the metrics.

use std::time::Duration;

use frontdesk_service::measure_regularly;
use frontdesk_telemetry::MeasuredGauge;
use opentelemetry::KeyValue;
use sea_orm::DbErr;

use crate::{
    App,
    domain::DeliveryStatus,
    store::{due_deliveries, webhook_deliveries},
};

/// What is measured.
struct Gauges {
    waiting: MeasuredGauge,
    delay: MeasuredGauge,
    webhooks_waiting: MeasuredGauge,
}

/// Measures until the shutdown.
pub(crate) async fn measure_deliveries(app: App) {
    let waiting = "Deliveries that are not ended, by status; 100,000 in all if there are more";
    let delay = "How long the delivery is overdue that is due the longest; 0 if none is";
    let webhooks = "Events that wait for an endpoint, also for a retry; 100,000 if there are more";
    let gauges = Gauges {
        waiting: MeasuredGauge::new("frontdesk.mail.waiting", "", waiting),
        delay: MeasuredGauge::new("frontdesk.mail.delay", "s", delay),
        webhooks_waiting: MeasuredGauge::new("frontdesk.webhook.waiting", "", webhooks),
    };
    measure_regularly(&app.shutdown, || gauges.measure(&app)).await;
}

impl Gauges {
    async fn measure(&self, app: &App) -> Result<(), DbErr> {
        let counts = due_deliveries::count_pending(app.db.read()).await?;
        for status in [DeliveryStatus::Queued, DeliveryStatus::Sending] {
            let waiting = counts.get(status.as_str()).copied().unwrap_or(0);
            self.waiting.set(waiting as f64, &[KeyValue::new("status", status.as_str())]);
        }
        let next = due_deliveries::next_due(app.db.read()).await?;
        let now = app.db.now().await?;
        self.delay.set(next.map_or(Duration::ZERO, |next| now.since(next)).as_secs_f64(), &[]);
        self.webhooks_waiting.set(webhook_deliveries::count_queued(app.db.read()).await? as f64, &[]);
        Ok(())
    }
}
