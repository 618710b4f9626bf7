//! Settings: defaults, then a TOML file, then the environment; each source overrides the previous ones.
//!
//! A setting `section.key` is `FRONTDESK__SECTION__KEY` in the environment; `FRONTDESK__SECTION__KEY_FILE` names a file that
//! contains the value, for secrets. A [`Secret`] is never printed. Start reading at [`load`].

use std::{collections::HashMap, path::Path};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// Durations such as `30s` or `24h`: `#[serde(with = "frontdesk_settings::duration")]`.
pub use humantime_serde as duration;

/// Prefix of the environment variables.
const PREFIX: &str = "FRONTDESK__";

/// Settings could not be read; the text names the setting and its source.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value has the wrong type, or a setting is unknown.
    #[error("settings: {0}")]
    Invalid(#[from] config::ConfigError),
    /// A `_FILE` variable names a file that cannot be read.
    #[error("settings: {variable} names {path}, which cannot be read: {source}")]
    SecretFile {
        /// The name of the variable.
        variable: String,
        /// The file that it names.
        path: String,
        /// Why the file cannot be read.
        source: std::io::Error,
    },
}

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
    Ok(builder.build()?.try_deserialize()?)
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

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct Section {
        host: String,
        password: Secret,
    }

    #[derive(Debug, Default, Deserialize, Serialize)]
    #[serde(default, deny_unknown_fields)]
    struct All {
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
    fn an_error_names_a_misspelt_setting() {
        let error = load::<All>(None, environment(&[("FRONTDESK__SMTP__HSOT", "h")])).unwrap_err().to_string();
        assert!(error.contains("hsot"), "{error}");
    }

    #[test]
    fn an_error_names_a_secret_file_that_cannot_be_read_and_its_variable() {
        let pair = ("FRONTDESK__SMTP__PASSWORD_FILE", "/does/not/exist");
        let error = load::<All>(None, environment(&[pair])).unwrap_err().to_string();
        assert!(error.contains(pair.0) && error.contains(pair.1), "{error}");
    }
}
