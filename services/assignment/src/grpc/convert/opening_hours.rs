//! Opening hours.

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_opening_hours::{DateException, Schedule, TimeRange, WeeklyRange};
use frontdesk_proto::assignment::v1 as pb;
use tonic::Status;

use super::counter;
use crate::domain::OpeningHours;

pub(crate) fn opening_hours(hours: &OpeningHours) -> pb::OpeningHours {
    pb::OpeningHours {
        id: hours.id.to_string(),
        name: hours.name.clone(),
        schedule: Some(schedule_to_proto(&hours.schedule)),
        create_time: Some(hours.created_at.to_proto()),
        update_time: Some(hours.updated_at.to_proto()),
        delete_time: hours.deleted_at.map(Time::to_proto),
        version: counter(hours.version),
        etag: hours.etag(),
    }
}

fn schedule_to_proto(schedule: &Schedule) -> pb::OpeningSchedule {
    let weekly = schedule.weekly_ranges.iter().map(|WeeklyRange { weekday, range }| pb::WeeklyRange {
        weekday: *weekday,
        start_minute: range.start,
        end_minute: range.end,
    });
    let exceptions = schedule.exceptions.iter().map(|exception| pb::DateException {
        date: exception.date.clone(),
        name: exception.name.clone(),
        ranges: exception.ranges.iter().map(range_to_proto).collect(),
    });
    pb::OpeningSchedule {
        time_zone: schedule.time_zone.clone(),
        weekly_ranges: weekly.collect(),
        exceptions: exceptions.collect(),
    }
}

fn range_to_proto(range: &TimeRange) -> pb::TimeRange {
    pb::TimeRange { start_minute: range.start, end_minute: range.end }
}

/// A schedule that compiles, or all that is wrong in it. The numbers of weekdays are those of the proto.
pub(crate) fn schedule(schedule: pb::OpeningSchedule) -> Result<Schedule, Status> {
    let weekly = schedule.weekly_ranges.into_iter().map(|weekly| WeeklyRange {
        weekday: weekly.weekday,
        range: TimeRange { start: weekly.start_minute, end: weekly.end_minute },
    });
    let exceptions = schedule.exceptions.into_iter().map(|exception| DateException {
        date: exception.date,
        name: exception.name,
        ranges: exception.ranges.into_iter().map(range).collect(),
    });
    let schedule =
        Schedule { time_zone: schedule.time_zone, weekly_ranges: weekly.collect(), exceptions: exceptions.collect() };
    match schedule.compile() {
        Ok(_) => Ok(schedule),
        Err(problems) => {
            let error = |problem: frontdesk_opening_hours::Problem| {
                FieldError::new(format!("schedule.{}", problem.path), problem.remedy)
            };
            Err(ApiError::fields(problems.into_iter().map(error).collect()).into())
        }
    }
}

fn range(range: pb::TimeRange) -> TimeRange {
    TimeRange { start: range.start_minute, end: range.end_minute }
}
