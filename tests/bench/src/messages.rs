//! Requests, encoded once: only the conversation and the number change from call to call.

use std::sync::atomic::{AtomicU64, Ordering};

use frontdesk_proto::conversation::v1::{PostMessageRequest, WatchThreadRequest};
use prost::{Message, bytes::Bytes};

/// So many conversations are posted to.
pub const CONVERSATIONS: u64 = 1_000;
/// So long is a message's text, in bytes.
const TEXT: usize = 195;
/// Before the number in the text.
const MARK: &[u8] = b"number:";
/// The digits of a number.
const DIGITS: usize = 10;
/// An id as text.
pub const ID: usize = 36;
/// Where the conversation's id begins in both requests: after its tag and its length.
pub const ID_AT: usize = 2;

/// The conversation of this number, as text.
pub fn conversation_id(number: u64) -> String {
    format!("00000000-0000-7000-8000-{}", 100_000_000_000 + number % CONVERSATIONS)
}

/// Makes requests that never repeat an id.
pub struct Messages {
    template: Vec<u8>,
    number_in_text: usize,
    number_in_id: usize,
    ids: Vec<[u8; ID]>,
    next: AtomicU64,
}

impl Messages {
    /// A fresh line of numbers. Request ids begin with `series`.
    pub fn new(series: &str) -> Self {
        let mut text = format!("number:{:0DIGITS$} ", 0);
        while text.len() < TEXT {
            text.push_str("My brakes squeal, could you have a look? ");
        }
        text.truncate(TEXT);
        let request = PostMessageRequest {
            conversation_id: conversation_id(0),
            text,
            request_id: format!("{series}:{:0DIGITS$}", 0),
            ..Default::default()
        };
        let template = request.encode_to_vec();
        let number_in_text = find(&template, MARK).unwrap() + MARK.len();
        let number_in_id = template.len() - DIGITS;
        let ids = (0..CONVERSATIONS).map(|number| conversation_id(number).into_bytes().try_into().unwrap()).collect();
        Self { template, number_in_text, number_in_id, ids, next: AtomicU64::new(1) }
    }

    /// The next request, to a conversation picked without order.
    pub fn next(&self) -> (u64, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.with(number, Self::picked(number)))
    }

    /// The next request to this conversation.
    pub fn next_to(&self, conversation: u64) -> (u64, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.with(number, conversation))
    }

    /// The conversation that [`Messages::next`] picks for a number.
    pub fn picked(number: u64) -> u64 {
        scattered(number) % CONVERSATIONS
    }

    fn with(&self, number: u64, conversation: u64) -> Bytes {
        let mut request = self.template.clone();
        let digits = digits(number);
        request[ID_AT..ID_AT + ID].copy_from_slice(&self.ids[usize::try_from(conversation).unwrap()]);
        request[self.number_in_text..self.number_in_text + DIGITS].copy_from_slice(&digits);
        request[self.number_in_id..].copy_from_slice(&digits);
        request.into()
    }
}

/// The number of the message that these bytes hold, whatever else they hold.
pub fn number_in(bytes: &[u8]) -> Option<u64> {
    let at = find(bytes, MARK)? + MARK.len();
    let digits = bytes.get(at..at + DIGITS)?;
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// A watch of a conversation's thread after a sequence.
pub fn watch(conversation: u64, after_sequence: i64) -> Bytes {
    WatchThreadRequest { conversation_id: conversation_id(conversation), after_sequence }.encode_to_vec().into()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

/// Splitmix: neighbours become strangers.
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_contract_says() {
        let messages = Messages::new("t");
        for _ in 0..3 {
            let (number, bytes) = messages.next();
            let request = PostMessageRequest::decode(bytes.clone()).unwrap();
            assert_eq!(request.conversation_id, conversation_id(Messages::picked(number)));
            assert_eq!(request.request_id, format!("t:{number:010}"));
            assert_eq!((request.text.len(), number_in(&bytes)), (TEXT, Some(number)));
        }
    }
}
