//! Measures how late the checks of sessions are, for the metrics.

use std::time::Duration;

use frontdesk_service::measure_regularly;
use frontdesk_telemetry::MeasuredGauge;
use sea_orm::DbErr;

use crate::{App, store::due_sessions};

/// Measures until the shutdown.
pub(crate) async fn measure_checks(app: App) {
    let description = "How long the check of a session is overdue that is due the longest; 0 if none is";
    let delay = MeasuredGauge::new("frontdesk.bot_session.check_delay", "s", description);
    measure_regularly(&app.shutdown, || measure(&app, &delay)).await;
}

/// The lateness of timeouts shows only sessions that have timed out: where none does, this shows it.
async fn measure(app: &App, delay: &MeasuredGauge) -> Result<(), DbErr> {
    let next_check_at = due_sessions::find_next_check_at(app.db.read()).await?;
    let now = app.db.now().await?;
    let overdue = next_check_at.map_or(Duration::ZERO, |check_at| now.since(check_at));
    delay.set(overdue.as_secs_f64(), &[]);
    Ok(())
}
