//! R12: routing under kills. Many chats wait at once for a few agents, who close chats, are away, take chats by hand, and whose
//! capacities change, while replicas of the assignment service die at the steps of an assignment. Then visitors come outside of opening
//! hours, and replicas die between the message that a visitor gets and its confirmation.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    assignment::v1::{Availability, OutsideHoursText, OutsideOpeningHours, RoutingRules, RoutingStep, RoutingStrategy},
    conversation::v1::ConversationStatus,
};
use futures::{FutureExt, StreamExt, future::join_all};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Context, Failure, FinishOptions, Row, Verdict,
    r2_kill_points::{REACHED, die_at, has_kill_points},
};
use crate::{
    cluster::{REPLICAS, Service},
    driver::{Caller, Driver},
    final_state::{Change, Changed, Fact, FinalState, LOG, NO_LOG, QueueState},
    workload::{Account, AccountKind},
};

/// Number of replicas of the assignment service.
const ASSIGNMENT_REPLICAS: usize = 4;
/// Number of replicas that are restarted so that they die at a kill point. The others go on.
const DYING: usize = 2;
/// The kill point of a conversation that goes back from its agent: after its row changed.
const GOING_BACK: &str = "give-back-asked";
/// The kill points, in the order of an assignment: around the commits that reserve and confirm, and between the steps.
const POINTS: [&str; 6] =
    ["before-commit", "routing-reserved", "routing-asked", "after-commit", "routing-settled", GOING_BACK];
/// The kill point of a message to a visitor outside of opening hours: after it was posted.
const NOTICE: &str = "notice-posted";
/// Interval between two visitors who come outside of opening hours.
const COMES_AFTER: Duration = Duration::from_millis(200);
/// How often a replica passes a kill point before it dies there, in turn. Few conversations go back: there it dies at once.
const PASSES: [u32; 3] = [0, 2, 9];
/// Number of calls in flight that start chats.
const IN_FLIGHT: usize = 64;
/// Largest capacity of an agent.
const MAX_CAPACITY: i32 = 8;
/// Interval between heartbeats of an agent: less than the interval after which they are away.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(20);
/// How long the last conversations may wait until they are assigned: longer than an agent may be free (I16).
const ASSIGNED_AFTER: Duration = Duration::from_secs(7);

/// Sizes of a run.
#[derive(Clone, Copy)]
struct Plan {
    agents: usize,
    /// Number of chats that are started at once.
    conversations: usize,
    /// Number of chats that are open at the end: more than there are places for.
    left_open: usize,
    /// Number of deaths at each kill point of an assignment.
    kills: usize,
    /// Number of deaths at that of a message outside of opening hours.
    notices: usize,
    /// Maximum time until replicas that are restarted reach a kill point.
    reached: Duration,
    /// Longest pause of an agent between two actions (milliseconds).
    max_pause: u64,
    /// How long the run may take.
    timeout: Duration,
    /// How long the events that are left may take after it.
    quiescent: Duration,
}

impl Plan {
    fn of(context: &Context) -> Self {
        let pick = |smoke, short, full| context.size.pick(smoke, short, full);
        Self {
            agents: pick(6, 20, 20),
            conversations: pick(40, 200, 2_000),
            left_open: pick(32, 120, 150),
            kills: pick(1, 2, 10),
            notices: pick(1, 3, 10),
            // At 2,000 chats the processes share their cores with many more calls, and a point may be passed nine times.
            reached: context.size.pick(REACHED, REACHED, 3 * REACHED),
            max_pause: context.size.pick(300, 1_000, 1_500),
            timeout: Duration::from_secs(context.size.pick(240, 600, 5_400)),
            quiescent: Duration::from_secs(context.size.pick(150, 150, 900)),
        }
    }
}

/// What the agents work on.
struct Desk {
    driver: Driver,
    account: Account,
    admin: Caller,
    channels: Vec<String>,
    /// A channel that is never open. Its visitors get a message, and wait.
    closed_channel: String,
    plan: Plan,
    /// Ids of all chats.
    started: Mutex<Vec<String>>,
    closed: AtomicUsize,
    /// Ids of the chats that began outside of opening hours.
    outside_hours: Mutex<Vec<String>>,
    /// Number of visitors so far.
    visitors: AtomicUsize,
    /// Whether the first chats are started and the last replica has died.
    last_phase: AtomicBool,
}

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    if !has_kill_points().await? {
        return Err("frontdesk was built without kill points: build it with --features frontdesk/kill-points".into());
    }
    let plan = Plan::of(context);
    context.cluster.postgres.psql(Service::Assignment.database(), LOG).await;
    context.cluster.add_replicas(Service::Assignment, ASSIGNMENT_REPLICAS - REPLICAS).await?;
    let desk = prepare(context, plan).await?;
    let seed = context.seed;
    let starts: Vec<_> =
        (0..plan.conversations).map(|number| desk.start_chat(number % desk.channels.len()).boxed()).collect();
    let starting = futures::stream::iter(starts).buffer_unordered(IN_FLIGHT).collect::<()>();
    let agents: Vec<_> = (0..plan.agents)
        .map(|number| desk.work(number, StdRng::seed_from_u64(seed.wrapping_add(number as u64))).boxed())
        .collect();
    let killing = async {
        let ((), killed) = tokio::join!(starting, kill(context, &desk));
        desk.last_phase.store(true, Ordering::Relaxed);
        killed
    };
    let all = async { tokio::join!(killing, join_all(agents)) };
    let (killed, _) = tokio::time::timeout(plan.timeout, all).await.map_err(|_| "the queue does not become shorter")?;
    let killed = killed?;
    // Who is free gets the last ones.
    tokio::time::sleep(ASSIGNED_AFTER).await;
    let options = FinishOptions { advance_clock: false, timeout: plan.quiescent, ..FinishOptions::default() };
    let (verdict, state) = context.finish(options).await?;
    context.cluster.remove_further_replicas().await;
    context.cluster.postgres.psql(Service::Assignment.database(), NO_LOG).await;
    Ok((row(&state, &verdict, &desk, killed), verdict))
}

/// An account with two channels: the chats of one go to anybody, those of the other to half of the agents. And one that is never open.
async fn prepare(context: &mut Context, plan: Plan) -> Result<Desk, Failure> {
    let (driver, mail_sink) = (context.driver.clone(), &context.cluster.mail_sink);
    let account = Account::create(&driver, mail_sink, AccountKind::WithoutMail, plan.agents).await?;
    context.accounts.push(account.clone());
    let admin = driver.caller(account.id, CallerKind::Admin, "administrator", |_| {});
    let half = account.agents.iter().step_by(2).map(|agent| agent_id(agent).to_owned()).collect();
    let steps = [
        ("Anybody", RoutingStrategy::FewestOpen, RoutingStep { anybody: true, ..RoutingStep::default() }),
        ("Half", RoutingStrategy::RoundRobin, RoutingStep { agent_ids: half, ..RoutingStep::default() }),
    ];
    let mut channels = Vec::new();
    for (name, strategy, step) in steps {
        let rules = RoutingRules {
            steps: vec![step],
            strategy: strategy.into(),
            only_available: true,
            ..RoutingRules::default()
        };
        channels.push(driver.create_routed_channel(&admin, name, rules).await.ok_or("no channel could be created")?);
    }
    let hours = driver.create_closed_hours(&admin, "Never").await.ok_or("no opening hours could be created")?;
    let text = OutsideHoursText { language: "en".into(), text: "We are closed.".into() };
    let rules = RoutingRules {
        steps: vec![RoutingStep { anybody: true, ..RoutingStep::default() }],
        strategy: RoutingStrategy::FewestOpen.into(),
        opening_hours_id: hours,
        outside_opening_hours: OutsideOpeningHours::Wait.into(),
        outside_opening_hours_texts: vec![text],
        ..RoutingRules::default()
    };
    let closed_channel =
        driver.create_routed_channel(&admin, "Never", rules).await.ok_or("no channel could be created")?;
    for (number, agent) in account.agents.iter().enumerate() {
        driver.set_capacity(&admin, agent_id(agent), 1 + number as i32 % MAX_CAPACITY).await;
        driver.set_availability(agent, Availability::Available).await;
    }
    Ok(Desk {
        driver,
        account,
        admin,
        channels,
        closed_channel,
        plan,
        started: Mutex::default(),
        closed: AtomicUsize::new(0),
        outside_hours: Mutex::default(),
        visitors: AtomicUsize::new(0),
        last_phase: AtomicBool::new(false),
    })
}

fn agent_id(agent: &Caller) -> &str {
    agent.actor.trim_start_matches("agent:")
}

impl Desk {
    async fn start_chat(&self, channel: usize) {
        let number = self.visitors.fetch_add(1, Ordering::Relaxed);
        let visitor = self.account.visitor(&format!("w{number}-{channel}"), false);
        if let Some(id) = self.driver.start_chat(&visitor, &self.channels[channel], "").await.ok() {
            self.started().push(id);
        }
    }

    /// Visitors come outside of opening hours, one after the other, until `done`.
    async fn start_outside_hours(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            let number = self.visitors.fetch_add(1, Ordering::Relaxed);
            let visitor = self.account.visitor(&format!("w{number}-closed"), false);
            if let Some(id) = self.driver.start_chat(&visitor, &self.closed_channel, "").await.ok() {
                self.outside_hours().push(id);
            }
            tokio::time::sleep(COMES_AFTER).await;
        }
    }

    fn outside_hours(&self) -> MutexGuard<'_, Vec<String>> {
        self.outside_hours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self) -> MutexGuard<'_, Vec<String>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> usize {
        self.started().len().saturating_sub(self.closed.load(Ordering::Relaxed))
    }

    /// What an agent does until only the last chats are open; then they are available.
    async fn work(&self, number: usize, mut random: StdRng) {
        let agent = &self.account.agents[number];
        let mut beat = Instant::now();
        while !self.last_phase.load(Ordering::Relaxed) || self.open() > self.plan.left_open {
            let pause = random.random_range(self.plan.max_pause / 10..=self.plan.max_pause);
            tokio::time::sleep(Duration::from_millis(pause)).await;
            if beat.elapsed() > HEARTBEAT_INTERVAL {
                self.driver.heartbeat(agent).await;
                beat = Instant::now();
            }
            match random.random_range(0..100) {
                0..72 => self.close_one(agent, &mut random).await,
                72..80 => {
                    self.driver.set_availability(agent, Availability::Away).await;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    self.driver.set_availability(agent, Availability::Available).await;
                }
                80..90 => {
                    let capacity = random.random_range(0..=MAX_CAPACITY);
                    self.driver.set_capacity(&self.admin, agent_id(agent), capacity).await;
                }
                90..97 => self.take_one_by_hand(agent, &mut random).await,
                _ => {
                    self.driver.deactivate(&self.admin, agent_id(agent)).await;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    self.driver.reactivate(&self.admin, agent_id(agent)).await;
                    self.driver.set_availability(agent, Availability::Available).await;
                }
            }
        }
    }

    /// The agent closes one of their chats. Until the last phase another visitor starts one.
    async fn close_one(&self, agent: &Caller, random: &mut StdRng) {
        let own = self.driver.list_own_open(agent).await;
        if own.is_empty() || (self.last_phase.load(Ordering::Relaxed) && self.open() <= self.plan.left_open) {
            return;
        }
        let chat = &own[random.random_range(0..own.len())];
        if self.driver.close_conversation(agent, chat).await.ok().is_some() {
            self.closed.fetch_add(1, Ordering::Relaxed);
            if !self.last_phase.load(Ordering::Relaxed) {
                self.start_chat(random.random_range(0..self.channels.len())).await;
            }
        }
    }

    /// The agent takes a chat that waits, whether or not they have a place left.
    async fn take_one_by_hand(&self, agent: &Caller, random: &mut StdRng) {
        let chat = {
            let started = self.started();
            if started.is_empty() {
                return;
            }
            started[random.random_range(0..started.len())].clone()
        };
        if let Some(now) = self.driver.get_conversation(agent, &chat).await
            && now.status() == ConversationStatus::Open
            && now.assignee.is_none()
        {
            self.driver.take_over(agent, &chat, now.epoch).await;
        }
    }
}

/// The number of kills, and the kill points that were not reached.
#[derive(Default)]
struct Killed {
    kills: usize,
    missed: Vec<String>,
}

impl Killed {
    /// Counts the deaths at a kill point.
    fn count(&mut self, (name, reached): (String, Result<bool, Failure>)) -> Result<(), Failure> {
        match reached? {
            true => self.kills += 1,
            false => self.missed.push(name),
        }
        Ok(())
    }
}

/// Has replicas die at each kill point, two after the other in turn, and kills one at any time after each of an assignment.
async fn kill(context: &mut Context, desk: &Desk) -> Result<Killed, Failure> {
    let (mut killed, plan) = (Killed::default(), desk.plan);
    for round in 0..plan.kills {
        for (number, point) in POINTS.iter().enumerate() {
            let mut replicas = context.cluster.all_replicas_of(Service::Assignment);
            replicas.rotate_left((round + number) % ASSIGNMENT_REPLICAS);
            let others = replicas.split_off(DYING);
            if *point == GOING_BACK {
                // In some runs no conversation goes back through these replicas meanwhile.
                let (_, reached) = die_at(replicas, point, 0, REACHED, &context.log).await;
                killed.kills += usize::from(reached?);
            } else {
                let passes = PASSES[round % PASSES.len()];
                killed.count(die_at(replicas, point, passes, plan.reached, &context.log).await)?;
            }
            if let Some(replica) = others.into_iter().next() {
                let fault = context.log.start("kill", &replica.name());
                replica.kill().await;
                replica.start().await?;
                context.log.end(fault);
                killed.kills += 1;
            }
        }
    }
    for round in 0..plan.notices {
        let mut replicas = context.cluster.all_replicas_of(Service::Assignment);
        replicas.rotate_left(round % ASSIGNMENT_REPLICAS);
        replicas.truncate(DYING);
        let (done, log) = (AtomicBool::new(false), &context.log);
        let dying = async {
            let died = die_at(replicas, NOTICE, 0, plan.reached, log).await;
            done.store(true, Ordering::Relaxed);
            died
        };
        let (died, ()) = tokio::join!(dying, desk.start_outside_hours(&done));
        killed.count(died)?;
    }
    Ok(killed)
}

/// Number of chats that began outside of opening hours and whose visitors do not have its message once.
fn notices_not_once(state: &FinalState, desk: &Desk) -> usize {
    let mut notices: HashMap<&str, usize> = HashMap::new();
    for entry in state.entries.iter().filter(|entry| entry.kind == "message" && entry.author_kind == "SYSTEM") {
        *notices.entry(&entry.conversation).or_default() += 1;
    }
    desk.outside_hours().iter().filter(|id| notices.get(id.as_str()) != Some(&1)).count()
}

/// The highest number of conversations that waited at the same time without a reserved place.
fn most_waiting(changes: &[Change]) -> usize {
    let (mut waiting, mut most) = (BTreeSet::new(), 0);
    for change in changes {
        match &change.what {
            Changed::Queued(row) if row.state == QueueState::Waiting => _ = waiting.insert(&row.conversation),
            Changed::Queued(row) => _ = waiting.remove(&row.conversation),
            Changed::Dequeued { conversation } => _ = waiting.remove(conversation),
            _ => {}
        }
        most = most.max(waiting.len());
    }
    most
}

fn row(state: &FinalState, verdict: &Verdict, desk: &Desk, killed: Killed) -> Row {
    let by = |wanted: &str| {
        let is_wanted = |fact: &Fact| matches!(fact, Fact::Assignee { cause, .. } if cause == wanted);
        state.events.iter().filter(|event| is_wanted(&event.fact)).count()
    };
    let (routing, plan) = (&state.routing, desk.plan);
    let reserved = |what: &Changed| matches!(what, Changed::Queued(row) if row.state == QueueState::Reserved);
    let outside_hours = desk.outside_hours().len();
    let (routed, started) = (by("ROUTED"), state.conversations.len().saturating_sub(outside_hours));
    let violations = verdict.of(&["I14", "I15", "I16"]);
    let not_once = notices_not_once(state, desk);
    // All but those that are open at the end were assigned, a few of them by hand.
    let enough = started >= plan.conversations && routed * 2 > started.saturating_sub(plan.left_open);
    Row::new(violations, verdict.total() == 0 && killed.missed.is_empty() && enough && not_once == 0)
        .with("unit", "assignments over capacity, to two owners, out of order or late")
        .with("conversations", started)
        .with("most_waiting", most_waiting(&routing.changes))
        .with("routed", routed)
        .with("by_hand", by("BY_HAND"))
        .with("changes_with_a_reservation", routing.changes.iter().filter(|change| reserved(&change.what)).count())
        .with("waiting_at_the_end", routing.queue.len())
        .with("outside_hours", outside_hours)
        .with("messages_outside_hours_not_once", not_once)
        .with("kills", killed.kills)
        .with("not_reached", killed.missed)
}
