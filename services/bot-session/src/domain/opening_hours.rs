//! Opening hours, as this service knows them: they belong to the assignment service.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_opening_hours::Schedule;
use jiff::Timestamp;
use uuid::Uuid;

/// The local copy of opening hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpeningHours {
    pub(crate) account: AccountId,
    pub(crate) id: Uuid,
    pub(crate) schedule: Schedule,
    pub(crate) deleted: bool,
    /// Version at their own service; the newer one wins.
    pub(crate) version: i64,
}

impl OpeningHours {
    /// Returns whether they are open. Deleted ones are, as a channel that named them is, and so are those in a time zone that this
    /// release does not know.
    pub(crate) fn are_open(&self, now: Time) -> bool {
        let calendar = self.schedule.compile().ok().filter(|_| !self.deleted);
        let (Some(calendar), Ok(now)) = (calendar, Timestamp::from_microsecond(now.0)) else { return true };
        calendar.at(now).open
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_opening_hours::{TimeRange, WeeklyRange};

    use super::*;

    #[test]
    fn a4_b6_hours_are_open_by_their_schedule_and_always_while_they_are_deleted() {
        let range = TimeRange { start: 0, end: 60 };
        let schedule = |time_zone: &str| Schedule {
            time_zone: time_zone.into(),
            weekly_ranges: (1..=7).map(|weekday| WeeklyRange { weekday, range }).collect(),
            exceptions: Vec::new(),
        };
        let (account, id) = (AccountId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let hours = OpeningHours { account, id, schedule: schedule("UTC"), deleted: false, version: 1 };
        let hour = 3_600_000_000;
        assert!(hours.are_open(Time(1)) && !hours.are_open(Time(hour)));
        assert!(OpeningHours { deleted: true, ..hours.clone() }.are_open(Time(hour)));
        assert!(OpeningHours { schedule: schedule("Mars/Olympus"), ..hours }.are_open(Time(hour)));
    }
}
