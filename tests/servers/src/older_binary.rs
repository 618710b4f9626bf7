//! `frontdesk` binaries of older commits.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Removes the variables from an environment that set what a binary of another commit does not know, so that it starts although its
/// settings differ: `frontdesk config` refuses an unknown setting and names it. Returns the names of these variables.
///
/// # Errors
/// The binary cannot be run, or refuses the settings for another reason.
pub fn leave_out_unknown_settings(
    binary: &Path,
    environment: &mut Vec<(String, String)>,
) -> Result<Vec<String>, String> {
    let mut left_out = Vec::new();
    loop {
        let mut config = Command::new(binary);
        config.arg("config").envs(environment.iter().cloned()).stdout(Stdio::null());
        let output = config.output().map_err(|error| format!("{} config: {error}", binary.display()))?;
        if output.status.success() {
            return Ok(left_out);
        }
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let setting = unknown_setting(&error).unwrap_or_default();
        let unknown = environment.extract_if(.., |(name, _)| sets(name, &setting)).map(|(name, _)| name);
        let unknown: Vec<String> = unknown.collect();
        if unknown.is_empty() {
            return Err(format!("{} config: {error}", binary.display()));
        }
        left_out.extend(unknown);
    }
}

/// The setting or section that an error calls unknown, as the environment writes it. Older binaries name the last part alone.
fn unknown_setting(error: &str) -> Option<String> {
    let name = match error.split_once("unknown field `") {
        Some((_, rest)) => rest.split_once('`')?.0,
        None => {
            error.split_once("settings: ")?.1.split_once([' ', ':']).filter(|_| error.contains("no such setting"))?.0
        }
    };
    Some(name.replace('.', "__").to_uppercase())
}

/// Whether a variable sets this setting, or one of this section.
fn sets(variable: &str, setting: &str) -> bool {
    !setting.is_empty() && format!("{variable}__").contains(&format!("__{setting}__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_and_the_variables_that_set_it_are_found() {
        let section = "frontdesk: settings: notification.webhooks (FRONTDESK__NOTIFICATION__WEBHOOKS): there is no such setting, \
                       expected one of `smtp`, `drain`";
        let setting = unknown_setting(section).unwrap();
        assert!(sets("FRONTDESK__NOTIFICATION__WEBHOOKS__TIMEOUT", &setting));
        assert!(!sets("FRONTDESK__NOTIFICATION__SMTP__TIMEOUT", &setting));
        let older = "frontdesk: settings: unknown field `listen`, expected one of `drain` for key `web`";
        let setting = unknown_setting(older).unwrap();
        assert!(sets("FRONTDESK__WEB__LISTEN", &setting) && !sets("FRONTDESK__WEB__LISTENERS", &setting));
        assert_eq!(unknown_setting("frontdesk: settings: limits.rate = -1: it must be a whole number"), None);
        assert!(!sets("FRONTDESK__LISTEN", ""));
    }
}
