//! `frontdesk config`: prints the effective settings as a TOML file that `--config` reads.

use frontdesk::Settings;
use frontdesk_settings::without_credentials;

use crate::Failure;

/// What stands in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// The settings in TOML. One with a secret is a comment in which the secret is hidden: the output can be used as a file, and the secret
/// still comes from where it is set.
pub(crate) fn text(settings: &Settings) -> Result<String, Failure> {
    let mut table = toml::Table::try_from(settings)?;
    table.iter_mut().for_each(|(_, value)| hide_credentials(value));
    let lines = toml::to_string(&table)?;
    let line = |line: &str| if line.contains(HIDDEN) { format!("# {line}\n") } else { format!("{line}\n") };
    Ok(lines.lines().map(line).collect())
}

/// Hides passwords in addresses, wherever they are.
fn hide_credentials(value: &mut toml::Value) {
    match value {
        toml::Value::String(text) => *text = without_credentials(text),
        toml::Value::Array(values) => values.iter_mut().for_each(hide_credentials),
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| hide_credentials(value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_db::DatabaseUrl;

    use super::*;

    #[test]
    fn the_printed_settings_can_be_read_again_and_have_no_secret() {
        let mut settings = Settings::default();
        settings.identity.secret = "s3cret".repeat(8).into();
        settings.bus.url = "nats://ada:s3cret@bus:4222".into();
        settings.databases.assignment.url = DatabaseUrl("postgres://ada:s3cret@db/assignment".into());
        settings.notification.smtp.host = "mail.example".into();
        let printed = text(&settings).unwrap();
        assert!(!printed.contains("s3cret") && printed.contains("# secret = \"(hidden)\""), "{printed}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("frontdesk.toml");
        std::fs::write(&file, &printed).unwrap();
        let read: Settings = frontdesk_settings::load(Some(&file), std::iter::empty()).unwrap();
        assert_eq!(read.notification.smtp.host, "mail.example");
        let secrets = [&read.identity.secret, &read.bus.password, &read.notification.smtp.password];
        assert!(secrets.iter().all(|secret| secret.is_empty()), "an unset secret stays unset");
        assert_eq!((read.bus.url.as_str(), read.databases.assignment.url.0.as_str()), ("", ""));
    }
}
