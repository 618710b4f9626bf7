//! Opening hours: when the team works (rule A4).

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_opening_hours::{Schedule, State};
use jiff::Timestamp;
use uuid::Uuid;

use super::Rejection;

/// Opening hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpeningHours {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    /// A schedule that compiles.
    pub(crate) schedule: Schedule,
    /// Number of the opening hours' events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    /// When they were last changed.
    pub(crate) updated_at: Time,
    /// None: they are not deleted.
    pub(crate) deleted_at: Option<Time>,
}

/// New values of an edit. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpeningHoursChange {
    pub(crate) name: Option<String>,
    pub(crate) schedule: Option<Schedule>,
}

impl OpeningHours {
    /// Returns a value that changes with every change of the opening hours.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the opening hours; an empty `etag` edits unconditionally. Returns whether anything changed: the repeat of an edit that took
    /// effect changes nothing, and succeeds whatever its etag (rule C12).
    pub(crate) fn update(&mut self, change: OpeningHoursChange, etag: &str, now: Time) -> Result<bool, Rejection> {
        if self.deleted_at.is_some() {
            return Err(Rejection::OpeningHoursDeleted);
        }
        let name = change.name.unwrap_or_else(|| self.name.clone());
        let schedule = change.schedule.unwrap_or_else(|| self.schedule.clone());
        if (&name, &schedule) == (&self.name, &self.schedule) {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(Rejection::EtagMismatch("opening hours"));
        }
        (self.name, self.schedule) = (name, schedule);
        self.changed(now);
        Ok(true)
    }

    /// Deletes the opening hours. Returns false when they are deleted already.
    pub(crate) fn delete(&mut self, now: Time) -> bool {
        if self.deleted_at.is_some() {
            return false;
        }
        self.deleted_at = Some(now);
        self.changed(now);
        true
    }

    /// Undoes the deletion. Returns false when they are not deleted.
    pub(crate) fn undelete(&mut self, now: Time) -> bool {
        if self.deleted_at.take().is_none() {
            return false;
        }
        self.changed(now);
        true
    }

    /// Returns whether it is open now, and when that changes. Deleted opening hours count as none, and so do those in a time zone that
    /// this release does not know: it is always open.
    pub(crate) fn state(&self, now: Time) -> (bool, Option<Time>) {
        let calendar = self.schedule.compile().ok().filter(|_| self.deleted_at.is_none());
        let (Some(calendar), Ok(now)) = (calendar, Timestamp::from_microsecond(now.0)) else { return (true, None) };
        let State { open, next_change } = calendar.at(now);
        (open, next_change.map(|change| Time(change.as_microsecond())))
    }

    fn changed(&mut self, now: Time) {
        self.version += 1;
        self.updated_at = self.updated_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn office() -> OpeningHours {
        OpeningHours {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(9)),
            name: "Office".into(),
            schedule: Schedule { time_zone: "Europe/Rome".into(), ..Schedule::default() },
            version: 1,
            created_at: Time(0),
            updated_at: Time(0),
            deleted_at: None,
        }
    }

    fn rename(name: &str) -> OpeningHoursChange {
        OpeningHoursChange { name: Some(name.into()), ..OpeningHoursChange::default() }
    }

    #[test]
    fn c12_an_edit_whose_content_is_there_succeeds_whatever_its_etag() {
        let mut hours = office();
        assert_eq!(hours.update(rename("Office"), "7", Time(1)), Ok(false));
        let moved = Schedule { time_zone: "Europe/Berlin".into(), ..Schedule::default() };
        let change = OpeningHoursChange { schedule: Some(moved), ..OpeningHoursChange::default() };
        assert_eq!(hours.update(change.clone(), "1", Time(2)), Ok(true));
        assert_eq!((hours.name.as_str(), hours.version, hours.updated_at), ("Office", 2, Time(2)));
        assert_eq!(hours.update(change, "1", Time(3)), Ok(false), "a repeat with the old etag");
        assert_eq!(hours.update(rename("Shop"), "1", Time(3)), Err(Rejection::EtagMismatch("opening hours")));
        assert_eq!(hours.update(rename("Shop"), "2", Time(3)), Ok(true));
    }

    #[test]
    fn a4_deleted_opening_hours_are_not_edited_until_they_are_undeleted() {
        let mut hours = office();
        assert!(!hours.undelete(Time(1)), "not deleted");
        assert!(hours.delete(Time(2)));
        assert!(!hours.delete(Time(3)), "a repeat changes nothing");
        assert_eq!((hours.version, hours.updated_at, hours.deleted_at), (2, Time(2), Some(Time(2))));
        assert_eq!(hours.update(rename("Shop"), "", Time(3)), Err(Rejection::OpeningHoursDeleted));
        assert!(hours.undelete(Time(4)));
        assert_eq!((hours.version, hours.updated_at, hours.deleted_at), (3, Time(4), None));
        assert_eq!(hours.update(rename("Shop"), "", Time(5)), Ok(true));
    }
}
