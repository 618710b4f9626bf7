//! Requests that are encoded once: only the conversation and the number change from call to call.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use frontdesk_proto::conversation::v1::{PostMessageRequest, WatchThreadRequest};
use prost::{Message, bytes::Bytes};

/// Number of conversations that are posted to.
pub const CONVERSATIONS: u64 = 1_000;
/// Number of digits of a message's number.
pub const DIGITS: usize = 10;
/// Length of an id as text, in bytes.
pub const ID_LENGTH: usize = 36;
/// Offset of the conversation id in both requests: after its tag and its length.
pub const ID_OFFSET: usize = 2;
/// Length of a message's text, in bytes.
const TEXT_LENGTH: usize = 195;
/// Marks the number in a text.
const NUMBER_MARK: &[u8] = b"number:";
/// The largest number of [`DIGITS`] digits.
const MAX_NUMBER: u64 = 9_999_999_999;

/// The id of the conversation with this number.
pub fn conversation_id(number: u64) -> String {
    format!("00000000-0000-7000-8000-{}", 100_000_000_000 + number % CONVERSATIONS)
}

/// An encoded PostMessage request, in which the conversation id and the number can be replaced.
pub struct PostTemplate {
    request: Vec<u8>,
    number_in_text: Range<usize>,
    number_in_request_id: Range<usize>,
}

impl PostTemplate {
    /// A template with the text and request id that `content` gives for a number. Each must contain the number once, with
    /// [`DIGITS`] digits.
    ///
    /// # Panics
    /// If either does not contain the number.
    pub fn new(content: impl Fn(u64) -> (String, String)) -> Self {
        let encode = |number: u64| {
            let (text, request_id) = content(number);
            let request =
                PostMessageRequest { conversation_id: conversation_id(0), text, request_id, ..Default::default() };
            request.encode_to_vec()
        };
        let (request, other) = (encode(0), encode(MAX_NUMBER));
        // The two requests differ in the digits of the two numbers only.
        let digits: Vec<usize> = (0..request.len()).filter(|offset| request[*offset] != other[*offset]).collect();
        assert_eq!(digits.len(), 2 * DIGITS, "text and request id contain the number once each");
        let (first, second) = (digits[0], digits[DIGITS]);
        Self { request, number_in_text: first..first + DIGITS, number_in_request_id: second..second + DIGITS }
    }

    /// The request with this number to this conversation, whose id is a UUID as text.
    pub fn encode(&self, number: u64, conversation_id: &str) -> Bytes {
        let mut request = self.request.clone();
        let digits = digits(number);
        request[ID_OFFSET..ID_OFFSET + ID_LENGTH].copy_from_slice(conversation_id.as_bytes());
        request[self.number_in_text.clone()].copy_from_slice(&digits);
        request[self.number_in_request_id.clone()].copy_from_slice(&digits);
        request.into()
    }
}

/// A sequence of requests that never repeats a request id.
pub struct Messages {
    template: PostTemplate,
    conversation_ids: Vec<String>,
    next: AtomicU64,
}

impl Messages {
    /// A sequence whose request ids begin with `series`.
    pub fn new(series: &str) -> Self {
        let template = PostTemplate::new(|number| {
            let mut text = format!("number:{number:0DIGITS$} ");
            while text.len() < TEXT_LENGTH {
                text.push_str("My brakes squeal, could you have a look? ");
            }
            text.truncate(TEXT_LENGTH);
            (text, format!("{series}:{number:0DIGITS$}"))
        });
        let conversation_ids = (0..CONVERSATIONS).map(conversation_id).collect();
        Self { template, conversation_ids, next: AtomicU64::new(1) }
    }

    /// The next request, to a pseudo-random conversation.
    pub fn next(&self) -> (u64, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.encode(number, Self::conversation_of(number)))
    }

    /// The next request, to this conversation.
    pub fn next_to(&self, conversation: u64) -> (u64, Bytes) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number, self.encode(number, conversation))
    }

    /// The conversation that [`Messages::next`] chooses for a number.
    pub fn conversation_of(number: u64) -> u64 {
        split_mix(number) % CONVERSATIONS
    }

    fn encode(&self, number: u64, conversation: u64) -> Bytes {
        self.template.encode(number, &self.conversation_ids[usize::try_from(conversation).unwrap()])
    }
}

/// The number of the message whose text is contained in these bytes.
pub fn number_in(bytes: &[u8]) -> Option<u64> {
    let mark = bytes.windows(NUMBER_MARK.len()).position(|window| window == NUMBER_MARK)?;
    let offset = mark + NUMBER_MARK.len();
    let digits = bytes.get(offset..offset + DIGITS)?;
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// An encoded request to watch a conversation's thread after a sequence.
pub fn watch_request(conversation: u64, after_sequence: i32) -> Bytes {
    WatchThreadRequest { conversation_id: conversation_id(conversation), after_sequence }.encode_to_vec().into()
}

fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

/// SplitMix64: spreads consecutive numbers over all conversations.
fn split_mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_request_decodes_to_its_text_number_and_conversation() {
        let messages = Messages::new("t");
        for _ in 0..3 {
            let (number, bytes) = messages.next();
            let request = PostMessageRequest::decode(bytes.clone()).unwrap();
            assert_eq!(request.conversation_id, conversation_id(Messages::conversation_of(number)));
            assert_eq!(request.request_id, format!("t:{number:010}"));
            assert_eq!((request.text.len(), number_in(&bytes)), (TEXT_LENGTH, Some(number)));
        }
    }
}
