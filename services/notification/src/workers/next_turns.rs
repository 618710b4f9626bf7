//! Whose deliveries the worker takes next.

use std::time::{Duration, Instant};

use crate::{App, domain::Turns, error::NotificationError, store};

/// How long the turns are taken from what was read at once: new queues have their first turn after it.
const TURNS_AGE: Duration = Duration::from_secs(1);

/// Whose deliveries are next, as far as it is known.
#[derive(Default)]
pub(super) struct NextTurns {
    pub(super) turns: Turns,
    read: Option<Instant>,
}

impl NextTurns {
    /// Reads which queues have due deliveries, unless it was read a moment ago. Returns whether it was read now.
    pub(super) async fn read(&mut self, app: &App) -> Result<bool, NotificationError> {
        if !self.turns.is_empty() && self.read.is_some_and(|read| read.elapsed() < TURNS_AGE) {
            return Ok(false);
        }
        let now = app.db.now().await?;
        self.turns.set_due(store::due_deliveries::list_due_queues(app.db.read(), now).await?);
        self.read = Some(Instant::now());
        Ok(true)
    }

    /// What is due is read before the next turn.
    pub(super) fn forget(&mut self) {
        self.read = None;
    }
}
