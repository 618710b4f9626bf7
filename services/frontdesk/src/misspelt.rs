//! Environment variables that have nearly the name of a setting.

use toml::Value;

use crate::Settings;

/// The variables of `names` that have the name of a setting with one underscore where two must be, such as `FRONTDESK_LISTEN`, so that
/// they are not read; each with the name that is read.
pub(crate) fn misspelt(names: impl Iterator<Item = String>) -> Vec<(String, String)> {
    let settings = Value::try_from(Settings::default()).unwrap_or(Value::Boolean(false));
    let mut known = Vec::new();
    variables("FRONTDESK", &settings, &mut known);
    let squeezed = |name: &str| name.replace("__", "_");
    let misspelt = |name: String| {
        let setting = known.iter().find(|setting| squeezed(setting) == squeezed(&name) && **setting != name)?;
        Some((name, setting.clone()))
    };
    names.filter(|name| !name.starts_with("FRONTDESK__")).filter_map(misspelt).collect()
}

/// The variable of each setting in `value`.
fn variables(prefix: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                variables(&format!("{prefix}__{}", name.to_uppercase()), value, found);
            }
        }
        _ => found.push(prefix.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_one_underscore_is_told_from_variables_of_others() {
        let names = [
            "FRONTDESK_LISTEN",
            "FRONTDESK_DATA_FOLDER",
            "FRONTDESK_NOTIFICATION_SMTP_HOST",
            "FRONTDESK_CONFIG",
            "FRONTDESK__LISTEN",
            // Kubernetes sets these for a service called frontdesk.
            "FRONTDESK_SERVICE_HOST",
            "FRONTDESK_PORT",
        ];
        let found = misspelt(names.into_iter().map(str::to_owned));
        let found: Vec<_> = found.iter().map(|(name, setting)| (name.as_str(), setting.as_str())).collect();
        assert_eq!(
            found,
            [
                ("FRONTDESK_LISTEN", "FRONTDESK__LISTEN"),
                ("FRONTDESK_DATA_FOLDER", "FRONTDESK__DATA_FOLDER"),
                ("FRONTDESK_NOTIFICATION_SMTP_HOST", "FRONTDESK__NOTIFICATION__SMTP__HOST"),
            ]
        );
    }
}
