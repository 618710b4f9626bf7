//! Routes conversations that wait to agents (rules A4, A5, A6), on every replica.

use std::time::Duration;

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use tokio::task::JoinSet;

use crate::{
    App,
    commands::{self, CHECK_AFTER, Decided},
    conversation::MAX_CHANGES,
    domain::Notice,
    store::{
        routing_accounts,
        routing_queue::{self, Reservation},
    },
};

/// Maximum number of calls that one replica has under way: changes of owners, and messages.
const MAX_CALLS: usize = 64;

/// Maximum number of reservations that one check takes.
const CHECKS: u64 = 100;

/// Pause after a failed read (milliseconds).
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Maximum pause between two reads of the next look (milliseconds), so that changes at other replicas are seen.
const MAX_PAUSE: Duration = Duration::from_millis(100);

/// Minimum pause after a look that another replica makes (milliseconds).
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// Number of looks of which one waits for the account that is due the longest: while others are due and free, one whose lock many
/// transactions take in turn would not have its turn.
const WAITS_ONCE_IN: u32 = 8;

/// Routes until the shutdown. Changes of owner run beside the decisions: one that takes long holds up no other account.
pub(crate) async fn route(app: App) {
    let mut calls = JoinSet::new();
    let mut looks: u32 = 0;
    while !app.shutdown.is_cancelled() {
        while calls.try_join_next().is_some() {}
        looks = looks.wrapping_add(1);
        let pause = match find_work(&app, looks.is_multiple_of(WAITS_ONCE_IN)).await {
            Ok(Work::Finish(decided)) => {
                for (account, reservations) in batches(decided.reservations) {
                    make_room(&mut calls).await;
                    calls.spawn(settle(app.clone(), account, reservations));
                }
                for notice in decided.notices {
                    make_room(&mut calls).await;
                    calls.spawn(post(app.clone(), notice));
                }
                continue;
            }
            Ok(Work::Pause(pause)) => pause,
            Err(error) => {
                tracing::error!(%error, "conversations that wait cannot be routed; retrying");
                RETRY_PAUSE
            }
        };
        tokio::select! {
            () = app.shutdown.cancelled() => {}
            // An event at this replica. Those at others are seen at the end of the pause.
            () = app.decision_due.notified() => {}
            // Moving the development clock ends it.
            () = app.clock.sleep(pause) => {}
        }
    }
}

/// What is to be done now.
enum Work {
    /// Changes of owner, and messages to visitors.
    Finish(Decided),
    /// Nothing, for this long.
    Pause(Duration),
}

/// Makes the decision that is due, or takes the reservations whose check is due.
async fn find_work(app: &App, waits: bool) -> Result<Work, DbErr> {
    let look_at = routing_accounts::find_next_look_at(app.db.read()).await?;
    let check_at = routing_queue::find_next_check_at(app.db.read()).await?;
    let Some(next) = [look_at, check_at].into_iter().flatten().min() else { return Ok(Work::Pause(MAX_PAUSE)) };
    let now = app.db.now().await?;
    if next > now {
        return Ok(Work::Pause(next.since(now).clamp(MIN_PAUSE, MAX_PAUSE)));
    }
    let mut decided = Decided::default();
    if check_at.is_some_and(|check_at| check_at <= now) {
        let tx = app.db.begin().await?;
        let now = tx.now().await?;
        decided.reservations = routing_queue::take_due(&tx, now, now.plus(CHECK_AFTER), CHECKS).await?;
        tx.commit().await?;
    }
    let routed = match commands::route_account(app, waits).await {
        // What was taken is settled all the same.
        Err(error) if !decided.reservations.is_empty() => {
            tracing::error!(%error, "conversations that wait cannot be routed; retrying");
            None
        }
        routed => routed?,
    };
    match routed {
        None if decided.reservations.is_empty() => return Ok(Work::Pause(MIN_PAUSE)),
        None => {}
        Some(routed) => {
            decided.reservations.extend(routed.reservations);
            decided.notices = routed.notices;
        }
    }
    Ok(Work::Finish(decided))
}

/// Parts of the reservations for one call each: of one account, and as many as a call takes.
fn batches(reservations: Vec<Reservation>) -> Vec<(AccountId, Vec<Reservation>)> {
    let mut batches: Vec<(AccountId, Vec<Reservation>)> = Vec::new();
    for reservation in reservations {
        let account = reservation.account;
        let open = batches.iter_mut().find(|(of, batch)| *of == account && batch.len() < MAX_CHANGES);
        match open {
            Some((_, batch)) => batch.push(reservation),
            None => batches.push((account, vec![reservation])),
        }
    }
    batches
}

/// Waits until fewer than [`MAX_CALLS`] run.
async fn make_room(calls: &mut JoinSet<()>) {
    if calls.len() >= MAX_CALLS {
        calls.join_next().await;
    }
}

async fn post(app: App, notice: Notice) {
    let conversation_id = notice.conversation;
    if let Err(error) = commands::post_notice(&app, notice).await {
        tracing::warn!(%error, %conversation_id, "a visitor has no message outside of opening hours yet; it is repeated");
    }
}

async fn settle(app: App, account: AccountId, reservations: Vec<Reservation>) {
    let conversations = reservations.len();
    if let Err(error) = commands::settle_reservations(&app, account, reservations).await {
        tracing::warn!(%error, account_id = %account, conversations, "conversations are not given to their agents yet; it is repeated");
    }
}
