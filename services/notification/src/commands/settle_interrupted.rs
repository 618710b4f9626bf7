//! A delivery whose worker died amid an attempt.

use super::announce::save_and_announce;
use crate::{
    App,
    error::NotificationError,
    store::{self, deliveries::Claim},
};

/// Nobody knows how far the attempt came; only where a repeat is harmless is it simply made again.
pub(crate) async fn settle_interrupted(app: &App, claim: &Claim) -> Result<(), NotificationError> {
    let mut tx = app.db.begin().await?;
    let Some(mut delivery) = store::deliveries::find_claimed(&tx, claim).await? else { return Ok(()) };
    let now = tx.now().await?;
    let changed = if app.transport.repeats_are_harmless() {
        delivery.again(now);
        None
    } else {
        delivery.unknown(&app.pauses(), now)
    };
    save_and_announce(&mut tx, &mut delivery, changed).await?;
    tx.on_commit(app.wake());
    tx.commit().await?;
    Ok(())
}
