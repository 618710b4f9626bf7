//! Conversion of inactivity timeouts. In requests an unset one is not the same as none.

use std::time::Duration;

use frontdesk_proto::botsession::v1::{NoTimeout, bot, create_bot_request, update_bot_request};

use crate::domain::{DEFAULT_TIMEOUT, InactivityTimeout};

/// Returns the timeout of a bot to create: the default one unless the request sets it.
pub(in crate::grpc) fn timeout_to_create(inactivity: Option<create_bot_request::Inactivity>) -> InactivityTimeout {
    match inactivity {
        Some(create_bot_request::Inactivity::InactivityTimeout(timeout)) => Some(from_proto(timeout)),
        Some(create_bot_request::Inactivity::NoTimeout(NoTimeout {})) => None,
        None => Some(DEFAULT_TIMEOUT),
    }
}

/// Returns the new timeout of a bot. None: the request does not set it.
pub(in crate::grpc) fn timeout_to_update(
    inactivity: Option<update_bot_request::Inactivity>,
) -> Option<InactivityTimeout> {
    match inactivity? {
        update_bot_request::Inactivity::InactivityTimeout(timeout) => Some(Some(from_proto(timeout))),
        update_bot_request::Inactivity::NoTimeout(NoTimeout {}) => Some(None),
    }
}

pub(super) fn inactivity_to_proto(timeout: InactivityTimeout) -> bot::Inactivity {
    match timeout_to_proto(timeout) {
        Some(timeout) => bot::Inactivity::InactivityTimeout(timeout),
        None => bot::Inactivity::NoTimeout(NoTimeout {}),
    }
}

pub(super) fn timeout_to_proto(timeout: InactivityTimeout) -> Option<prost_types::Duration> {
    timeout.and_then(|timeout| prost_types::Duration::try_from(timeout).ok())
}

/// Reads a timeout that passed the checks of its field, in whole microseconds: what is compared is what is stored.
fn from_proto(timeout: prost_types::Duration) -> Duration {
    let micros = Duration::try_from(timeout).ok().and_then(|timeout| u64::try_from(timeout.as_micros()).ok());
    micros.map_or(DEFAULT_TIMEOUT, Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b2_a_timeout_is_set_in_whole_microseconds_or_switched_off_or_left_as_it_is() {
        let odd = prost_types::Duration { seconds: 60, nanos: 1_999 };
        let set = update_bot_request::Inactivity::InactivityTimeout(odd);
        assert_eq!(timeout_to_update(Some(set)), Some(Some(Duration::new(60, 1_000))));
        let off = update_bot_request::Inactivity::NoTimeout(NoTimeout {});
        assert_eq!((timeout_to_update(Some(off)), timeout_to_update(None)), (Some(None), None));
        let off = create_bot_request::Inactivity::NoTimeout(NoTimeout {});
        assert_eq!((timeout_to_create(Some(off)), timeout_to_create(None)), (None, Some(DEFAULT_TIMEOUT)));
    }
}
