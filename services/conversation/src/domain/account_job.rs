//! The end of an account, as a job: it is suspended everywhere, exported to a file, and after a time erased everywhere (rule X2). The job
//! outlives what it erases.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{
    ExportFile,
    contact_job::{OWN, READ_BEFORE, all_services},
};

/// How long after the last service has suspended the account what was running before has ended: a call is admitted by a state that is at
/// most 5 s old, and its work is limited to less than the rest.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// Pause after a failed attempt of the export.
const RETRY_PAUSE: Duration = Duration::from_secs(15);
/// Duration of a replica's claim of a job, from the beginning of its work or the last renewal.
pub(crate) const ACCOUNT_JOB_CLAIM: Duration = Duration::from_secs(30);
/// Time between the export and the erasure unless the request says.
pub(crate) const DEFAULT_ERASE_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The status of the end of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountJobStatus {
    Suspending,
    Exporting,
    Waiting,
    Erasing,
    Done,
    Cancelled,
}

impl AccountJobStatus {
    /// As rows spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Suspending => "SUSPENDING",
            Self::Exporting => "EXPORTING",
            Self::Waiting => "WAITING",
            Self::Erasing => "ERASING",
            Self::Done => "DONE",
            Self::Cancelled => "CANCELLED",
        }
    }
}

/// The end of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountJob {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) status: AccountJobStatus,
    /// Subject of the administrator who requested it.
    pub(crate) requested_by: String,
    /// The services that have not suspended, delivered or erased their part.
    pub(crate) missing_services: BTreeSet<String>,
    /// Version of the account's state that services confirm.
    pub(crate) state_version: i64,
    pub(crate) created_at: Time,
    /// Time between the end of the export and the erasure.
    pub(crate) erase_delay: Duration,
    /// When the erasure begins. None: the file is not complete.
    pub(crate) erase_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
    /// When a worker next looks at it. None: it waits for a service, or has ended.
    pub(crate) due_at: Option<Time>,
    /// The file of the export, until the erasure begins.
    pub(crate) file: Option<ExportFile>,
    /// Why the last attempt of the export failed, for people. Empty: none has.
    pub(crate) failure: String,
}

impl AccountJob {
    /// The end of an account, which begins now: this service has suspended it as the state with this version.
    pub(crate) fn new(
        id: Uuid,
        account: AccountId,
        requested_by: &str,
        erase_delay: Duration,
        state_version: i64,
        now: Time,
    ) -> Self {
        let mut job = Self {
            id,
            account,
            status: AccountJobStatus::Suspending,
            requested_by: requested_by.to_owned(),
            missing_services: all_services(),
            state_version,
            created_at: now,
            erase_delay,
            erase_at: None,
            ended_at: None,
            due_at: None,
            file: None,
            failure: String::new(),
        };
        job.missing_services.remove(OWN);
        job
    }

    /// A service has confirmed the state with this version. Returns false, and changes nothing, when it had before, or another state is
    /// awaited.
    pub(crate) fn confirm(&mut self, service: &str, state_version: i64, now: Time) -> bool {
        let wait = match self.status {
            AccountJobStatus::Suspending => SETTLED_AFTER,
            AccountJobStatus::Erasing => READ_BEFORE,
            _ => return false,
        };
        if state_version != self.state_version || !self.missing_services.remove(service) {
            return false;
        }
        if self.missing_services.is_empty() {
            self.due_at = Some(now.plus(wait));
        }
        true
    }

    /// Whether the file is still to be written, or its next attempt can begin.
    pub(crate) fn is_exporting(&self) -> bool {
        self.status == AccountJobStatus::Exporting
    }

    /// An attempt of the export begins, in which no service has delivered its part. False: nothing is to be exported now.
    pub(crate) fn begin_attempt(&mut self) -> bool {
        let is_suspended = self.status == AccountJobStatus::Suspending && self.missing_services.is_empty();
        if !is_suspended && !self.is_exporting() {
            return false;
        }
        self.status = AccountJobStatus::Exporting;
        self.missing_services = all_services();
        true
    }

    /// A service has delivered its part.
    pub(crate) fn deliver(&mut self, service: &str) {
        self.missing_services.remove(service);
    }

    /// When links in a file whose attempt begins now expire: not before the erasure, which begins after the attempt.
    pub(crate) fn links_until(&self, now: Time) -> Time {
        now.plus(self.erase_delay).plus(DEFAULT_ERASE_DELAY)
    }

    /// The file is complete.
    pub(crate) fn finish_export(&mut self, mut file: ExportFile, now: Time) {
        let erase_at = now.plus(self.erase_delay);
        file.expires_at = erase_at;
        self.failure.clear();
        self.missing_services.clear();
        (self.status, self.erase_at, self.due_at) = (AccountJobStatus::Waiting, Some(erase_at), Some(erase_at));
        self.file = Some(file);
    }

    /// An attempt failed: there is another one.
    pub(crate) fn fail_attempt(&mut self, failure: String, now: Time) {
        self.failure = failure;
        self.due_at = Some(now.plus(RETRY_PAUSE));
    }

    /// Whether the erasure can begin.
    pub(crate) fn is_to_be_erased(&self, now: Time) -> bool {
        self.status == AccountJobStatus::Waiting && self.erase_at.is_some_and(|erase_at| now >= erase_at)
    }

    /// The erasure begins, as the state with this version.
    pub(crate) fn begin_erasure(&mut self, state_version: i64) {
        self.status = AccountJobStatus::Erasing;
        self.state_version = state_version;
        self.missing_services = all_services();
        (self.file, self.due_at) = (None, None);
    }

    /// Ends the job if every service has erased its part, at the time for which [`Self::confirm`] made it due.
    pub(crate) fn end(&mut self, now: Time) -> bool {
        let is_over = self.status == AccountJobStatus::Erasing && self.missing_services.is_empty();
        if !is_over || self.due_at.is_none_or(|due| now < due) {
            return false;
        }
        (self.status, self.ended_at, self.due_at) = (AccountJobStatus::Done, Some(now), None);
        true
    }

    /// Whether it can be cancelled: nothing is erased yet.
    pub(crate) fn is_cancellable(&self) -> bool {
        use AccountJobStatus as S;
        matches!(self.status, S::Suspending | S::Exporting | S::Waiting)
    }

    /// Cancels it. What was written of the file is removed when no replica writes it any more.
    pub(crate) fn cancel(&mut self, now: Time) {
        self.missing_services.clear();
        (self.file, self.erase_at) = (None, None);
        self.due_at = Some(now.plus(ACCOUNT_JOB_CLAIM));
        (self.status, self.ended_at) = (AccountJobStatus::Cancelled, Some(now));
    }

    /// The file, unless its time is over.
    pub(crate) fn readable_file(&self, now: Time) -> Option<&ExportFile> {
        self.file.as_ref().filter(|file| now < file.expires_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn job() -> AccountJob {
        let [id, account] = [1, 2].map(Uuid::from_u128);
        AccountJob::new(id, AccountId(account), "root", DAY, 1, Time(0))
    }

    fn file() -> ExportFile {
        ExportFile { object: Uuid::from_u128(4), size: 5, sha256: "6".into(), expires_at: Time(0) }
    }

    fn suspended() -> AccountJob {
        let mut job = job();
        for service in ["assignment", "bot-session", "notification"] {
            assert!(job.confirm(service, 1, Time(10)));
        }
        job
    }

    #[test]
    fn x2_an_account_is_exported_when_every_service_has_suspended_it_and_nothing_runs_any_more() {
        let mut job = job();
        assert!(!job.begin_attempt() && job.due_at.is_none(), "three services are missing");
        assert!(job.confirm("assignment", 1, Time(5)) && !job.confirm("assignment", 1, Time(6)));
        assert!(!job.confirm("elsewhere", 1, Time(6)) && !job.confirm("notification", 3, Time(6)));
        let mut job = suspended();
        assert_eq!(job.due_at, Some(Time(10).plus(SETTLED_AFTER)));
        assert!(job.begin_attempt() && job.begin_attempt(), "an attempt is repeated");
        assert_eq!((job.status, job.missing_services.len()), (AccountJobStatus::Exporting, 4));
        job.fail_attempt("no answer".into(), Time(20));
        assert_eq!(job.due_at, Some(Time(20).plus(RETRY_PAUSE)));
    }

    #[test]
    fn x2_nothing_of_an_account_is_erased_before_its_file_could_be_fetched() {
        let mut job = suspended();
        job.begin_attempt();
        assert!(!job.is_to_be_erased(Time(i64::MAX)));
        job.finish_export(file(), Time(100));
        let erase_at = Time(100).plus(DAY);
        assert_eq!((job.status, job.erase_at, job.due_at), (AccountJobStatus::Waiting, Some(erase_at), Some(erase_at)));
        let before = erase_at.minus(Duration::from_micros(1));
        assert!(job.readable_file(before).is_some() && job.readable_file(erase_at).is_none());
        assert!(!job.is_to_be_erased(before) && job.is_to_be_erased(erase_at));
    }

    #[test]
    fn x2_the_end_of_an_account_is_done_when_every_service_has_erased_its_part() {
        let mut job = suspended();
        job.begin_attempt();
        job.finish_export(file(), Time(100));
        job.begin_erasure(3);
        assert!(job.file.is_none() && job.missing_services.len() == 4);
        assert!(!job.confirm("assignment", 1, Time(200)), "it confirms the state before");
        for service in ["assignment", "bot-session", "notification", "conversation"] {
            assert!(!job.end(Time(i64::MAX)) && job.confirm(service, 3, Time(200)));
        }
        let end = Time(200).plus(READ_BEFORE);
        assert!(!job.end(end.minus(Duration::from_micros(1))) && job.end(end) && !job.end(end));
        assert_eq!((job.status, job.ended_at, job.due_at), (AccountJobStatus::Done, Some(end), None));
    }

    #[test]
    fn x2_the_end_of_an_account_can_be_cancelled_until_the_erasure_begins() {
        let mut job = suspended();
        assert!(job.is_cancellable());
        job.begin_attempt();
        assert!(job.is_cancellable());
        job.finish_export(file(), Time(100));
        let mut erased = job.clone();
        erased.begin_erasure(3);
        assert!(job.is_cancellable() && !erased.is_cancellable());
        job.cancel(Time(101));
        let removal = Some(Time(101).plus(ACCOUNT_JOB_CLAIM));
        assert_eq!((job.status, job.due_at, &job.file), (AccountJobStatus::Cancelled, removal, &None));
        assert!(!job.is_cancellable() && !job.begin_attempt() && !job.is_to_be_erased(Time(i64::MAX)));
        assert!(!job.confirm("notification", 1, Time(102)));
    }
}
