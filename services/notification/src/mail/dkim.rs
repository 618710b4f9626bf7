//! DKIM signatures (RFC 6376) with Ed25519 (RFC 8463), by the keys of the settings. Canonicalization is relaxed for headers and body; the
//! length of the body is never limited (`l=`), so that nothing can be added to it.

use std::{collections::HashMap, fmt, sync::Arc};

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use frontdesk_clock::Time;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use sha2::{Digest, Sha256};

use super::ComposeError;
use crate::settings::DkimKeySettings;

/// Headers that are signed. Each is named once more than a mail has it, so that another one added on the way breaks the signature.
const SIGNED: [&str; 12] = [
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "reply-to",
    "references",
    "auto-submitted",
    "list-unsubscribe",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
];

/// A key that signs the mails of a sender.
pub(crate) struct DkimKey {
    domain: String,
    selector: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DkimKey({}._domainkey.{})", self.selector, self.domain)
    }
}

/// A key of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("notification.dkim_keys: {sender}: {reason}")]
pub(crate) struct InvalidDkimKey {
    sender: String,
    reason: String,
}

/// The keys, by the address or the domain whose mails they sign. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DkimKeys(Arc<HashMap<String, Arc<DkimKey>>>);

impl DkimKeys {
    /// Reads the files of the keys.
    pub(crate) fn try_load(settings: &[DkimKeySettings]) -> Result<Self, InvalidDkimKey> {
        let mut keys = HashMap::new();
        for setting in settings {
            let sender = setting.sender.to_lowercase();
            let invalid = |reason: String| InvalidDkimKey { sender: setting.sender.clone(), reason };
            let key = load(setting, &sender).map_err(invalid)?;
            if keys.insert(sender, Arc::new(key)).is_some() {
                return Err(invalid("there are two keys; remove one".into()));
            }
        }
        Ok(Self(Arc::new(keys)))
    }

    /// Returns the key that signs the mails from this address: its own, else that of its domain.
    pub(crate) fn find(&self, from: &str) -> Option<Arc<DkimKey>> {
        let from = from.to_lowercase();
        let domain = from.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.0.get(&from).or_else(|| self.0.get(domain)).cloned()
    }
}

fn load(setting: &DkimKeySettings, sender: &str) -> Result<DkimKey, String> {
    let domain = sender.rsplit_once('@').map_or(sender, |(_, domain)| domain);
    if frontdesk_mail_address::parse(&format!("x@{domain}")).is_none() {
        return Err("sender must be an address, or the domain of addresses, such as example.com".into());
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_')
    };
    if !setting.selector.split('.').all(is_label) {
        return Err("selector must be a name of the DNS, such as frontdesk1".into());
    }
    let remedy = "make a key with: openssl genpkey -algorithm ed25519 -out FILE";
    let der = PrivatePkcs8KeyDer::from_pem_file(&setting.key_path)
        .map_err(|error| format!("key_path {}: {error}; {remedy}", setting.key_path))?;
    let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der())
        .map_err(|error| format!("key_path {}: no Ed25519 key: {error}; {remedy}", setting.key_path))?;
    Ok(DkimKey { domain: domain.to_owned(), selector: setting.selector.to_ascii_lowercase(), pair })
}

impl DkimKey {
    /// Returns the mail with its signature as the first header. The same mail, key and date give the same bytes.
    pub(super) fn sign(&self, mail: &[u8], date: Time) -> Result<Vec<u8>, ComposeError> {
        let unreadable = || ComposeError("the mail cannot be signed: it has no end of its headers".into());
        let (head, body) =
            std::str::from_utf8(mail).ok().and_then(|mail| mail.split_once("\r\n\r\n")).ok_or_else(unreadable)?;
        let headers = headers(head);
        let names = signed_names(&headers);
        let (selector, domain, time) = (&self.selector, &self.domain, date.0 / 1_000_000);
        let unsigned = format!(
            "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n t={time};\r\n h={};\r\n bh={};\r\n b=",
            names.join(":"),
            STANDARD.encode(Sha256::digest(relaxed_body(body))),
        );
        let signature = self.pair.try_sign(&digest(&headers, &names, &unsigned));
        let signature = signature.map_err(|error| ComposeError(format!("the mail cannot be signed: {error}")))?;
        let header = format!("{unsigned}{}\r\n", STANDARD.encode(signature));
        Ok([header.as_bytes(), mail].concat())
    }
}

/// Returns the headers, each with its folded lines.
fn headers(head: &str) -> Vec<String> {
    let mut headers: Vec<String> = Vec::new();
    for line in head.split("\r\n") {
        match headers.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push_str("\r\n");
                last.push_str(line);
            }
            _ => headers.push(line.to_owned()),
        }
    }
    headers
}

fn is_named(header: &str, name: &str) -> bool {
    header.split(':').next().is_some_and(|found| found.trim_end().eq_ignore_ascii_case(name))
}

/// Returns the names of the headers to sign.
fn signed_names(headers: &[String]) -> Vec<&'static str> {
    let times = |name: &'static str| {
        let count = headers.iter().filter(|header| is_named(header, name)).count();
        std::iter::repeat_n(name, count + 1)
    };
    SIGNED.into_iter().flat_map(times).collect()
}

/// Returns the hash that is signed: of the named headers, from the last one of a name to the first, and of the signature's own header
/// without its value. A name that the mail does not have stands for nothing (RFC 6376, 5.4.2).
fn digest(headers: &[String], names: &[&str], signature_header: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut used: HashMap<&str, usize> = HashMap::new();
    for &name in names {
        let before = used.entry(name).or_default();
        if let Some(header) = headers.iter().rev().filter(|header| is_named(header, name)).nth(*before) {
            hash.update(relaxed_header(header));
            hash.update("\r\n");
            *before += 1;
        }
    }
    hash.update(relaxed_header(signature_header));
    hash.finalize().into()
}

/// RFC 6376, 3.4.2.
fn relaxed_header(header: &str) -> String {
    let (name, value) = header.split_once(':').unwrap_or((header, ""));
    let value = single_blanks(&value.replace("\r\n", ""));
    format!("{}:{}", name.trim_end().to_ascii_lowercase(), value.trim_matches(' '))
}

/// RFC 6376, 3.4.4.
fn relaxed_body(body: &str) -> String {
    let mut lines: Vec<String> =
        body.split("\r\n").map(|line| single_blanks(line).trim_end_matches(' ').to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.iter().fold(String::with_capacity(body.len()), |text, line| text + line + "\r\n")
}

/// Returns the text with one space in the place of each row of spaces and tabs.
fn single_blanks(text: &str) -> String {
    let mut single = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            ' ' | '\t' if single.ends_with(' ') => {}
            ' ' | '\t' => single.push(' '),
            _ => single.push(char),
        }
    }
    single
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;
