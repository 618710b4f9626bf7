//! The scheduler: a seed chooses the turns, and each is made to its end before the next one.

use std::{collections::HashMap, fmt::Write, time::Duration};

use frontdesk_chaos::cluster::Service;
use frontdesk_clock::Clock;
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedMutRandom, IndexedRandom},
};
use uuid::Uuid;

use crate::{
    Failure, Fault,
    commands::{Command, Operation},
    template::Template,
    world::{CONVERSATION, START, TICK, World, literal},
};

/// Number of turns of a seed, before everything is drained.
const TURNS: std::ops::Range<usize> = 60..100;
/// Maximum number of chats of a seed.
const MAX_CHATS: usize = 4;
/// Moves of the clock, in ticks. The longest is more than the timeouts of the bots.
const MOVES: [u32; 5] = [1, 1, 2, 4, 10];
/// How long a seed may take by the machine's time. None does, unless a turn waits for something that no turn does.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a turn is, with its weight.
const WEIGHTS: [(u32, Turn); 13] = [
    (7, Turn::Start),
    (12, Turn::Send),
    (6, Turn::Reply),
    (6, Turn::TakeOver),
    (5, Turn::Close),
    (3, Turn::Reopen),
    (4, Turn::Repeat),
    (7, Turn::Advance),
    (8, Turn::Timeouts),
    (6, Turn::Deliveries),
    (16, Turn::Relay),
    (26, Turn::Deliver),
    (2, Turn::Kill),
];

#[derive(Clone, Copy)]
enum Turn {
    Start,
    Send,
    Reply,
    TakeOver,
    Close,
    Reopen,
    /// A call is repeated, as after a lost answer.
    Repeat,
    Advance,
    Timeouts,
    Deliveries,
    /// One relay publishes; sometimes its marks are lost.
    Relay,
    /// One consumer handles one event; sometimes its acknowledgement is lost.
    Deliver,
    Kill,
}

/// The result of a seed.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// A line for each turn. Ids are numbered in the order in which they appear.
    pub trace: Vec<String>,
    /// Violations, each with its rule before it.
    pub violations: Vec<String>,
}

impl Run {
    /// Whether this rule is violated.
    pub fn violates(&self, rule: &str) -> bool {
        self.violations.iter().any(|violation| violation.split(':').next() == Some(rule))
    }
}

/// Runs a seed in a runtime of its own. Fails when a turn fails, with the trace up to it.
pub fn run_seed(template: &Template, seed: u64, fault: Option<Fault>) -> Result<Run, Failure> {
    let folder = template.copy()?;
    let mut trace = Vec::new();
    let ended = runtime()?.block_on(async {
        let world = World::open(folder.path(), Clock::standing(seed, START), template.setup.clone(), fault).await?;
        let (rng, chats, operations) = (StdRng::seed_from_u64(seed), Vec::new(), Vec::new());
        let mut schedule = Schedule { world, rng, chats, operations };
        match tokio::time::timeout(PATIENCE, schedule.run(&mut trace)).await {
            Ok(ended) => ended,
            Err(_) => Err("a turn does not end".into()),
        }
    });
    let mut names = Names::default();
    let trace: Vec<String> = trace.iter().map(|line: &String| names.shorten(line)).collect();
    match ended {
        Ok(violations) => {
            let violations = violations.iter().map(|violation| names.shorten(violation)).collect();
            Ok(Run { seed, trace, violations })
        }
        Err(error) => Err(format!("seed {seed}: {error}\n{}", trace.join("\n")).into()),
    }
}

/// A runtime in which everything but SQLite is done by the calling thread.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

struct Schedule {
    world: World,
    rng: StdRng,
    /// Visitor and id of each chat.
    chats: Vec<(String, String)>,
    operations: Vec<Operation>,
}

impl Schedule {
    /// Makes all turns, and returns the violations.
    async fn run(&mut self, trace: &mut Vec<String>) -> Result<Vec<String>, Failure> {
        for number in 0..self.rng.random_range(TURNS) {
            let turn = choose(&mut self.rng);
            let seconds = self.world.clock.now().since(START).as_secs();
            if let Some(line) = self.turn(turn).await? {
                trace.push(format!("{number:>3} {seconds:>5} s  {line}"));
            }
        }
        let verdict = self.world.finish().await?;
        let violated = verdict.0.iter().flat_map(|(rule, all)| all.iter().map(move |about| format!("{rule}: {about}")));
        let mut violated: Vec<String> = violated.collect();
        // The checker looks through maps, whose order is not that of the seed.
        violated.sort_by_key(|violation| without_ids(violation));
        Ok(violated)
    }

    /// Makes a turn, and describes it. None: there is nothing that it could do.
    async fn turn(&mut self, turn: Turn) -> Result<Option<String>, Failure> {
        Ok(match turn {
            Turn::Repeat => match self.operations.choose_mut(&mut self.rng) {
                None => None,
                Some(operation) => {
                    operation.attempt += 1;
                    let operation = operation.clone();
                    Some(self.perform(&operation).await?)
                }
            },
            Turn::Advance => {
                let by = TICK * MOVES.choose(&mut self.rng).copied().unwrap_or(1);
                self.world.clock.advance(by)?;
                Some(format!("the clock moves by {} s", by.as_secs()))
            }
            Turn::Timeouts => {
                self.world.timeouts().await?;
                Some("worker of timeouts".to_owned())
            }
            Turn::Deliveries => {
                let sent = self.world.deliveries().await?;
                Some(format!("worker of mails: {sent} sent"))
            }
            Turn::Relay => Some(self.relay().await?),
            Turn::Deliver => self.deliver().await?,
            Turn::Kill => {
                self.world.kill().await?;
                Some("kill".to_owned())
            }
            call => match self.command(call).await? {
                None => None,
                Some(command) => {
                    let operation = Operation { number: self.operations.len() as u64 + 1, attempt: 1, command };
                    self.operations.push(operation.clone());
                    Some(self.perform(&operation).await?)
                }
            },
        })
    }

    /// The command of a new call. None: there is no chat, or too many.
    async fn command(&mut self, turn: Turn) -> Result<Option<Command>, Failure> {
        let text = format!("m~{}", self.operations.len());
        let agent = self.world.setup.agents.choose(&mut self.rng).cloned().unwrap_or_default();
        if matches!(turn, Turn::Start) {
            let visitor = format!("v{}", self.operations.len());
            let channel = self.world.setup.channels.choose(&mut self.rng).cloned().unwrap_or_default();
            let text = if self.rng.random_bool(0.5) { text } else { String::new() };
            return Ok((self.chats.len() < MAX_CHATS).then_some(Command::Start { visitor, channel, text }));
        }
        let Some((visitor, chat)) = self.chats.choose(&mut self.rng).cloned() else { return Ok(None) };
        Ok(Some(match turn {
            Turn::Send => Command::Send { visitor, chat, text },
            Turn::Reply => Command::Reply { agent, chat, text },
            Turn::Close => Command::Close { agent, chat },
            Turn::Reopen => Command::Reopen { agent, chat },
            _ => {
                let row = format!("SELECT epoch FROM conversations WHERE id = {}", literal(chat.parse()?));
                let epoch = i32::try_from(self.world.number(CONVERSATION, &row).await?)?;
                // Sometimes the agent has not seen the last change.
                let epoch = if self.rng.random_bool(0.2) { (epoch - 1).max(1) } else { epoch };
                Command::TakeOver { agent, chat, epoch }
            }
        }))
    }

    async fn perform(&mut self, operation: &Operation) -> Result<String, Failure> {
        let answer = self.world.attempt(operation).await;
        if let Ok(answer) = &answer {
            self.world.plant(&operation.command).await?;
            if let Command::Start { visitor, .. } = &operation.command {
                let chat = (visitor.clone(), answer["chat"].as_str().unwrap_or_default().to_owned());
                if !self.chats.contains(&chat) {
                    self.chats.push(chat);
                }
            }
        }
        let answer = answer.map_or_else(|refusal| refusal, |answer| format!("ok {answer}"));
        Ok(format!("{} (attempt {}): {:?}: {answer}", operation.number, operation.attempt, operation.command))
    }

    async fn relay(&mut self) -> Result<String, Failure> {
        let service = self.rng.random_range(0..Service::ALL.len());
        let published = self.world.relay(service).await?;
        let mut line = format!("relay of {}: {published} published", Service::ALL[service].name());
        if published > 0 && self.rng.random_bool(0.15) {
            self.world.lose_progress(service, published).await?;
            line.push_str(", which is not stored");
        }
        Ok(line)
    }

    async fn deliver(&mut self) -> Result<Option<String>, Failure> {
        let pending = self.world.pending().await?;
        let Some(one) = pending.choose(&mut self.rng) else { return Ok(None) };
        let handled = self.world.deliver(one).await?;
        let lost = handled && self.rng.random_bool(0.15);
        if handled && !lost {
            self.world.acknowledge(one).await?;
        }
        let ended = match (handled, lost) {
            (false, _) => "not handled",
            (true, false) => "handled",
            (true, true) => "handled, the acknowledgement is lost",
        };
        let kind = one.event.r#type.rsplit('.').next().unwrap_or_default();
        let of = format!("{kind} {} of {}", one.event.version, one.event.aggregate_id);
        Ok(Some(format!("{}: {of}: {ended}", one.consumer)))
    }
}

fn choose(rng: &mut StdRng) -> Turn {
    let total: u32 = WEIGHTS.iter().map(|(weight, _)| weight).sum();
    let mut number = rng.random_range(0..total);
    for (weight, turn) in WEIGHTS {
        if number < weight {
            return turn;
        }
        number -= weight;
    }
    Turn::Deliver
}

/// Numbers of ids, in the order in which they appear.
#[derive(Default)]
struct Names(HashMap<Uuid, usize>);

impl Names {
    /// The text with the numbers of its ids in their place.
    fn shorten(&mut self, text: &str) -> String {
        replace_ids(text, |id| {
            let next = self.0.len() + 1;
            *self.0.entry(id).or_insert(next)
        })
    }
}

fn without_ids(text: &str) -> String {
    replace_ids(text, |_| 0)
}

fn replace_ids(text: &str, mut number: impl FnMut(Uuid) -> usize) -> String {
    const LENGTH: usize = 36;
    let (mut shortened, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        match rest.get(..LENGTH).and_then(|id| id.parse::<Uuid>().ok()) {
            Some(id) => {
                // Writing to a string does not fail.
                let _ = write!(shortened, "#{}", number(id));
                rest = &rest[LENGTH..];
            }
            None => {
                shortened.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    shortened
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r19_ids_are_numbered_in_the_order_in_which_they_appear() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut names = Names::default();
        assert_eq!(names.shorten(&format!("é {two}:{one}, {two}")), "é #1:#2, #1");
        assert_eq!(names.shorten(&one.to_string()), "#2");
        assert_eq!(without_ids(&format!("{one} {two}")), "#0 #0");
    }
}
