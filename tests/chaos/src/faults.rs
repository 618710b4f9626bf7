//! Faults: their schedule, which a seed decides, and their injection.

use std::{
    io::Write,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    cluster::{Cluster, Failure, REPLICAS, Service},
    history::{FaultRecord, Recorder},
    mail_sink::{SmtpFault, SmtpStage},
};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// kill -9 of a replica of this service.
    Kill(Service),
    /// SIGSTOP of a replica of this service, then SIGCONT.
    Pause(Service),
    /// SIGTERM of a replica of this service, and a restart.
    Restart(Service),
    /// kill -9 of the broker.
    KillNats,
    /// kill -9 of the database server.
    KillPostgres,
    /// All connections of this service to the database are reset.
    ResetPostgres(Service),
    /// All connections of this service to the broker are reset.
    ResetNats(Service),
    /// Some transactions of this service commit, and the connection is reset before the reply arrives.
    LoseCommitReplies(Service),
    /// No bytes pass between this service and the database.
    StallPostgres(Service),
    /// No bytes pass between this service and the broker.
    StallNats(Service),
    /// The connections of this service to the database have a higher latency.
    SlowPostgres(Service),
    /// Half of the acknowledgements that this service's consumers send are lost.
    DropAcks(Service),
    /// Half of the acknowledgements for messages that this service publishes are lost.
    DropPublishAcks(Service),
    /// The next exchange with the mail server fails at some stage, mostly after the final dot.
    Smtp,
    /// The mail server refuses connections.
    SmtpDown,
}

/// A kill of each process of the installation.
pub fn kills() -> Vec<FaultKind> {
    let services = Service::ALL.into_iter().map(FaultKind::Kill);
    services.chain([FaultKind::KillNats, FaultKind::KillPostgres]).collect()
}

/// All faults that are not kills.
pub fn minor_faults() -> Vec<FaultKind> {
    let of_each_service = Service::ALL.into_iter().flat_map(|service| {
        [
            FaultKind::Pause(service),
            FaultKind::Restart(service),
            FaultKind::ResetPostgres(service),
            FaultKind::ResetNats(service),
            FaultKind::LoseCommitReplies(service),
            FaultKind::StallPostgres(service),
            FaultKind::StallNats(service),
            FaultKind::SlowPostgres(service),
            FaultKind::DropAcks(service),
            FaultKind::DropPublishAcks(service),
        ]
    });
    of_each_service.chain([FaultKind::Smtp, FaultKind::SmtpDown]).collect()
}

/// A fault of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct PlannedFault {
    /// Pause between the end of the previous fault and the start of this one.
    pub after: Duration,
    /// Kind of the fault.
    pub kind: FaultKind,
    /// Number of the replica, from 0, where the fault concerns one.
    pub replica: usize,
    /// How long the fault lasts.
    pub duration: Duration,
    /// Random number for everything else that the kind needs.
    pub random: u64,
}

/// A schedule of `count` faults of these kinds: each kind once before any comes again, `pause` milliseconds between two.
pub fn schedule(seed: u64, kinds: &[FaultKind], count: usize, pause: Range<u64>) -> Vec<PlannedFault> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut left: Vec<FaultKind> = Vec::new();
    let mut planned = Vec::with_capacity(count);
    while planned.len() < count && !kinds.is_empty() {
        if left.is_empty() {
            left = kinds.to_vec();
            left.shuffle(&mut random);
        }
        let Some(kind) = left.pop() else { break };
        planned.push(PlannedFault {
            after: Duration::from_millis(random.random_range(pause.clone())),
            kind,
            replica: random.random_range(0..REPLICAS),
            duration: Duration::from_millis(random.random_range(200..2_000)),
            random: random.random(),
        });
    }
    planned
}

/// The faults that were injected. Clones share the log.
#[derive(Clone)]
pub struct FaultLog {
    recorder: Recorder,
    injected: Arc<Mutex<Vec<FaultRecord>>>,
}

impl FaultLog {
    /// An empty log with the recorder's clock.
    pub fn new(recorder: &Recorder) -> Self {
        Self { recorder: recorder.clone(), injected: Arc::default() }
    }

    /// Records the start of a fault. Returns its number for [`FaultLog::end`].
    pub fn start(&self, fault: &str, target: &str) -> usize {
        let from = self.recorder.now();
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        injected.push(FaultRecord { fault: fault.to_owned(), target: target.to_owned(), from, to: u64::MAX });
        injected.len() - 1
    }

    /// Records the end of a fault.
    pub fn end(&self, number: usize) {
        let to = self.recorder.now();
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = injected.get_mut(number) {
            fault.to = to;
        }
    }

    /// All faults so far.
    pub fn all(&self) -> Vec<FaultRecord> {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Number of faults with this name.
    pub fn count(&self, fault: &str) -> usize {
        self.all().iter().filter(|one| one.fault == fault).count()
    }

    /// Writes the faults into a file, one JSON line each.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::create(file)?;
        for fault in self.all() {
            serde_json::to_writer(&mut file, &fault)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Injects the faults of a schedule, one after the other.
pub async fn inject_all(cluster: &mut Cluster, schedule: &[PlannedFault], log: &FaultLog) -> Result<(), Failure> {
    for fault in schedule {
        tokio::time::sleep(fault.after).await;
        inject(cluster, fault, log).await?;
    }
    Ok(())
}

/// Injects one fault and ends it.
async fn inject(cluster: &mut Cluster, fault: &PlannedFault, log: &FaultLog) -> Result<(), Failure> {
    use FaultKind as F;
    match fault.kind {
        F::Kill(service) | F::Pause(service) | F::Restart(service) => {
            inject_into_process(cluster, service, fault, log).await?;
        }
        F::KillNats => {
            let number = log.start("kill", "nats");
            cluster.nats.kill().await;
            tokio::time::sleep(fault.duration).await;
            cluster.nats.restart().await;
            log.end(number);
        }
        F::KillPostgres => {
            let number = log.start("kill", "postgres");
            cluster.postgres.kill().await;
            tokio::time::sleep(fault.duration).await;
            cluster.postgres.restart().await;
            log.end(number);
        }
        F::Smtp => inject_into_next_mail(cluster, fault, log),
        F::SmtpDown => {
            let number = log.start("down", "smtp");
            cluster.to_smtp.refuse_connections();
            tokio::time::sleep(fault.duration).await;
            cluster.to_smtp.heal();
            log.end(number);
        }
        F::ResetPostgres(service)
        | F::ResetNats(service)
        | F::LoseCommitReplies(service)
        | F::StallPostgres(service)
        | F::StallNats(service)
        | F::SlowPostgres(service)
        | F::DropAcks(service)
        | F::DropPublishAcks(service) => inject_into_connections(cluster, service, fault, log).await,
    }
    Ok(())
}

async fn inject_into_process(
    cluster: &mut Cluster,
    service: Service,
    fault: &PlannedFault,
    log: &FaultLog,
) -> Result<(), Failure> {
    let index = Cluster::index_of(service) * REPLICAS + fault.replica;
    let replica = &mut cluster.replicas[index];
    let name = replica.name();
    match fault.kind {
        FaultKind::Pause(_) => {
            let number = log.start("pause", &name);
            replica.pause();
            tokio::time::sleep(fault.duration).await;
            replica.resume();
            log.end(number);
        }
        FaultKind::Restart(_) => {
            let number = log.start("restart", &name);
            replica.terminate(Duration::from_secs(25)).await;
            replica.start().await?;
            log.end(number);
        }
        _ => {
            let number = log.start("kill", &name);
            replica.kill().await;
            tokio::time::sleep(fault.duration).await;
            replica.start().await?;
            log.end(number);
        }
    }
    Ok(())
}

async fn inject_into_connections(cluster: &Cluster, service: Service, fault: &PlannedFault, log: &FaultLog) {
    use FaultKind as F;
    let index = Cluster::index_of(service);
    let (postgres, nats) = (&cluster.to_postgres[index], &cluster.to_nats[index]);
    let (name, server) = match fault.kind {
        F::ResetPostgres(_) => ("reset", "postgres"),
        F::LoseCommitReplies(_) => ("lose-commit-replies", "postgres"),
        F::StallPostgres(_) => ("stall", "postgres"),
        F::SlowPostgres(_) => ("slow", "postgres"),
        F::ResetNats(_) => ("reset", "nats"),
        F::StallNats(_) => ("stall", "nats"),
        F::DropAcks(_) => ("drop-acks", "nats"),
        _ => ("drop-publish-acks", "nats"),
    };
    let number = log.start(name, &format!("{}-to-{server}", service.name()));
    match fault.kind {
        F::ResetPostgres(_) => postgres.reset_connections(),
        F::LoseCommitReplies(_) => postgres.lose_commit_replies(1 + (fault.random % 3) as u32),
        F::StallPostgres(_) => postgres.stall(),
        F::SlowPostgres(_) => postgres.set_latency(Duration::from_millis(5 + fault.random % 40)),
        F::ResetNats(_) => nats.reset_connections(),
        F::StallNats(_) => nats.stall(),
        F::DropAcks(_) => nats.drop_acks(500),
        _ => nats.drop_publish_acks(500),
    }
    tokio::time::sleep(fault.duration).await;
    postgres.heal();
    nats.heal();
    log.end(number);
}

fn inject_into_next_mail(cluster: &Cluster, fault: &PlannedFault, log: &FaultLog) {
    const STAGES: [SmtpStage; 8] = [
        SmtpStage::FinalDot,
        SmtpStage::Banner,
        SmtpStage::FinalDot,
        SmtpStage::Mail,
        SmtpStage::FinalDot,
        SmtpStage::Rcpt,
        SmtpStage::FinalDot,
        SmtpStage::Data,
    ];
    const FAULTS: [SmtpFault; 3] = [SmtpFault::Reset, SmtpFault::TemporaryError, SmtpFault::Hang];
    let stage = STAGES[(fault.random % STAGES.len() as u64) as usize];
    let kind = FAULTS[(fault.random / 8 % FAULTS.len() as u64) as usize];
    cluster.mail_sink.inject(stage, kind);
    let number = log.start(&format!("{stage:?}-{kind:?}").to_lowercase(), "smtp");
    log.end(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_reproduces_its_schedule() {
        let kinds = [kills(), minor_faults()].concat();
        let text = |seed| format!("{:?}", schedule(seed, &kinds, 60, 10..500));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn every_kind_comes_before_any_kind_comes_again() {
        let planned = schedule(3, &kills(), 6, 1..2);
        assert!(kills().iter().all(|kind| planned.iter().any(|fault| fault.kind == *kind)));
    }
}
