//! Gives back the conversations of agents who were deactivated or vanished (rules A2, A7), on every replica.

use std::time::Duration;

use sea_orm::DbErr;

use crate::{App, commands, store::agent_returns};

/// Pause after a failed look (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next look (milliseconds), so that changes at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// Minimum pause between two reads of the next look (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(20);

/// Looks at the conversations of absent agents until the shutdown.
pub(crate) async fn give_back(app: App) {
    while !app.shutdown.is_cancelled() {
        let pause = match look(&app).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, "conversations of absent agents cannot be given back; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            // Moving the development clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// Looks at one agent, if a look is due. Returns how long to wait before the next one.
async fn look(app: &App) -> Result<Duration, DbErr> {
    let Some(next) = agent_returns::find_next_due_at(app.db.read()).await? else { return Ok(MAX_PAUSE) };
    let now = app.db.now().await?;
    if next > now {
        return Ok(next.since(now).clamp(MIN_PAUSE, MAX_PAUSE));
    }
    // Others may have taken all that are due.
    Ok(if commands::give_back_conversations(app).await? { Duration::ZERO } else { MIN_PAUSE })
}
