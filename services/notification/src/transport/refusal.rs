//! What a response of the mail server means for the delivery (rule T8).

use lettre::transport::smtp::Error;

use super::Mail;
use crate::{
    domain::{AttemptOutcome, blames_recipient},
    mail::server_response,
};

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

/// The step of the exchange that a response answers.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// MAIL, with the sender's address.
    Sender,
    /// RCPT, with the recipient's address.
    Recipient,
    /// DATA, or the mail itself.
    Content,
}

/// Returns what the server's response to a step means for the mail. None: it did not respond.
pub(super) fn of_response(error: &Error, step: Step, mail: &Mail) -> Option<AttemptOutcome> {
    let code = u16::from(error.status()?);
    let text = server_response(&error.to_string());
    let refusal = Refusal::new(code, &text, mail);
    Some(match code {
        ..500 => AttemptOutcome::TransientFailure(text),
        _ if refusal.is_too_large() => AttemptOutcome::TooLarge { response: text, max_bytes: mail.bytes.len() / 2 },
        _ if refusal.is_configuration(step) => AttemptOutcome::ConfigurationFault(text),
        _ => match refusal.code_of_recipient(step) {
            Some(status_code) => AttemptOutcome::RecipientRefused { response: text, status_code },
            None => AttemptOutcome::PermanentFailure(text),
        },
    })
}

/// A permanent refusal, by the words that the server wrote itself. Servers repeat the addresses of a mail, and a visitor chooses one
/// of them.
struct Refusal {
    code: u16,
    /// Subject and detail of the enhanced code, such as 1 and 1 of 5.1.1 (RFC 3463). None: the server sends none.
    enhanced: Option<(u16, u16)>,
    mentions_relay: bool,
}

impl Refusal {
    fn new(code: u16, text: &str, mail: &Mail) -> Self {
        let text = without_brackets(&text.to_lowercase());
        let repeated = [&mail.to, &mail.from].map(|address| address.to_lowercase());
        let repeated: Vec<&str> =
            repeated.iter().flat_map(|address| address.split('@').chain([address.as_str()])).collect();
        let is_end = |char: char| !char.is_alphanumeric() && !".-_+@".contains(char);
        let words = text.split(is_end).map(|word| word.trim_end_matches('.'));
        let words: Vec<&str> = words.filter(|word| !repeated.contains(word)).collect();
        Self {
            code,
            enhanced: words.iter().find_map(|word| enhanced_code(word)),
            mentions_relay: words.iter().any(|word| ["relay", "relaying"].contains(word)),
        }
    }

    /// Returns whether the mail is too large; the enhanced code tells it from a full mailbox, which has the same code.
    fn is_too_large(&self) -> bool {
        self.code == 552 && matches!(self.enhanced, Some((3, 4) | (2, 3)))
    }

    /// Returns the enhanced code, if it blames the recipient's address. At MAIL the server does not know the recipient.
    fn code_of_recipient(&self, step: Step) -> Option<String> {
        let (subject, detail) = self.enhanced.filter(|_| !matches!(step, Step::Sender))?;
        Some(format!("5.{subject}.{detail}")).filter(|code| blames_recipient(code))
    }

    /// Returns whether every mail would be refused like this: the settings or the server are wrong, not the mail or its recipient.
    fn is_configuration(&self, step: Step) -> bool {
        /// Codes for authentication that is missing, failed, too weak or not encrypted (RFC 4954), and for a refused host name.
        const CODES: [u16; 5] = [504, 530, 534, 535, 538];
        let is_of_client = match (step, self.enhanced) {
            // A bad address, whatever else the server writes.
            (_, Some((1, _))) => return false,
            // Nothing but the client and the sender is known at this step.
            (Step::Sender, Some((7, _))) => true,
            // Codes about the client: its authentication, and the DNS records of its address and of the sender's domain.
            (_, Some((7, 8 | 25..=27))) => true,
            (Step::Recipient, Some((7, 0))) => true,
            _ => false,
        };
        is_of_client || self.mentions_relay || CODES.contains(&self.code)
    }
}

/// The text without what is in angle brackets: addresses and host names.
fn without_brackets(text: &str) -> String {
    let mut rest = text;
    let mut without = String::new();
    while let Some((before, after)) = rest.split_once('<') {
        without.push_str(before);
        without.push(' ');
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    without + rest
}

/// Subject and detail of an enhanced code of class 5. None: the word is none.
fn enhanced_code(word: &str) -> Option<(u16, u16)> {
    let (subject, detail) = word.strip_prefix("5.")?.split_once('.')?;
    Some((subject.parse().ok()?, detail.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use frontdesk_db::AccountId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn s8_any_response_of_a_mail_server_is_read_and_an_address_in_it_changes_nothing() {
        const PIECES: &[&str] = &[
            "5.7.8",
            "5.7.",
            "5.1.1",
            "5.",
            ".",
            "5.99999.1",
            "relay",
            "relaying",
            "denied",
            "<",
            ">",
            " ",
            "vera@visitor.example",
            "@",
            "\r\n",
        ];
        let mail = Mail {
            account: AccountId(Uuid::nil()),
            delivery: Uuid::nil(),
            from: "team@acme.example".into(),
            to: "vera@visitor.example".into(),
            bytes: Vec::new(),
        };
        let read = |code, text: &str| {
            let refusal = Refusal::new(code, text, &mail);
            let steps = [Step::Sender, Step::Recipient, Step::Content];
            let by_step = steps.map(|step| (refusal.is_configuration(step), refusal.code_of_recipient(step)));
            (refusal.is_too_large(), by_step)
        };
        let responses = (500_u16..560, frontdesk_fuzz::text(PIECES, 12));
        frontdesk_fuzz::check!().with_generator(responses).for_each(|(code, text)| {
            assert_eq!(read(*code, text), read(*code, &format!("{text} <relay 5.7.8>")), "{text:?}");
        });
    }
}
