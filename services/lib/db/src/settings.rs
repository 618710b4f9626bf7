//! Where a service's database is.

use serde::{Deserialize, Serialize};

/// Where a service's database is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbSettings {
    /// `sqlite://path/to/file` or `postgres://user:password@host/database`. Empty: a file in the data folder.
    pub url: DatabaseUrl,
    /// Maximum number of connections (PostgreSQL), 16 by default.
    pub max_connections: Option<u32>,
}

/// A database's address. Its `Debug` form and its serialised form hide the parts that may hold a password.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub String);

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password may stand before the host or among the parameters.
        let (address, parameters) =
            self.0.split_once('?').map_or((self.0.as_str(), ""), |(address, _)| (address, "?(hidden)"));
        match (address.split_once("://"), address.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => write!(formatter, "{scheme}://(hidden)@{host}{parameters}"),
            _ => write!(formatter, "{address}{parameters}"),
        }
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_a_password() {
        for (url, shown) in [
            ("postgres://ada:s3cret@db:5432/chat?password=s3cret", "postgres://(hidden)@db:5432/chat?(hidden)"),
            ("postgres://db/chat?password=s3cret", "postgres://db/chat?(hidden)"),
            ("sqlite://data/chat.db", "sqlite://data/chat.db"),
        ] {
            assert_eq!(format!("{:?}", DatabaseUrl(url.into())), shown);
        }
    }
}
