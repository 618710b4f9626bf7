//! The types of events that an endpoint chooses.

use crate::{App, error::NotificationError};

/// Refuses a name that no event has: an endpoint with it would wait in vain.
pub(crate) fn check_event_types(app: &App, names: &[String]) -> Result<(), NotificationError> {
    app.public_events.find_unknown(names).map_or(Ok(()), |unknown| {
        let description = format!("must be full names of public events; none is {unknown}");
        Err(NotificationError::Field { field: "event_types", description })
    })
}
