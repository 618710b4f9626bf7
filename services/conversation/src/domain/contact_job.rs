//! A job on all that is stored of a contact (rule X2): its erasure, or its export (`contact_export.rs`). A job outlives the contact.

use std::{collections::BTreeSet, time::Duration};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{ExportFile, TeamMember};

/// This service, among those that have a part in a job.
pub(super) const OWN: &str = "conversation";
/// The services that do their part after this one, by their names in events.
const OTHERS: [&str; 3] = ["assignment", "bot-session", "notification"];
/// How long after this service has erased its part a reader may get what it had read before: a result that streams share for 2 s, and
/// the last entries of a feed whose change notification was lost for 10 s.
pub(super) const READ_BEFORE: Duration = Duration::from_secs(13);

/// The services that have a part in a job.
pub(super) fn all_services() -> BTreeSet<String> {
    std::iter::once(OWN).chain(OTHERS).map(str::to_owned).collect()
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContactJobKind {
    Erasure,
    Export,
}

impl ContactJobKind {
    /// As rows spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "ERASURE",
            Self::Export => "EXPORT",
        }
    }
}

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContactJobStatus {
    Running,
    Done,
    /// Of an export alone.
    Failed,
}

impl ContactJobStatus {
    /// As rows spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Done => "DONE",
            Self::Failed => "FAILED",
        }
    }
}

/// A job on a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContactJob {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) contact_id: Uuid,
    pub(crate) kind: ContactJobKind,
    pub(crate) status: ContactJobStatus,
    /// Subject of the administrator who requested it.
    pub(crate) requested_by: String,
    /// The services that have not erased or delivered their part.
    pub(crate) missing_services: BTreeSet<String>,
    pub(crate) created_at: Time,
    /// When this service had erased its part. None: it has not, or the job is an export.
    pub(crate) own_part_done_at: Option<Time>,
    pub(crate) ended_at: Option<Time>,
    /// When a worker next looks at it. None: it waits for a service, or is done.
    pub(crate) due_at: Option<Time>,
    /// The file of an export. None: it has none, or none any more.
    pub(crate) file: Option<ExportFile>,
    /// Why the last attempt of an export failed, for people. Empty: none has.
    pub(crate) failure: String,
}

impl ContactJob {
    /// The erasure of a contact, which begins now.
    pub(crate) fn erasure(id: Uuid, account: AccountId, contact_id: Uuid, requested_by: &str, now: Time) -> Self {
        Self {
            id,
            account,
            contact_id,
            kind: ContactJobKind::Erasure,
            status: ContactJobStatus::Running,
            requested_by: requested_by.to_owned(),
            missing_services: all_services(),
            created_at: now,
            own_part_done_at: None,
            ended_at: None,
            due_at: Some(now),
            file: None,
            failure: String::new(),
        }
    }

    /// Who requested it, as the author of what it does.
    pub(crate) fn author(&self) -> TeamMember {
        TeamMember::Admin(self.requested_by.clone())
    }

    /// Whether this service still has something to erase.
    pub(crate) fn is_erasing(&self) -> bool {
        self.kind == ContactJobKind::Erasure
            && self.status == ContactJobStatus::Running
            && self.own_part_done_at.is_none()
    }

    /// This service has erased its part. Returns false, and changes nothing, when it had before.
    pub(crate) fn finish_own_part(&mut self, now: Time) -> bool {
        if !self.is_erasing() {
            return false;
        }
        self.missing_services.remove(OWN);
        self.own_part_done_at = Some(now);
        self.due_at = self.earliest_end();
        true
    }

    /// Another service has erased its part. Returns false, and changes nothing, when it had before.
    pub(crate) fn confirm(&mut self, service: &str) -> bool {
        if self.kind != ContactJobKind::Erasure || !self.missing_services.remove(service) {
            return false;
        }
        if self.missing_services.is_empty() {
            self.due_at = self.earliest_end();
        }
        true
    }

    /// Ends the job if every service has erased its part and no reader gets it any more. Returns whether it ended now.
    pub(crate) fn end(&mut self, now: Time) -> bool {
        if self.is_erasing() {
            return false;
        }
        if self.status == ContactJobStatus::Done {
            self.due_at = None;
            return false;
        }
        let earliest_end = self.earliest_end().filter(|_| self.missing_services.is_empty());
        // Without one it waits for the confirmation of a service.
        self.due_at = earliest_end;
        if earliest_end.is_none_or(|earliest| now < earliest) {
            return false;
        }
        (self.status, self.ended_at, self.due_at) = (ContactJobStatus::Done, Some(now), None);
        true
    }

    fn earliest_end(&self) -> Option<Time> {
        self.own_part_done_at.map(|done_at| done_at.plus(READ_BEFORE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> ContactJob {
        let [id, account, contact] = [1, 2, 3].map(Uuid::from_u128);
        ContactJob::erasure(id, AccountId(account), contact, "root", Time(0))
    }

    fn missing(job: &ContactJob) -> Vec<&str> {
        job.missing_services.iter().map(String::as_str).collect()
    }

    #[test]
    fn x2_an_erasure_ends_when_every_service_has_confirmed_and_no_reader_gets_what_it_read_before() {
        let mut job = job();
        assert_eq!(missing(&job), ["assignment", "bot-session", "conversation", "notification"]);
        assert!(!job.end(Time(i64::MAX)));
        assert!(job.finish_own_part(Time(5)) && !job.finish_own_part(Time(6)));
        let earliest = Time(5).plus(READ_BEFORE);
        assert_eq!((job.own_part_done_at, job.due_at), (Some(Time(5)), Some(earliest)));
        assert!(job.confirm("notification") && !job.confirm("notification"));
        assert!(!job.end(earliest) && job.due_at.is_none(), "two services are missing");
        assert!(job.confirm("assignment") && job.confirm("bot-session"));
        assert_eq!(job.due_at, Some(earliest));
        assert!(!job.end(earliest.minus(Duration::from_micros(1))));
        assert_eq!((job.status, job.due_at), (ContactJobStatus::Running, Some(earliest)));
        assert!(job.end(earliest) && !job.end(earliest));
        assert_eq!((job.status, job.ended_at, job.due_at), (ContactJobStatus::Done, Some(earliest), None));
    }

    #[test]
    fn x2_an_unknown_service_confirms_nothing() {
        let mut job = job();
        assert!(!job.confirm("elsewhere"));
        assert_eq!(job, self::job());
    }
}
