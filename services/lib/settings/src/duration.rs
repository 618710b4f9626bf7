//! Durations such as `30s` or `24h`: `#[serde(with = "frontdesk_settings::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

pub use humantime_serde::serialize;

/// Reads a duration; the error says how one is written.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime_serde::re::humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom("it must be a duration with a unit, such as 5s, 24h or 1h 30m"))
}
