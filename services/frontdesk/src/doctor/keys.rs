//! The secrets and keys that sign: the installation's secret, the development key, and the keys of DKIM. None is printed.

use std::{fs, os::unix::fs::MetadataExt};

use frontdesk_auth::{DevelopmentKey, InstallationSecret};
use frontdesk_clock::Clock;

use super::Finding;
use crate::{Server, Settings};

/// Permissions of users other than the owner of a file.
const OTHERS: u32 = 0o077;

pub(super) fn check(settings: &Settings, clock: &Clock) -> Vec<Finding> {
    let mut findings = vec![check_secret(settings, clock)];
    if settings.identity.accepts_development_key() {
        findings.push(check_development_key(settings, clock));
    }
    findings.push(check_dkim_keys(settings));
    findings
}

fn check_secret(settings: &Settings, clock: &Clock) -> Finding {
    let (identity, subject) = (&settings.identity, "identity.secret");
    if identity.secret.is_empty() && identity.accepts_development_key() {
        return Finding::ok(subject, "it is not set: the development key serves as one");
    }
    if identity.secret.is_empty() {
        let remedy = "make one with `openssl rand -base64 48`, the same for every process";
        return Finding::failure(subject, "it is not set", remedy);
    }
    match InstallationSecret::try_new(&identity.secret, &identity.previous_secret, clock) {
        Err(error) => Finding::failure(subject, error.to_string(), "replace it as docs/operations.md describes"),
        Ok(_) if identity.previous_secret.is_empty() => Finding::ok(subject, "it is set"),
        Ok(_) => Finding::ok(subject, "it is set, and identity.previous_secret is accepted besides"),
    }
}

fn check_development_key(settings: &Settings, clock: &Clock) -> Finding {
    let file = Server::key_file(settings);
    let subject = file.display().to_string();
    // Looked at first: reading a key that does not exist creates it.
    let Ok(metadata) = fs::metadata(&file) else {
        return Finding::skipped(subject, "there is no development key yet: the first start creates it");
    };
    if let Err(error) = DevelopmentKey::load_or_create(&file, clock) {
        return Finding::failure(
            subject,
            error.to_string(),
            "restore it from a backup, or delete it: old tokens are invalid then",
        );
    }
    if metadata.mode() & OTHERS != 0 {
        let wrong = "other users can read the development key, and mint tokens for every caller";
        return Finding::warning(subject, wrong, "chmod 600 it, and replace it if others may have read it");
    }
    Finding::ok(subject, "the development key can be read, by its owner only")
}

fn check_dkim_keys(settings: &Settings) -> Finding {
    let (notification, subject) = (&settings.notification, "notification.dkim_keys");
    match notification.check_dkim_keys() {
        Err(error) => Finding::failure(subject, error, "a process does not start with it"),
        Ok(()) if notification.dkim_keys.is_empty() => {
            Finding::ok(subject, "there are none: mails are signed by the mail server, if at all")
        }
        Ok(()) => Finding::ok(subject, format!("keys that can sign: {}", notification.dkim_keys.len())),
    }
}
