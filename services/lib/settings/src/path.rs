//! Paths: `#[serde(deserialize_with = "frontdesk_settings::path::required")]`.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a path that must not be empty.
pub fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() { Err(D::Error::custom("it must be a path, such as data")) } else { Ok(path) }
}
