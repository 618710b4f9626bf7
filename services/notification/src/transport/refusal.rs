//! What a response of the mail server means for the delivery (rule T8).

use lettre::transport::smtp::Error;

use crate::{domain::AttemptOutcome, mail::server_response};

/// Returns what a failure before MAIL means. The mail itself is not concerned: a refusal, a missing extension or a certificate that is
/// not trusted lasts until the settings or the server are repaired; anything else may pass by itself.
pub(super) fn before_mail(step: &str, error: &Error) -> AttemptOutcome {
    let text = server_response(&format!("{step}: {error}"));
    if error.is_permanent() || error.is_client() || error.is_tls() {
        AttemptOutcome::ConfigurationFault(text)
    } else {
        AttemptOutcome::TransientFailure(text)
    }
}

/// Returns what the server's response to MAIL, RCPT, DATA or the mail means. None: it did not respond.
pub(super) fn of_response(error: &Error, size: usize) -> Option<AttemptOutcome> {
    let code = u16::from(error.status()?);
    let text = server_response(&error.to_string());
    let lower = text.to_lowercase();
    Some(match code {
        ..500 => AttemptOutcome::TransientFailure(text),
        // Code of a mail that is too large; the enhanced codes tell it from a full mailbox, which has the same code (RFC 3463).
        552 if lower.contains("5.3.4") || lower.contains("5.2.3") => {
            AttemptOutcome::TooLarge { response: text, max_bytes: size / 2 }
        }
        _ if is_configuration(code, &lower) => AttemptOutcome::ConfigurationFault(text),
        _ => AttemptOutcome::PermanentFailure(text),
    })
}

/// Returns whether every mail would be refused like this: the settings or the server are wrong, not the mail. `text` is in lower
/// case.
fn is_configuration(code: u16, text: &str) -> bool {
    /// Codes for authentication that is missing, failed, too weak or not encrypted (RFC 4954), and for a refused host name.
    const CODES: [u16; 5] = [504, 530, 534, 535, 538];
    /// Refusals by policy have enhanced codes of the class 5.7 (RFC 3463); those of a relay do not always.
    const POLICY: [&str; 2] = [" 5.7.", "relay"];
    CODES.contains(&code) || POLICY.iter().any(|policy| text.contains(policy))
}
