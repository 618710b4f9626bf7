//! Opening hours, as this service knows them: they belong to the assignment service.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_opening_hours::{Schedule, State};
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

/// Whether a channel is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenState {
    pub(crate) open: bool,
    /// When that changes next. None: never.
    pub(crate) next_change: Option<Time>,
}

impl OpenState {
    /// That of a channel without opening hours.
    pub(crate) const ALWAYS: Self = Self { open: true, next_change: None };

    /// That of a channel with these opening hours. Deleted ones count as none, and so do those in a time zone that this release does not
    /// know.
    pub(crate) fn new(hours: &OpeningHours, now: Time) -> Self {
        let calendar = hours.schedule.compile().ok().filter(|_| !hours.deleted);
        let (Some(calendar), Ok(now)) = (calendar, Timestamp::from_microsecond(now.0)) else { return Self::ALWAYS };
        let State { open, next_change } = calendar.at(now);
        Self { open, next_change: next_change.map(|change| Time(change.as_microsecond())) }
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_opening_hours::{TimeRange, WeeklyRange};

    use super::*;

    fn hours(time_zone: &str) -> OpeningHours {
        let range = TimeRange { start: 0, end: 60 };
        let weekly_ranges = (1..=7).map(|weekday| WeeklyRange { weekday, range }).collect();
        OpeningHours {
            account: AccountId(Uuid::from_u128(1)),
            id: Uuid::from_u128(2),
            schedule: Schedule { time_zone: time_zone.into(), weekly_ranges, exceptions: Vec::new() },
            deleted: false,
            version: 1,
        }
    }

    #[test]
    fn a4_a_channel_is_open_by_its_opening_hours_and_always_while_they_are_deleted() {
        let (open, hour) = (hours("UTC"), 3_600_000_000);
        assert_eq!(OpenState::new(&open, Time(1)), OpenState { open: true, next_change: Some(Time(hour)) });
        assert_eq!(OpenState::new(&open, Time(hour)), OpenState { open: false, next_change: Some(Time(24 * hour)) });
        for none in [OpeningHours { deleted: true, ..open }, hours("Mars/Olympus")] {
            assert_eq!(OpenState::new(&none, Time(hour)), OpenState::ALWAYS);
        }
    }
}
