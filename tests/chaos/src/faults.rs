//! Faults: which, on what, when and for how long, all from a seed; and doing them.

use std::{
    io::Write,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::{Cluster, Failure, REPLICAS, Service},
    history::{FaultRecord, Recorder},
    sink::{Stage, Trouble},
};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// kill -9 of a replica of this service.
    Kill(Service),
    /// SIGSTOP of one.
    Pause(Service),
    /// SIGTERM of one, as in a rolling restart.
    Restart(Service),
    /// kill -9 of the broker.
    KillNats,
    /// kill -9 of the database.
    KillPostgres,
    /// Every connection of this service to the database is reset.
    CutPostgres(Service),
    /// Every connection of this service to the broker is reset.
    CutNats(Service),
    /// Some commits of this service are done and never answered.
    CutCommits(Service),
    /// Nothing passes between this service and the database.
    HoldPostgres(Service),
    /// Nothing passes between this service and the broker.
    HoldNats(Service),
    /// The database is slow for this service.
    SlowPostgres(Service),
    /// Every second acknowledgement of this service's consumers is lost.
    DropAcks(Service),
    /// Every second acknowledgement of what this service published is lost.
    DropPubAcks(Service),
    /// The next mails meet trouble, most of it after the final dot.
    Smtp,
    /// The mail server is away.
    SmtpAway,
}

/// Everything that can be killed.
pub fn kills() -> Vec<FaultKind> {
    let services = Service::ALL.into_iter().map(FaultKind::Kill);
    services.chain([FaultKind::KillNats, FaultKind::KillPostgres]).collect()
}

/// Everything else that passes by itself.
pub fn nuisances() -> Vec<FaultKind> {
    let of_each = Service::ALL.into_iter().flat_map(|service| {
        [
            FaultKind::Pause(service),
            FaultKind::Restart(service),
            FaultKind::CutPostgres(service),
            FaultKind::CutNats(service),
            FaultKind::CutCommits(service),
            FaultKind::HoldPostgres(service),
            FaultKind::HoldNats(service),
            FaultKind::SlowPostgres(service),
            FaultKind::DropAcks(service),
            FaultKind::DropPubAcks(service),
        ]
    });
    of_each.chain([FaultKind::Smtp, FaultKind::SmtpAway]).collect()
}

/// A fault with its moment.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// After the one before was healed.
    pub after: Duration,
    /// What.
    pub kind: FaultKind,
    /// Which of the replicas.
    pub replica: usize,
    /// For how long.
    pub lasts: Duration,
    /// What chance says beyond that.
    pub dice: u64,
}

/// So many faults of this menu, each of its kinds before any comes again, so many milliseconds apart.
pub fn schedule(seed: u64, menu: &[FaultKind], count: usize, apart: Range<u64>) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut waiting: Vec<FaultKind> = Vec::new();
    let mut planned = Vec::with_capacity(count);
    while planned.len() < count && !menu.is_empty() {
        if waiting.is_empty() {
            waiting = menu.to_vec();
            waiting.shuffle(&mut random);
        }
        let Some(kind) = waiting.pop() else { break };
        planned.push(Planned {
            after: Duration::from_millis(random.random_range(apart.clone())),
            kind,
            replica: random.random_range(0..REPLICAS),
            lasts: Duration::from_millis(random.random_range(200..2_000)),
            dice: random.random(),
        });
    }
    planned
}

/// The faults that were made. Clones share it.
#[derive(Clone)]
pub struct FaultLog {
    recorder: Recorder,
    made: Arc<Mutex<Vec<FaultRecord>>>,
}

impl FaultLog {
    /// A log on the recorder's clock.
    pub fn new(recorder: &Recorder) -> Self {
        Self { recorder: recorder.clone(), made: Arc::default() }
    }

    /// A fault began; give the number back when it is healed.
    pub fn began(&self, fault: &str, target: &str) -> usize {
        let from = self.recorder.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push(FaultRecord { fault: fault.to_owned(), target: target.to_owned(), from, to: u64::MAX });
        made.len() - 1
    }

    /// It is healed.
    pub fn healed(&self, number: usize) {
        let to = self.recorder.now();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = made.get_mut(number) {
            fault.to = to;
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<FaultRecord> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of this kind.
    pub fn count(&self, fault: &str) -> usize {
        self.all().iter().filter(|one| one.fault == fault).count()
    }

    /// Writes them into a file, one JSON line each.
    pub fn keep(&self, file: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::create(file)?;
        for fault in self.all() {
            serde_json::to_writer(&mut file, &fault)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Does what is planned, one after the other, until the end of the plan or the stop.
pub async fn torment(
    cluster: &mut Cluster,
    plan: &[Planned],
    stop: &CancellationToken,
    log: &FaultLog,
) -> Result<(), Failure> {
    for fault in plan {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(fault.after) => {}
        }
        make(cluster, fault, log).await?;
    }
    Ok(())
}

/// Makes one fault and heals it.
pub async fn make(cluster: &mut Cluster, fault: &Planned, log: &FaultLog) -> Result<(), Failure> {
    use FaultKind as F;
    match fault.kind {
        F::Kill(service) | F::Pause(service) | F::Restart(service) => process(cluster, service, fault, log).await,
        F::KillNats => {
            let number = log.began("kill", "nats");
            cluster.nats.kill().await;
            tokio::time::sleep(fault.lasts).await;
            cluster.nats.start_again().await;
            log.healed(number);
            Ok(())
        }
        F::KillPostgres => {
            let number = log.began("kill", "postgres");
            cluster.postgres.kill().await;
            tokio::time::sleep(fault.lasts).await;
            cluster.postgres.start_again().await;
            log.healed(number);
            Ok(())
        }
        F::Smtp => {
            trouble_with_mail(cluster, fault, log);
            Ok(())
        }
        F::SmtpAway => {
            let number = log.began("away", "smtp");
            cluster.to_smtp.refuse();
            tokio::time::sleep(fault.lasts).await;
            cluster.to_smtp.heal();
            log.healed(number);
            Ok(())
        }
        F::CutPostgres(service)
        | F::CutNats(service)
        | F::CutCommits(service)
        | F::HoldPostgres(service)
        | F::HoldNats(service)
        | F::SlowPostgres(service)
        | F::DropAcks(service)
        | F::DropPubAcks(service) => {
            edge(cluster, service, fault, log).await;
            Ok(())
        }
    }
}

async fn process(cluster: &mut Cluster, service: Service, fault: &Planned, log: &FaultLog) -> Result<(), Failure> {
    let place = Cluster::edge(service) * REPLICAS + fault.replica;
    let replica = &mut cluster.replicas[place];
    let name = replica.name();
    match fault.kind {
        FaultKind::Pause(_) => {
            let number = log.began("pause", &name);
            replica.pause();
            tokio::time::sleep(fault.lasts).await;
            replica.resume();
            log.healed(number);
        }
        FaultKind::Restart(_) => {
            let number = log.began("restart", &name);
            replica.terminate(Duration::from_secs(25)).await;
            replica.start().await?;
            log.healed(number);
        }
        _ => {
            let number = log.began("kill", &name);
            replica.kill().await;
            tokio::time::sleep(fault.lasts).await;
            replica.start().await?;
            log.healed(number);
        }
    }
    Ok(())
}

async fn edge(cluster: &Cluster, service: Service, fault: &Planned, log: &FaultLog) {
    use FaultKind as F;
    let (postgres, nats) = (&cluster.to_postgres[Cluster::edge(service)], &cluster.to_nats[Cluster::edge(service)]);
    let name = service.name();
    let (what, of) = match fault.kind {
        F::CutPostgres(_) => ("cut", "postgres"),
        F::CutCommits(_) => ("cut-commits", "postgres"),
        F::HoldPostgres(_) => ("hold", "postgres"),
        F::SlowPostgres(_) => ("slow", "postgres"),
        F::CutNats(_) => ("cut", "nats"),
        F::HoldNats(_) => ("hold", "nats"),
        F::DropAcks(_) => ("drop-acks", "nats"),
        _ => ("drop-pub-acks", "nats"),
    };
    let number = log.began(what, &format!("{name}-to-{of}"));
    match fault.kind {
        F::CutPostgres(_) => postgres.cut(),
        F::CutCommits(_) => postgres.cut_commits(1 + (fault.dice % 3) as u32),
        F::HoldPostgres(_) => postgres.hold(),
        F::SlowPostgres(_) => postgres.delay(Duration::from_millis(5 + fault.dice % 40)),
        F::CutNats(_) => nats.cut(),
        F::HoldNats(_) => nats.hold(),
        F::DropAcks(_) => nats.drop_acks(500),
        _ => nats.drop_pub_acks(500),
    }
    tokio::time::sleep(fault.lasts).await;
    postgres.heal();
    nats.heal();
    log.healed(number);
}

fn trouble_with_mail(cluster: &Cluster, fault: &Planned, log: &FaultLog) {
    const STAGES: [Stage; 8] =
        [Stage::Dot, Stage::Banner, Stage::Dot, Stage::Mail, Stage::Dot, Stage::Rcpt, Stage::Dot, Stage::Data];
    const TROUBLES: [Trouble; 3] = [Trouble::Cut, Trouble::Later, Trouble::Hang];
    let stage = STAGES[(fault.dice % STAGES.len() as u64) as usize];
    let trouble = TROUBLES[(fault.dice / 8 % TROUBLES.len() as u64) as usize];
    cluster.sink.plan(stage, trouble);
    let number = log.began(&format!("{stage:?}-{trouble:?}").to_lowercase(), "smtp");
    log.healed(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_schedule() {
        let menu = [kills(), nuisances()].concat();
        let told = |seed| format!("{:?}", schedule(seed, &menu, 60, 10..500));
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }

    #[test]
    fn every_kind_comes_before_any_comes_again() {
        let plan = schedule(3, &kills(), 6, 1..2);
        assert!(kills().iter().all(|kind| plan.iter().any(|planned| planned.kind == *kind)));
    }
}
