//! Where a service's database is.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

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

/// Parameters of a PostgreSQL address that name a file with certificates.
const CERTIFICATE_PARAMETERS: [&str; 5] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert"];

/// Why a text is no address of a database. It never quotes the text, which may contain a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another kind of database.
    #[error("it must begin with postgres:// (or sqlite:// for a file)")]
    Scheme,
    /// A password that would be taken for another part of the address.
    #[error(
        "in its user name and password these characters must be percent-encoded: / as %2F, ? as %3F, # as %23, @ as %40, : as %3A"
    )]
    Unescaped,
    /// Not an address.
    #[error("it must be like postgres://user:password@host:5432/database; {0}")]
    Syntax(url::ParseError),
}

impl DatabaseUrl {
    /// Whether the address can be used, as far as its text shows. The libraries below quote an address that they cannot read,
    /// with its password: they must not be asked before.
    pub fn check(&self) -> Result<(), AddressError> {
        if self.0.starts_with("sqlite:") { Ok(()) } else { self.parse().map(drop) }
    }

    /// The files with certificates that its parameters name, with the parameter.
    pub fn certificate_paths(&self) -> Vec<(String, PathBuf)> {
        let Ok(url) = self.parse() else { return Vec::new() };
        let pairs = url.query_pairs().filter(|(name, value)| {
            // A certificate itself may stand in the place of its path.
            CERTIFICATE_PARAMETERS.contains(&&**name) && !value.trim_start().starts_with("-----BEGIN")
        });
        pairs.map(|(name, value)| (name.into_owned(), PathBuf::from(value.into_owned()))).collect()
    }

    /// The parts of a PostgreSQL address.
    fn parse(&self) -> Result<Url, AddressError> {
        let (scheme, rest) = self.0.split_once("://").ok_or(AddressError::Scheme)?;
        if !["postgres", "postgresql"].contains(&scheme) {
            return Err(AddressError::Scheme);
        }
        let credentials = rest.rsplit_once('@').map_or("", |(credentials, _)| credentials);
        if rest.contains('#') || credentials.contains(['/', '?', '@']) || credentials.matches(':').count() > 1 {
            return Err(AddressError::Unescaped);
        }
        Url::parse(&self.0).map_err(AddressError::Syntax)
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() || self.0.starts_with("sqlite:") {
            return formatter.write_str(self.0.split('?').next().unwrap_or_default());
        }
        let Ok(url) = self.parse() else { return formatter.write_str("(hidden: not an address)") };
        let user = if url.username().is_empty() && url.password().is_none() { "" } else { "(hidden)@" };
        write!(formatter, "{}://{user}{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(formatter, ":{port}")?;
        }
        let parameters = if url.query().is_some() { "?(hidden)" } else { "" };
        write!(formatter, "{}{parameters}", url.path())
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
    #[test]
    fn an_address_with_a_mistake_is_refused_with_the_remedy_and_never_shows_its_password() {
        for (url, why) in [
            ("postgres://u:s3cret#pw@h:5432/d", AddressError::Unescaped),
            ("postgres://u:12#s3cret@h/d", AddressError::Unescaped),
            ("postgres://u:s3c?ret@h/d", AddressError::Unescaped),
            ("postgres://u:12/s3cret@h/d", AddressError::Unescaped),
            ("postgres://u:s3c@ret@h/d", AddressError::Unescaped),
            ("postgres://u:s3c:ret@h/d", AddressError::Unescaped),
            ("postgres://s3cret:x/d", AddressError::Syntax(url::ParseError::InvalidPort)),
            ("postgress://u:s3cret@h/d", AddressError::Scheme),
            ("u:s3cret@h/d", AddressError::Scheme),
        ] {
            let url = DatabaseUrl(url.into());
            let error = url.check().unwrap_err();
            assert_eq!(error, why);
            for shown in [format!("{url:?}"), error.to_string()] {
                assert!(!shown.contains("ret") && !shown.contains("s3c"), "{shown}");
            }
        }
        let with_files = DatabaseUrl("postgres://u@h/d?sslmode=verify-full&sslrootcert=/etc/pg%2Fca.pem".into());
        assert_eq!(with_files.certificate_paths(), [("sslrootcert".to_owned(), PathBuf::from("/etc/pg/ca.pem"))]);
        for url in
            ["postgres://u:s3cret%23@h/d?sslmode=require", "postgresql:///d?host=/run/postgresql", "sqlite://a.db"]
        {
            assert_eq!(DatabaseUrl(url.into()).check(), Ok(()));
        }
    }
}
