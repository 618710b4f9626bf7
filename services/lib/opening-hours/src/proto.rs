//! Schedules of the contract. The numbers of weekdays are the same.

use frontdesk_proto::assignment::v1 as pb;

use crate::{DateException, Schedule, TimeRange, WeeklyRange};

impl From<pb::OpeningSchedule> for Schedule {
    fn from(schedule: pb::OpeningSchedule) -> Self {
        let weekly = schedule.weekly_ranges.into_iter().map(|weekly| WeeklyRange {
            weekday: weekly.weekday,
            range: TimeRange { start: weekly.start_minute, end: weekly.end_minute },
        });
        let range = |range: pb::TimeRange| TimeRange { start: range.start_minute, end: range.end_minute };
        let exceptions = schedule.exceptions.into_iter().map(|exception| DateException {
            date: exception.date,
            name: exception.name,
            ranges: exception.ranges.into_iter().map(range).collect(),
        });
        Self { time_zone: schedule.time_zone, weekly_ranges: weekly.collect(), exceptions: exceptions.collect() }
    }
}

impl From<Schedule> for pb::OpeningSchedule {
    fn from(schedule: Schedule) -> Self {
        let weekly = schedule.weekly_ranges.into_iter().map(|WeeklyRange { weekday, range }| pb::WeeklyRange {
            weekday,
            start_minute: range.start,
            end_minute: range.end,
        });
        let range = |range: TimeRange| pb::TimeRange { start_minute: range.start, end_minute: range.end };
        let exceptions = schedule.exceptions.into_iter().map(|exception| pb::DateException {
            date: exception.date,
            name: exception.name,
            ranges: exception.ranges.into_iter().map(range).collect(),
        });
        Self { time_zone: schedule.time_zone, weekly_ranges: weekly.collect(), exceptions: exceptions.collect() }
    }
}
