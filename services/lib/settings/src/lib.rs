//! Settings: defaults, then a TOML file, then the environment; each source overrides the previous ones.
//!
//! A setting `section.key` is `FRONTDESK__SECTION__KEY` in the environment; `FRONTDESK__SECTION__KEY_FILE` names a file that
//! contains the value, for secrets. A [`Secret`] is never printed. Start reading at [`load`].

use std::{collections::HashMap, path::Path};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

pub mod address;
mod credentials;
pub mod duration;
mod error;
pub mod list;
pub mod path;

pub use credentials::without_credentials;
pub use error::SettingsError;

/// Prefix of the environment variables.
const PREFIX: &str = "FRONTDESK__";

/// Reads the settings: `T`'s defaults, then `file` if one is given, then `environment`.
pub fn load<T>(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<T, SettingsError>
where
    T: DeserializeOwned,
{
    let mut builder = config::Config::builder();
    if let Some(file) = file {
        builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
    }
    let variables = variables(environment)?;
    let environment = config::Environment::with_prefix("FRONTDESK").prefix_separator("__").separator("__");
    builder = builder.add_source(environment.source(Some(variables)));
    let config = builder.build()?;
    let values = config.cache.clone();
    config.try_deserialize().map_err(|error| SettingsError::invalid(error, &values))
}

/// The variables that are settings, with the contents of the files that `_FILE` variables name.
fn variables(environment: impl Iterator<Item = (String, String)>) -> Result<HashMap<String, String>, SettingsError> {
    let mut variables = HashMap::new();
    for (name, value) in environment.filter(|(name, _)| name.starts_with(PREFIX)) {
        match name.strip_suffix("_FILE") {
            Some(setting) => {
                let text = std::fs::read_to_string(&value).map_err(|source| SettingsError::SecretFile {
                    variable: name.clone(),
                    path: value.clone(),
                    source,
                })?;
                variables.insert(setting.to_owned(), text.trim_end_matches(['\r', '\n']).to_owned());
            }
            None => {
                variables.insert(name, value);
            }
        }
    }
    Ok(variables)
}

/// A value that is never printed, neither in logs nor by `frontdesk config` nor by `{:?}`.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself. Call it only where the value is used.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it is not set.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if self.is_empty() { "(not set)" } else { "(hidden)" })
    }
}

/// Written as an empty text where it is not set, so that what is written can be read again.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { "(hidden)" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use super::*;

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        host: String,
        port: u16,
        password: Secret,
        #[serde(with = "duration")]
        timeout: Duration,
    }

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct All {
        #[serde(with = "address::optional")]
        listen: Option<SocketAddr>,
        #[serde(with = "address::unset", skip_serializing_if = "Option::is_none")]
        second: Option<Option<SocketAddr>>,
        #[serde(deserialize_with = "list::deserialize")]
        words: Vec<String>,
        size: usize,
        #[serde(deserialize_with = "path::required")]
        folder: std::path::PathBuf,
        smtp: Section,
    }

    fn environment(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_environment_overrides_the_file_and_secrets_stay_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let (file, secret) = (folder.path().join("a.toml"), folder.path().join("password"));
        std::fs::write(&file, "[smtp]\nhost = 'from file'\npassword = 'from file'").unwrap();
        std::fs::write(&secret, "s3cret\n").unwrap();
        let all: All = load(
            Some(&file),
            environment(&[
                ("FRONTDESK__SMTP__HOST", "h"),
                ("FRONTDESK__SMTP__PASSWORD_FILE", secret.to_str().unwrap()),
            ]),
        )
        .unwrap();
        assert_eq!((all.smtp.host.as_str(), all.smtp.password.expose()), ("h", "s3cret"));
        let shown = format!("{all:?} {}", toml::to_string(&all).unwrap());
        assert!(shown.contains("(hidden)") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn an_error_names_a_misspelt_setting_and_its_source() {
        let error = load::<All>(None, environment(&[("FRONTDESK__SMTP__HSOT", "h")])).unwrap_err().to_string();
        assert!(error.contains("smtp.hsot") && error.contains("(FRONTDESK__SMTP__HSOT)"), "{error}");
        let error = load::<All>(None, environment(&[("FRONTDESK__SMTP__PASWORD", "s3cret")])).unwrap_err().to_string();
        assert!(error.contains("smtp.pasword") && !error.contains("s3cret"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "[smtp]\nhsot = 'h'").unwrap();
        let error = load::<All>(Some(&file), environment(&[])).unwrap_err().to_string();
        assert!(error.contains("smtp.hsot") && error.contains("a.toml)"), "{error}");
    }

    #[test]
    fn an_error_of_a_value_names_the_setting_its_value_its_source_and_the_remedy() {
        for (name, value, parts) in [
            ("LISTEN", "localhost:7700", ["listen = \"localhost:7700\"", "such as 127.0.0.1:7700"]),
            ("SMTP__TIMEOUT", "5", ["smtp.timeout = \"5\"", "such as 5s"]),
            ("SMTP__PORT", "many", ["smtp.port = \"many\"", "it must be a whole number"]),
        ] {
            let name = format!("FRONTDESK__{name}");
            let error = load::<All>(None, environment(&[(&name, value)])).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            assert!(error.contains(&format!("({name})")), "{error}");
        }
    }

    #[test]
    fn an_empty_optional_address_is_none() {
        let all: All = load(None, environment(&[("FRONTDESK__LISTEN", "")])).unwrap();
        assert_eq!(all.listen, None);
        assert!(toml::to_string(&all).unwrap().contains("listen = \"\""));
    }

    #[test]
    fn an_address_may_be_unset_or_none() {
        let read = |pairs: &[(&str, &str)]| load::<All>(None, environment(pairs)).unwrap();
        assert_eq!(read(&[]).second, None);
        assert!(!toml::to_string(&read(&[])).unwrap().contains("second"));
        assert_eq!(read(&[("FRONTDESK__SECOND", "")]).second, Some(None));
        let set = read(&[("FRONTDESK__SECOND", "127.0.0.1:1")]);
        assert_eq!(set.second, Some(Some("127.0.0.1:1".parse().unwrap())));
        assert!(toml::to_string(&set).unwrap().contains("second = \"127.0.0.1:1\""));
    }

    #[test]
    fn a_list_is_a_list_in_the_file_and_one_text_in_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "words = ['a', 'b']").unwrap();
        let read = |pairs: &[(&str, &str)]| load::<All>(Some(&file), environment(pairs)).map(|all| all.words);
        assert_eq!(read(&[]).unwrap(), ["a", "b"]);
        assert_eq!(read(&[("FRONTDESK__WORDS", "c, d")]).unwrap(), ["c", "d"]);
        assert_eq!(read(&[("FRONTDESK__WORDS", "")]).unwrap(), [""; 0]);
        std::fs::write(&file, "words = 1").unwrap();
        let error = load::<All>(Some(&file), environment(&[])).unwrap_err().to_string();
        assert!(error.contains("words = 1") && error.contains("commas"), "{error}");
    }

    #[test]
    fn an_error_of_a_section_names_its_source_and_says_that_it_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        for (text, parts) in [
            ("[smpt]\nhost = 'h'", ["smpt (", "a.toml): there is no such setting"]),
            ("smtp = 1", ["smtp = 1 (", "a.toml): it is a section: set the settings in it"]),
            ("[smtp]\nport = -1", ["smtp.port = -1 (", "a.toml): it must be a whole number of at least 0"]),
            ("[smtp]\nport = 70000", ["smtp.port = 70000 (", "a.toml): it must be a smaller whole number"]),
            ("size = -1", ["size = -1 (", "a.toml): it must be a whole number of at least 0"]),
            ("folder = ''", ["folder = \"\" (", "a.toml): it must be a path"]),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = load::<All>(Some(&file), environment(&[])).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        for (name, value, parts) in [
            ("SMPT__HOST", "h", ["smpt (FRONTDESK__SMPT", "there is no such setting"]),
            ("SMTP", "", ["smtp = \"\" (FRONTDESK__SMTP)", "it is a section"]),
            (
                "SMTP__PORT",
                "-1",
                ["smtp.port = \"-1\" (FRONTDESK__SMTP__PORT)", "it must be a whole number of at least 0"],
            ),
            ("SIZE", "-1", ["size = \"-1\" (FRONTDESK__SIZE)", "it must be a whole number of at least 0"]),
        ] {
            let error =
                load::<All>(None, environment(&[(&format!("FRONTDESK__{name}"), value)])).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn an_error_names_a_secret_file_that_cannot_be_read_and_its_variable() {
        let pair = ("FRONTDESK__SMTP__PASSWORD_FILE", "/does/not/exist");
        let error = load::<All>(None, environment(&[pair])).unwrap_err().to_string();
        assert!(error.contains(pair.0) && error.contains(pair.1), "{error}");
    }
    #[test]
    fn an_error_quotes_neither_a_line_of_the_file_nor_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "[smtp]\npassword = \"s3cret").unwrap();
        let error = load::<All>(Some(&file), environment(&[])).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("a.toml") && !error.contains("s3cret"), "{error}");
        let pair = ("FRONTDESK__SMTP", "smtp://ada:s3cret@mail");
        let error = load::<All>(None, environment(&[pair])).unwrap_err().to_string();
        assert!(error.contains("(FRONTDESK__SMTP)") && !error.contains("s3cret"), "{error}");
    }
}
