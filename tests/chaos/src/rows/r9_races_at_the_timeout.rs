//! R9: a takeover or a visitor's message at the moment of the inactivity timeout.

use std::time::Duration;

use frontdesk_clock::{Clock, Time};
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    cluster::Service,
    driver::{Caller, Driver},
    final_state::Fact,
    report::percentile,
    workload::Account,
};

/// Inactivity timeout of the bot.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long before the first deadline the clock is advanced to.
const BEFORE: Duration = Duration::from_secs(4);
/// Number of chats that race at once.
const CONCURRENT: usize = 50;
/// One chat in this number is not raced, and shows when timeouts usually close.
const CONTROL: usize = 7;

struct Race {
    visitor: Caller,
    agent: Caller,
    id: String,
    epoch: i32,
    deadline: Time,
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let races = context.size.pick(100, 1_000, 10_000);
    let mut random = StdRng::seed_from_u64(context.seed);
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let mut made = 0;
    // Median lateness of a timeout, in microseconds.
    let mut usual_lateness = 20_000;
    let mut late = Vec::new();
    while made < races {
        let chats = start_chats(&driver, &account, made).await?;
        let newest = chats.iter().map(|race| race.deadline).max().ok_or("no chat could be started")?;
        let oldest = chats.iter().map(|race| race.deadline).min().ok_or("no chat could be started")?;
        let clock = Clock::system();
        let now = clock.now().plus(offset(context));
        // All deadlines must lie ahead.
        if newest.since(oldest) > BEFORE / 2 + TIMEOUT / 2 {
            return Err("starting the chats took longer than their timeout".into());
        }
        context.advance(oldest.since(now).saturating_sub(BEFORE)).await?;
        let offset = offset(context);
        join_all(chats.iter().enumerate().map(|(number, race)| {
            let jitter = random.random_range(-5_000..=5_000_i64);
            // A third around the deadline, a third around the usual time of the close, a third in between.
            let delay = match number % 3 {
                0 => jitter,
                1 => jitter + usual_lateness,
                _ => random.random_range(0..=usual_lateness),
            };
            let takes_over = (number % CONTROL != 0).then_some(number % 2 == 0);
            act(&driver, &account, race, offset, delay, takes_over)
        }))
        .await;
        made += chats.len() - chats.len().div_ceil(CONTROL);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let control: Vec<&str> = chats.iter().step_by(CONTROL).map(|race| race.id.as_str()).collect();
        late.extend(lateness(context, &control).await?);
        usual_lateness = percentile(&mut late, 50.0).max(1.0) as i64;
    }
    // Visitors whose message came in time are inactive from now on; their chats time out too.
    context.advance(TIMEOUT + Duration::from_secs(5)).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (verdict, state) = context.finish(FinishOptions::default()).await?;
    let violations = verdict.of(&["I1", "I5", "I6", "I7", "I14", "I19"]);
    let timeouts = state
        .events
        .iter()
        .filter(|event| matches!(&event.fact, Fact::Closed { reason, .. } if reason == "VISITOR_INACTIVE"));
    let takeovers = state.events.iter().filter(|event| matches!(event.fact, Fact::Assignee { .. })).count();
    let refused = driver.recorder.finish().iter().filter(|record| record.reason == "CONVERSATION_CLOSED").count();
    let row = Row::new(violations, violations == 0 && made >= races)
        .with("races", made)
        .with("timeouts", timeouts.count())
        .with("takeovers_won", takeovers)
        .with("came_too_late", refused)
        .with("lateness_ms_p50", usual_lateness / 1_000);
    Ok((row, verdict))
}

/// Lateness of the timeouts of these conversations, in microseconds.
async fn lateness(context: &Context, ids: &[&str]) -> Result<Vec<f64>, Failure> {
    let sql = format!(
        "SELECT closed_at - last_visitor_activity_at - bot_timeout_us AS late FROM conversations \
         WHERE id IN ('{}') AND close_reason = 'VISITOR_INACTIVE'",
        ids.join("','")
    );
    let rows = context.databases.rows(Service::Conversation, &sql).await?;
    rows.iter().map(|row| Ok(row.try_get::<i64>("", "late")? as f64)).collect()
}

fn offset(context: &Context) -> Duration {
    Duration::from_micros(u64::try_from(context.cluster.clock_offset()).unwrap_or(0))
}

/// Starts chats with a bot in charge, and reads when each times out.
async fn start_chats(driver: &Driver, account: &Account, made: usize) -> Result<Vec<Race>, Failure> {
    let starting = (0..CONCURRENT).map(|number| async move {
        let visitor = account.visitor(&format!("r{made}-{number}"), false);
        let agent = account.agents[number % account.agents.len()].clone();
        let id = driver.start_chat(&visitor, &account.bot_channel, "").await.ok()?;
        let now = driver.get_conversation(&agent, &id).await?;
        let active = Time::from_proto(&now.last_visitor_activity_time?);
        Some(Race { visitor, agent, id, epoch: now.epoch, deadline: active.plus(TIMEOUT) })
    });
    let races: Vec<Race> = join_all(starting).await.into_iter().flatten().collect();
    // The bot-session service stores the timer with the bot's greeting.
    tokio::time::sleep(Duration::from_secs(2)).await;
    if races.is_empty() { Err("no chat could be started".into()) } else { Ok(races) }
}

/// Takes the chat over (`true`), sends a message (`false`) or does nothing (`None`), `delay` microseconds after the deadline.
async fn act(driver: &Driver, account: &Account, race: &Race, offset: Duration, delay: i64, takes_over: Option<bool>) {
    let at = Time(race.deadline.minus(offset).0 + delay);
    Clock::system().sleep_until(at).await;
    match takes_over {
        Some(true) => drop(driver.take_over(&race.agent, &race.id, race.epoch).await),
        Some(false) => drop(driver.send_message(&race.visitor, &race.id, &account.message_text()).await),
        None => {}
    }
}
