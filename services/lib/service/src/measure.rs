//! Measuring what databases hold, for the metrics.

use std::{future::Future, time::Duration};

use frontdesk_db::{Db, DbErr};
use frontdesk_telemetry::MeasuredGauge;
use opentelemetry::KeyValue;
use tokio_util::sync::CancellationToken;

/// Interval between two measurements.
const INTERVAL: Duration = Duration::from_secs(15);

/// Measures now and then every 15 seconds, until the shutdown. What cannot be measured for two minutes is not shown any more.
pub async fn measure_regularly<F>(shutdown: &CancellationToken, measure: impl Fn() -> F)
where
    F: Future<Output = Result<(), DbErr>>,
{
    while !shutdown.is_cancelled() {
        if let Err(error) = measure().await {
            tracing::debug!(%error, "what a database holds was not measured; trying again");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Measures what every service's database holds: events that wait to be published, and dead letters.
pub(crate) async fn measure_database(service: &'static str, db: Db, shutdown: CancellationToken) {
    let gauges = Gauges::new(service);
    measure_regularly(&shutdown, || gauges.measure(&db)).await;
}

struct Gauges {
    unpublished: MeasuredGauge,
    oldest_age: MeasuredGauge,
    dead_letters: MeasuredGauge,
    service: [KeyValue; 1],
}

impl Gauges {
    fn new(service: &'static str) -> Self {
        let unpublished = "Events of the outbox that are not published; 100,000 if there are more";
        let oldest_age = "Age of the first event of the outbox that is not published; 0 if all are";
        Self {
            unpublished: MeasuredGauge::new("frontdesk.outbox.unpublished", "", unpublished),
            oldest_age: MeasuredGauge::new("frontdesk.outbox.oldest_age", "s", oldest_age),
            dead_letters: MeasuredGauge::new("frontdesk.dead_letters", "", "Dead letters that are stored"),
            service: [KeyValue::new("service", service)],
        }
    }

    async fn measure(&self, db: &Db) -> Result<(), DbErr> {
        let unpublished = frontdesk_outbox::measure_unpublished(db).await?;
        let age = match unpublished.oldest {
            Some(oldest) => db.now().await?.since(oldest),
            None => Duration::ZERO,
        };
        self.unpublished.set(unpublished.events as f64, &self.service);
        self.oldest_age.set(age.as_secs_f64(), &self.service);
        self.dead_letters.set(frontdesk_bus::count_dead_letters(db).await? as f64, &self.service);
        Ok(())
    }
}
