//! R9: a takeover or a visitor's message at the very moment of the timeout.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Ending, Failure, Row, Stage, Verdict};
use crate::{
    cluster::Service,
    driver::{Driver, Somebody},
    report::percentile,
    state::Fact,
    workload::Shop,
};

/// The bot's timeout.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The clock is moved to so long before the first deadline.
const BEFORE: Duration = Duration::from_secs(4);
const AT_ONCE: usize = 50;
/// One in so many is left alone.
const CONTROL: usize = 7;

struct Race {
    visitor: Somebody,
    agent: Somebody,
    id: String,
    epoch: i64,
    deadline: Time,
}

pub(super) async fn run(stage: &mut Stage) -> Result<(Row, Verdict), Failure> {
    let races = stage.size.pick(100, 1_000, 10_000);
    let mut random = StdRng::seed_from_u64(stage.seed);
    let (driver, shop) = (stage.driver.clone(), stage.shops[0].clone());
    let mut made = 0;
    // How long after its deadline a timeout usually closes, in microseconds.
    let mut usual = 20_000;
    let mut late = Vec::new();
    while made < races {
        let waiting = set_up(&driver, &shop, made).await?;
        let newest = waiting.iter().map(|race| race.deadline).max().ok_or("no chat was started")?;
        let oldest = waiting.iter().map(|race| race.deadline).min().ok_or("no chat was started")?;
        let clock = Clock::system();
        let shown = clock.now().plus(offset(stage));
        // All of them must lie ahead, or their races are over before they begin.
        if newest.since(oldest) > BEFORE / 2 + TIMEOUT / 2 {
            return Err("starting the chats took longer than their timeout".into());
        }
        stage.advance(oldest.since(shown).saturating_sub(BEFORE)).await?;
        let offset = offset(stage);
        join_all(waiting.iter().enumerate().map(|(number, race)| {
            let around = random.random_range(-5_000..=5_000_i64);
            // A third around the deadline, a third around the moment at which the close usually comes, a third in between.
            let around = match number % 3 {
                0 => around,
                1 => around + usual,
                _ => random.random_range(0..=usual),
            };
            // Some are left alone: they tell when the close usually comes.
            let strikes = number % CONTROL != 0;
            strike(&driver, &shop, race, offset, around, strikes.then_some(number % 2 == 0))
        }))
        .await;
        made += waiting.len() - waiting.len().div_ceil(CONTROL);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let alone: Vec<&str> = waiting.iter().step_by(CONTROL).map(|race| race.id.as_str()).collect();
        late.extend(closed_late(stage, &alone).await?);
        usual = percentile(&mut late, 50.0).max(1.0) as i64;
    }
    // Whoever answered in time is silent from now on; those timeouts come too.
    stage.advance(TIMEOUT + Duration::from_secs(5)).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (verdict, state) = stage.end(Ending::default()).await?;
    let wrong = verdict.of(&["I1", "I5", "I6", "I7", "I14", "I19"]);
    let timeouts = state
        .events
        .iter()
        .filter(|event| matches!(&event.fact, Fact::Closed { reason, .. } if reason == "VISITOR_INACTIVE"));
    let taken = state.events.iter().filter(|event| matches!(event.fact, Fact::Assignee { .. })).count();
    let refused = driver.recorder.finish().iter().filter(|record| record.reason == "CONVERSATION_CLOSED").count();
    let row = Row::new(wrong, wrong == 0 && made >= races)
        .with("races", made)
        .with("timeouts", timeouts.count())
        .with("takeovers_won", taken)
        .with("came_too_late", refused)
        .with("lateness_ms_p50", usual / 1_000);
    Ok((row, verdict))
}

/// How late these timeouts closed, in microseconds.
async fn closed_late(stage: &Stage, ids: &[&str]) -> Result<Vec<f64>, Failure> {
    let sql = format!(
        "SELECT closed_at - last_visitor_activity_at - bot_timeout_us AS late FROM conversations \
         WHERE id IN ('{}') AND close_reason = 'VISITOR_INACTIVE'",
        ids.join("','")
    );
    let rows = stage.databases.rows(Service::Conversation, &sql).await?;
    rows.iter().map(|row| Ok(row.try_get::<i64>("", "late")? as f64)).collect()
}

fn offset(stage: &Stage) -> Duration {
    Duration::from_micros(u64::try_from(stage.cluster.clock_offset()).unwrap_or(0))
}

/// Chats with a bot in charge, and when each times out.
async fn set_up(driver: &Driver, shop: &Shop, made: usize) -> Result<Vec<Race>, Failure> {
    let starting = (0..AT_ONCE).map(|number| async move {
        let visitor = shop.visitor(&format!("r{made}-{number}"), false);
        let agent = shop.agents[number % shop.agents.len()].clone();
        let id = driver.start_chat(&visitor, &shop.with_bot, "").await.ok()?;
        let now = driver.conversation(&agent, &id).await?;
        let active = Time::from_proto(&now.last_visitor_activity_time?);
        Some(Race { visitor, agent, id, epoch: now.epoch, deadline: active.plus(TIMEOUT) })
    });
    let races: Vec<Race> = join_all(starting).await.into_iter().flatten().collect();
    // The bot's greeting is on its way; the timer is kept with it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    if races.is_empty() { Err("no chat was started".into()) } else { Ok(races) }
}

/// Waits for the moment, `around` microseconds after the deadline, and acts.
async fn strike(driver: &Driver, shop: &Shop, race: &Race, offset: Duration, around: i64, takes_over: Option<bool>) {
    let at = Time(race.deadline.minus(offset).0 + around);
    Clock::system().sleep_until(at).await;
    match takes_over {
        Some(true) => drop(driver.take_over(&race.agent, &race.id, race.epoch).await),
        Some(false) => drop(driver.say(&race.visitor, &race.id, &shop.words()).await),
        None => {}
    }
}
