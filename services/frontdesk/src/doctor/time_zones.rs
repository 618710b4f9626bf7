//! The time zone data of the program.

use chrono::Datelike;
use frontdesk_clock::Clock;

use super::Finding;

/// Age of the data from which there is a warning, in years.
const OLD: i32 = 2;

pub(super) fn check(clock: &Clock) -> Vec<Finding> {
    let year = clock.now().minus(clock.offset()).to_utc().year();
    vec![judge(frontdesk_time_zone::version(), year)]
}

/// Judges a release of the data, such as `2026f`, in this year.
fn judge(release: &str, year: i32) -> Finding {
    let subject = "IANA time zones";
    let of_release: i32 = release.chars().take(4).collect::<String>().parse().unwrap_or(0);
    if year - of_release >= OLD {
        let wrong = format!("release {release} is old: zones that changed since have wrong times");
        return Finding::warning(subject, wrong, "install a newer version of Frontdesk");
    }
    Finding::ok(subject, format!("release {release}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn t6_old_data_of_time_zones_is_noticed() {
        for (release, state) in
            [("2026f", State::Ok), ("2025b", State::Ok), ("2024a", State::Warning), ("", State::Warning)]
        {
            assert_eq!(judge(release, 2026).state, state, "{release}");
        }
    }
}
