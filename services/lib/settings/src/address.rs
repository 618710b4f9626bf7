//! Addresses of listeners, such as `127.0.0.1:7700`: `#[serde(with = "frontdesk_settings::address")]`.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes the address.
pub fn serialize<S: Serializer>(address: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

/// Reads an address; the error says how one is written.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(deserializer)?)
}

fn parse<E: Error>(text: &str) -> Result<SocketAddr, E> {
    text.parse().map_err(|_| E::custom("it must be an IP address with a port, such as 127.0.0.1:7700"))
}

/// An address that may be unset, or set to none with an empty text:
/// `#[serde(with = "frontdesk_settings::address::unset", default, skip_serializing_if = "Option::is_none")]`.
pub mod unset {
    use super::{Deserializer, Serializer, SocketAddr, optional};

    /// Writes the address, or an empty text.
    pub fn serialize<S: Serializer>(address: &Option<Option<SocketAddr>>, serializer: S) -> Result<S::Ok, S::Error> {
        optional::serialize(&address.flatten(), serializer)
    }

    /// Reads an address, or an empty text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<SocketAddr>>, D::Error> {
        optional::deserialize(deserializer).map(Some)
    }
}

/// An optional address, for which an empty text stands for none:
/// `#[serde(with = "frontdesk_settings::address::optional")]`.
pub mod optional {
    use super::{Deserialize, Deserializer, Serializer, SocketAddr, parse};

    /// Writes the address, or an empty text.
    pub fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        match address {
            Some(address) => serializer.collect_str(address),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads an address, or an empty text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" => Ok(None),
            text => parse::<D::Error>(text).map(Some),
        }
    }
}
