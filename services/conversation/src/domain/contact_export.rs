//! The export of a contact: a job that writes all that is stored of the contact to one file (rule X2).

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{ContactJob, ContactJobKind, ContactJobStatus, contact_job::all_services};

/// How long the file of an export is kept, from the beginning of the attempt that wrote it.
pub(crate) const FILE_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long after its beginning an export is tried again.
const GIVE_UP_AFTER: Duration = Duration::from_secs(3600);
/// Pause after a failed attempt.
const RETRY_PAUSE: Duration = Duration::from_secs(15);

/// The file of an export, in the store of attachments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExportFile {
    /// The object that has its bytes.
    pub(crate) object: Uuid,
    /// Size in bytes.
    pub(crate) size: i64,
    /// SHA-256 of its bytes in hexadecimal digits.
    pub(crate) sha256: String,
    /// When it is removed.
    pub(crate) expires_at: Time,
}

impl ContactJob {
    /// The export of a contact, which begins now.
    pub(crate) fn export(id: Uuid, account: AccountId, contact_id: Uuid, requested_by: &str, now: Time) -> Self {
        Self { kind: ContactJobKind::Export, ..Self::erasure(id, account, contact_id, requested_by, now) }
    }

    /// Whether the file of the export is still to be written.
    pub(crate) fn is_exporting(&self) -> bool {
        self.kind == ContactJobKind::Export && self.status == ContactJobStatus::Running
    }

    /// An attempt begins: no service has delivered its part.
    pub(crate) fn begin_attempt(&mut self) {
        self.missing_services = all_services();
    }

    /// A service has delivered its part.
    pub(crate) fn deliver(&mut self, service: &str) {
        self.missing_services.remove(service);
    }

    /// The file is complete.
    pub(crate) fn finish_export(&mut self, file: ExportFile, now: Time) {
        self.missing_services.clear();
        self.failure.clear();
        (self.status, self.ended_at, self.due_at) = (ContactJobStatus::Done, Some(now), Some(file.expires_at));
        self.file = Some(file);
    }

    /// An attempt failed. Returns whether the export ends with it; else there is another one.
    pub(crate) fn fail_attempt(&mut self, failure: String, is_final: bool, now: Time) -> bool {
        self.failure = failure;
        let ends = is_final || now >= self.created_at.plus(GIVE_UP_AFTER);
        match ends {
            true => (self.status, self.ended_at, self.due_at) = (ContactJobStatus::Failed, Some(now), None),
            false => self.due_at = Some(now.plus(RETRY_PAUSE)),
        }
        ends
    }

    /// The contact is erased: an export in progress ends. A replica that writes its file has it until its claim ends, and `due_at` stays.
    /// Returns false, and changes nothing, when none was in progress.
    pub(crate) fn cancel_export(&mut self, now: Time) -> bool {
        if !self.is_exporting() {
            return false;
        }
        self.failure = "The contact was erased.".to_owned();
        (self.status, self.ended_at) = (ContactJobStatus::Failed, Some(now));
        true
    }

    /// Whether a replica may still write a file for the cancelled export.
    pub(crate) fn is_being_written(&self, now: Time) -> bool {
        self.status == ContactJobStatus::Failed && self.due_at.is_some_and(|due| due > now)
    }

    /// The file, unless its time is over.
    pub(crate) fn readable_file(&self, now: Time) -> Option<&ExportFile> {
        self.file.as_ref().filter(|file| now < file.expires_at)
    }

    /// The file is removed.
    pub(crate) fn forget_file(&mut self) {
        (self.file, self.due_at) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> ContactJob {
        let [id, account, contact] = [1, 2, 3].map(Uuid::from_u128);
        ContactJob::export(id, AccountId(account), contact, "root", Time(0))
    }

    fn file(expires_at: Time) -> ExportFile {
        ExportFile { object: Uuid::from_u128(4), size: 5, sha256: "6".into(), expires_at }
    }

    #[test]
    fn x2_an_export_ends_with_its_file_which_has_an_end() {
        let mut job = job();
        assert!(job.is_exporting() && !job.is_erasing() && !job.confirm("notification"));
        job.deliver("conversation");
        assert_eq!(job.missing_services.len(), 3);
        job.begin_attempt();
        assert_eq!(job.missing_services.len(), 4);
        job.finish_export(file(Time(20)), Time(10));
        assert_eq!((job.status, job.ended_at, job.due_at), (ContactJobStatus::Done, Some(Time(10)), Some(Time(20))));
        assert!(job.missing_services.is_empty() && !job.is_exporting());
        assert!(job.readable_file(Time(19)).is_some() && job.readable_file(Time(20)).is_none());
        job.forget_file();
        assert_eq!((job.status, &job.file, job.due_at), (ContactJobStatus::Done, &None, None));
    }

    #[test]
    fn x2_an_export_that_fails_is_tried_again_for_an_hour() {
        let mut job = job();
        assert!(!job.fail_attempt("no answer".into(), false, Time(1)));
        assert_eq!((job.status, job.due_at), (ContactJobStatus::Running, Some(Time(1).plus(RETRY_PAUSE))));
        assert!(job.clone().fail_attempt("gone".into(), true, Time(2)));
        let end = Time(0).plus(GIVE_UP_AFTER);
        assert!(job.fail_attempt("no answer".into(), false, end));
        assert_eq!((job.status, job.ended_at, job.due_at), (ContactJobStatus::Failed, Some(end), None));
        assert_eq!((job.failure.as_str(), job.missing_services.len()), ("no answer", 4));
    }

    #[test]
    fn x2_an_erasure_waits_for_the_replica_that_writes_the_file_of_an_export() {
        let mut job = job();
        job.due_at = Some(Time(30));
        assert!(job.cancel_export(Time(10)) && !job.cancel_export(Time(11)));
        assert!(job.is_being_written(Time(29)) && !job.is_being_written(Time(30)));
        let mut done = self::job();
        done.finish_export(file(Time(30)), Time(10));
        assert!(!done.cancel_export(Time(10)) && !done.is_being_written(Time(10)));
    }
}
