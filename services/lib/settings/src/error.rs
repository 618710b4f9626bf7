//! Errors of settings, with the setting, its value and its source.

use config::{ConfigError, Value, ValueKind};

use crate::PREFIX;

/// Settings could not be read. The text names the setting, and the file or the environment variable that it is from.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read, or is not TOML.
    #[error("settings: {}", without_quotation(&.0.to_string()))]
    File(#[from] config::ConfigError),
    /// A value cannot be used, or a setting is unknown.
    #[error("settings: {setting}{origin}: {problem}")]
    Invalid {
        /// The setting with its value, such as `listen = "localhost"`; the value is absent where it has several parts.
        setting: String,
        /// The file or the environment variable in brackets; empty where it is unknown.
        origin: String,
        /// What is wrong with the setting.
        problem: String,
    },
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

impl SettingsError {
    /// The error of deserializing `values`.
    pub(crate) fn invalid(error: ConfigError, values: &Value) -> Self {
        let (key, problem) = match error {
            ConfigError::At { error, key: Some(key), .. } => (key, error.to_string()),
            ConfigError::Type { key: Some(key), expected, .. } => (key, format!("it must be {expected}")),
            other => (String::new(), other.to_string()),
        };
        // The name of an unknown setting is in the message only; the key is that of its section.
        let unknown = problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'));
        let is_unknown = unknown.is_some();
        let (key, problem) = match unknown {
            Some((name, rest)) if key.is_empty() => (name.to_owned(), format!("there is no such setting{rest}")),
            Some((name, rest)) => (format!("{key}.{name}"), format!("there is no such setting{rest}")),
            None => (key, problem),
        };
        if key.is_empty() {
            return Self::Invalid { setting: "invalid".into(), origin: String::new(), problem };
        }
        let value = find(values, &key);
        let origin = match value.and_then(origin) {
            Some(file) if file != ENVIRONMENT => format!(" ({file})"),
            Some(_) => format!(" ({PREFIX}{})", key.replace('.', "__").to_uppercase()),
            None => String::new(),
        };
        let problem = match problem.strip_prefix("it must be ") {
            Some(expected) => format!("it must be {}", plain(expected, value)),
            None if problem.contains("expected struct ") => "it is a section: set the settings in it".to_owned(),
            None => problem,
        };
        let is_address = |text: &str| text.contains("://");
        let problem = match value.map(|value| &value.kind) {
            // The problem quotes the value too.
            Some(ValueKind::String(text)) if is_address(text) => problem.replace(text.as_str(), "(hidden)"),
            _ => problem,
        };
        let setting = match value.map(|value| &value.kind) {
            // The value of an unknown setting may be a secret whose name is misspelt.
            _ if is_unknown => key,
            // An address may contain a password.
            Some(ValueKind::String(text)) if is_address(text) => key,
            Some(ValueKind::String(text)) => format!("{key} = {text:?}"),
            Some(kind @ (ValueKind::I64(_) | ValueKind::Float(_) | ValueKind::Boolean(_))) => format!("{key} = {kind}"),
            _ => key,
        };
        Self::Invalid { setting, origin, problem }
    }
}

/// The error of a file that is not TOML, without the lines that it quotes: they may contain a secret.
fn without_quotation(error: &str) -> String {
    let is_quotation =
        |line: &&str| line.trim_start_matches(|first: char| first == ' ' || first.is_ascii_digit()).starts_with('|');
    error.lines().filter(|line| !is_quotation(line)).collect::<Vec<_>>().join(" ")
}

/// What a value must be, where the config crate describes a Rust type.
fn plain(expected: &str, value: Option<&Value>) -> String {
    let number = || value.and_then(|value| value.clone().into_string().ok()?.parse::<i128>().ok());
    match expected {
        "a boolean" => "true or false".to_owned(),
        _ if expected.ends_with("integer") => match number() {
            Some(..0) => "a whole number of at least 0".to_owned(),
            Some(0..) => "a smaller whole number".to_owned(),
            None => "a whole number".to_owned(),
        },
        _ => expected.to_owned(),
    }
}

/// The file or the environment that a value is from; a section has the origin of its first setting.
fn origin(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::Table(table) => value.origin().or_else(|| table.values().find_map(origin)),
        _ => value.origin(),
    }
}

/// What the config crate calls the origin of a value from an environment variable.
const ENVIRONMENT: &str = "the environment";

/// The value of a setting such as `identity.issuers[0].jwks`.
fn find<'a>(values: &'a Value, key: &str) -> Option<&'a Value> {
    key.split(['.', '[']).try_fold(values, |value, part| match &value.kind {
        ValueKind::Table(table) => table.get(part),
        ValueKind::Array(array) => array.get(part.strip_suffix(']')?.parse::<usize>().ok()?),
        _ => None,
    })
}
