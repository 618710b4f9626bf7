//! Measures the queues of all accounts, for the metrics.

use std::time::Duration;

use frontdesk_service::measure_regularly;
use frontdesk_telemetry::MeasuredGauge;
use sea_orm::DbErr;

use crate::{
    App,
    store::{routing_accounts, routing_queue},
};

/// What is measured.
struct Gauges {
    waiting: MeasuredGauge,
    longest_wait: MeasuredGauge,
    decision_delay: MeasuredGauge,
}

/// Measures until the shutdown.
pub(crate) async fn measure_queues(app: App) {
    let longest_wait = "How long the conversation has waited that waits the longest, also outside of opening hours";
    let decision_delay = "How long the decision is overdue that is due the longest; 0 if none is";
    let gauges = Gauges {
        waiting: MeasuredGauge::new("frontdesk.routing.waiting", "", "Conversations that wait for an agent"),
        longest_wait: MeasuredGauge::new("frontdesk.routing.longest_wait", "s", longest_wait),
        decision_delay: MeasuredGauge::new("frontdesk.routing.decision_delay", "s", decision_delay),
    };
    measure_regularly(&app.shutdown, || gauges.measure(&app)).await;
}

impl Gauges {
    async fn measure(&self, app: &App) -> Result<(), DbErr> {
        let (waiting, since_first) = routing_queue::count_waiting(app.db.read()).await?;
        let look_at = routing_accounts::find_next_look_at(app.db.read()).await?;
        let now = app.db.now().await?;
        let age = |earlier| now.since(earlier);
        self.waiting.set(waiting as f64, &[]);
        self.longest_wait.set(since_first.map_or(Duration::ZERO, age).as_secs_f64(), &[]);
        self.decision_delay.set(look_at.map_or(Duration::ZERO, age).as_secs_f64(), &[]);
        Ok(())
    }
}
