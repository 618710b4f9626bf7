//! Opening hours.

use frontdesk_api::{ApiError, FieldError};
use frontdesk_clock::Time;
use frontdesk_opening_hours::Schedule;
use frontdesk_proto::assignment::v1 as pb;
use tonic::Status;

use super::counter;
use crate::domain::OpeningHours;

pub(crate) fn opening_hours(hours: &OpeningHours) -> pb::OpeningHours {
    pb::OpeningHours {
        id: hours.id.to_string(),
        name: hours.name.clone(),
        schedule: Some(hours.schedule.clone().into()),
        create_time: Some(hours.created_at.to_proto()),
        update_time: Some(hours.updated_at.to_proto()),
        delete_time: hours.deleted_at.map(Time::to_proto),
        version: counter(hours.version),
        etag: hours.etag(),
    }
}

/// A schedule that compiles, or all that is wrong in it. The numbers of weekdays are those of the proto.
pub(crate) fn schedule(schedule: pb::OpeningSchedule) -> Result<Schedule, Status> {
    let schedule = Schedule::from(schedule);
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
