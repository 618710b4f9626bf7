//! A crowd of callers that costs the processors as little as it can, because it shares them with what it calls: one thread,
//! one token, requests that are encoded beforehand, on bare HTTP/2. Its calls are written into the history afterwards.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use frontdesk_proto::conversation::v1::{PostMessageRequest, PostMessageResponse};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request, Uri};
use prost::Message;
use serde_json::json;
use tokio::{net::TcpStream, task::spawn_local};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    cluster::Failure,
    driver::{Driver, Somebody, read},
    history::{Kind, Recorder, Tells},
};

/// Connections to each replica: calls must not wait for a place on one.
const CONNECTIONS: usize = 32;
/// A call may take so long.
pub const DEADLINE: Duration = Duration::from_secs(2);
/// The server says by itself that it is too late; nobody waits much longer for that.
const PATIENCE: Duration = Duration::from_millis(2_500);
const POST: &str = "/frontdesk.conversation.v1.ThreadService/PostMessage";
/// How a message is framed: not compressed, and its length.
const FRAMED: usize = 5;
const DIGITS: usize = 10;

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// Acknowledged, with the message's number in its thread.
    Ok(i64),
    /// RESOURCE_EXHAUSTED; whether it says why and when to come again.
    Refused {
        /// When, where it says both.
        again_after: Option<Duration>,
    },
    /// Anything else.
    Other(Box<Status>),
    /// The connection was lost, or nobody answered.
    Lost,
}

/// One call. Times are nanoseconds of the driver's clock.
#[derive(Clone, Debug)]
pub struct Call {
    number: u64,
    /// When it was to be made.
    pub due: u64,
    sent: u64,
    /// When its end was known.
    pub ended_at: u64,
    /// How it ended.
    pub ended: Ended,
}

impl Call {
    /// How long it took since it was due, in milliseconds.
    pub fn took_ms(&self) -> f64 {
        self.ended_at.saturating_sub(self.due) as f64 / 1e6
    }

    /// How long the answer took since it was asked for, in milliseconds.
    pub fn answered_ms(&self) -> f64 {
        self.ended_at.saturating_sub(self.sent) as f64 / 1e6
    }

    /// How late the crowd itself was in making it, in milliseconds.
    pub fn made_late_ms(&self) -> f64 {
        self.sent.saturating_sub(self.due) as f64 / 1e6
    }

    /// It was acknowledged within its deadline.
    pub fn is_good(&self) -> bool {
        matches!(self.ended, Ended::Ok(_)) && self.took_ms() <= DEADLINE.as_secs_f64() * 1e3
    }

    fn tells(&self) -> (Kind, Tells) {
        match &self.ended {
            Ended::Ok(sequence) => {
                let answer = json!({ "sequence": sequence });
                (Kind::Ok, Tells { answer, code: "OK".into(), ..Tells::default() })
            }
            Ended::Other(status) => read(status),
            Ended::Lost | Ended::Refused { .. } => {
                (Kind::Unknown, Tells { code: "UNAVAILABLE".into(), ..Tells::default() })
            }
        }
    }
}

/// A connection that is made again when it is lost.
type Line = Rc<RefCell<Option<SendRequest<Bytes>>>>;

/// The crowd; it lives on one thread, within a `LocalSet`.
#[derive(Clone)]
pub struct Crowd(Rc<Inner>);

struct Inner {
    lines: Vec<(Uri, Line)>,
    headers: HeaderMap,
    chats: Vec<String>,
    words: Words,
    next: Cell<u64>,
    recorder: Recorder,
    calls: RefCell<Vec<Call>>,
    /// What was found about the details of a refusal: there are few different ones.
    explained: RefCell<HashMap<HeaderValue, Option<Duration>>>,
}

impl Crowd {
    /// Callers with this one's token, on connections to these `host:port`, who post in these conversations.
    pub fn gather(who: &Somebody, addresses: &[String], chats: Vec<String>, canary: &str, recorder: Recorder) -> Self {
        let mut lines = Vec::new();
        for number in 0..CONNECTIONS * addresses.len() {
            let address = addresses[number % addresses.len()].clone();
            let uri = format!("http://{address}{POST}").parse().expect("an address");
            let line: Line = Rc::default();
            spawn_local(keep(address, line.clone()));
            lines.push((uri, line));
        }
        let mut headers = HeaderMap::new();
        let bearer = who.bearer().to_str().expect("a token");
        headers.insert("authorization", HeaderValue::from_str(bearer).expect("a token"));
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("grpc-timeout", HeaderValue::from_static("2S"));
        Self(Rc::new(Inner {
            lines,
            headers,
            chats,
            words: Words::new(canary),
            next: Cell::new(0),
            recorder,
            calls: RefCell::default(),
            explained: RefCell::default(),
        }))
    }

    /// So many callers for so long, each the next call as soon as the last one is answered; gives how many were acknowledged.
    pub async fn patient(&self, callers: usize, length: Duration) -> usize {
        let until = self.0.recorder.now() + nanos(length);
        let before = self.0.calls.borrow().len();
        let calling = (0..callers).map(|_| {
            let crowd = self.clone();
            spawn_local(async move {
                while crowd.0.recorder.now() < until {
                    crowd.call(crowd.0.recorder.now()).await;
                }
            })
        });
        futures::future::join_all(calling.collect::<Vec<_>>()).await;
        self.0.calls.borrow()[before..].iter().filter(|call| call.is_good()).count()
    }

    /// So many callers for so long, who wait for their answer, and come again when they are told to.
    pub async fn obedient(&self, callers: usize, length: Duration) {
        let until = self.0.recorder.now() + nanos(length);
        let calling = (0..callers).map(|_| {
            let crowd = self.clone();
            spawn_local(async move {
                while crowd.0.recorder.now() < until {
                    if let Some(pause) = crowd.call(crowd.0.recorder.now()).await {
                        tokio::time::sleep(pause).await;
                    }
                }
            })
        });
        futures::future::join_all(calling.collect::<Vec<_>>()).await;
    }

    /// So many calls a second for so long, whatever comes of them; who was refused does not come again. Returns when the last
    /// call is made, not when it is answered.
    pub async fn impatient(&self, rate: f64, length: Duration) {
        let began = self.0.recorder.now();
        let mut made = 0_u64;
        loop {
            let passed = self.0.recorder.now() - began;
            let due = (rate * passed.min(nanos(length)) as f64 / 1e9) as u64;
            while made < due {
                let crowd = self.clone();
                let due = began + (made as f64 / rate * 1e9) as u64;
                spawn_local(async move { crowd.call(due).await });
                made += 1;
            }
            if passed >= nanos(length) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Every call that has ended so far, in the order of their ends.
    pub async fn calls(&self) -> Vec<Call> {
        tokio::time::sleep(PATIENCE + Duration::from_millis(500)).await;
        self.0.calls.take()
    }

    /// Makes a call; gives the pause that a refusal asks for.
    async fn call(&self, due: u64) -> Option<Duration> {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        let sent = self.0.recorder.now();
        let ended = match tokio::time::timeout(PATIENCE, self.post(number)).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) | Err(_) => Ended::Lost,
        };
        let ended_at = self.0.recorder.now();
        let pause = match ended {
            Ended::Refused { again_after } => again_after,
            _ => None,
        };
        self.0.calls.borrow_mut().push(Call { number, due, sent, ended_at, ended });
        pause
    }

    async fn post(&self, number: u64) -> Result<Ended, Failure> {
        let chat = &self.0.chats[number as usize % self.0.chats.len()];
        let message = self.0.words.request(number, chat);
        let first = number as usize % self.0.lines.len();
        let (before, after) = self.0.lines.split_at(first);
        let free = after.iter().chain(before).find_map(|(uri, line)| Some((uri, line.borrow().clone()?)));
        let (uri, line) = free.ok_or("no connection")?;
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        *request.version_mut() = http::Version::HTTP_2;
        *request.headers_mut() = self.0.headers.clone();
        let (answer, mut sending) = line.ready().await?.send_request(request, false)?;
        sending.send_data(message, true)?;
        let answer = answer.await?;
        // What is refused before it begins has its status in the head.
        if answer.headers().contains_key("grpc-status") {
            return Ok(self.ended(answer.headers(), &[]));
        }
        let mut body = answer.into_body();
        let mut message = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            message.extend_from_slice(&part);
        }
        let trailers = body.trailers().await?.ok_or("an answer without a status")?;
        Ok(self.ended(&trailers, &message))
    }

    fn ended(&self, status: &HeaderMap, message: &[u8]) -> Ended {
        let details = status.get("grpc-status-details-bin");
        match (status.get("grpc-status").map(HeaderValue::as_bytes), details) {
            (Some(b"0"), _) => {
                let answer = message.get(FRAMED..).and_then(|bytes| PostMessageResponse::decode(bytes).ok());
                answer.and_then(|answer| answer.entry).map_or(Ended::Lost, |entry| Ended::Ok(entry.sequence))
            }
            (Some(b"8"), None) => Ended::Refused { again_after: None },
            (Some(b"8"), Some(details)) => {
                let known = self.0.explained.borrow().get(details).copied();
                let explained = known.unwrap_or_else(|| {
                    let explained = Status::from_header_map(status).and_then(|status| explains(&status));
                    self.0.explained.borrow_mut().insert(details.clone(), explained);
                    explained
                });
                Ended::Refused { again_after: explained }
            }
            _ => Status::from_header_map(status).map_or(Ended::Lost, |status| Ended::Other(Box::new(status))),
        }
    }

    /// Writes the calls into the history: those that were acknowledged, and those of which nobody knows. Of a refused one
    /// nothing may be there; if something is, the checker finds that nobody sent it.
    pub fn tell(&self, driver: &Driver, who: &Somebody, calls: &[Call]) {
        let told: Vec<_> = calls
            .iter()
            .filter(|call| !matches!(call.ended, Ended::Refused { .. }))
            .map(|call| {
                let chat = &self.0.chats[call.number as usize % self.0.chats.len()];
                (call, driver.operation(who, "PostMessage", chat, &self.0.words.request_id(call.number)))
            })
            .collect();
        let mut moments: Vec<_> =
            told.iter().flat_map(|told| [(told.0.sent, told, false), (told.0.ended_at, told, true)]).collect();
        moments.sort_by_key(|(at, ..)| *at);
        for (at, (call, operation), has_ended) in moments {
            let (kind, tells) = if has_ended { call.tells() } else { self.asked(call) };
            self.0.recorder.write_at(at, operation, kind, tells);
        }
    }

    fn asked(&self, call: &Call) -> (Kind, Tells) {
        (Kind::Invoke, Tells { given: json!({ "text": self.0.words.text(call.number) }), ..Tells::default() })
    }
}

/// When to come again, if it says that and why.
fn explains(status: &Status) -> Option<Duration> {
    let says_why = status.get_details_error_info().is_some_and(|info| !info.reason.is_empty());
    let again_after = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
    again_after.filter(|_| says_why && status.code() == Code::ResourceExhausted)
}

/// Connects, for ever.
async fn keep(address: String, line: Line) {
    loop {
        if let Ok(stream) = TcpStream::connect(&address).await
            && stream.set_nodelay(true).is_ok()
            && let Ok((sender, connection)) = h2::client::Builder::new()
                .initial_window_size(1 << 20)
                .initial_connection_window_size(1 << 24)
                .handshake(stream)
                .await
        {
            *line.borrow_mut() = Some(sender);
            let _ = connection.await;
            *line.borrow_mut() = None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Requests that differ in a number and the conversation alone.
struct Words {
    template: Vec<u8>,
    conversation: usize,
    number_in_text: usize,
    number_in_id: usize,
    canary: String,
}

impl Words {
    fn new(canary: &str) -> Self {
        let mut words = Self {
            template: Vec::new(),
            conversation: 0,
            number_in_text: 0,
            number_in_id: 0,
            canary: canary.to_owned(),
        };
        let id = uuid::Uuid::nil().to_string();
        let request = PostMessageRequest {
            conversation_id: id.clone(),
            text: words.text(0),
            request_id: words.request_id(0),
            ..Default::default()
        };
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
        words.template = [&[0][..], &length, &message].concat();
        let find = |part: &str| {
            let mut windows = words.template.windows(part.len());
            windows.position(|window| window == part.as_bytes()).expect("a part of the request")
        };
        let number = digits(0);
        let number = std::str::from_utf8(&number).expect("digits");
        (words.conversation, words.number_in_text, words.number_in_id) =
            (find(&id), find(&format!("m~{number}")) + 2, find(&format!("r17:{number}")) + 4);
        words
    }

    fn text(&self, number: u64) -> String {
        format!("m~{number:0DIGITS$} says {}", self.canary)
    }

    fn request_id(&self, number: u64) -> String {
        format!("r17:{number:0DIGITS$}")
    }

    fn request(&self, number: u64, conversation: &str) -> Bytes {
        let mut request = self.template.clone();
        let digits = digits(number);
        request[self.conversation..self.conversation + conversation.len()].copy_from_slice(conversation.as_bytes());
        request[self.number_in_text..self.number_in_text + DIGITS].copy_from_slice(&digits);
        request[self.number_in_id..self.number_in_id + DIGITS].copy_from_slice(&digits);
        request.into()
    }
}

fn digits(mut number: u64) -> [u8; DIGITS] {
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_the_contract_says() {
        let (words, chat) = (Words::new("zq1"), frontdesk_clock::testing::new_id().to_string());
        for number in [0, 7, 12_345] {
            let bytes = words.request(number, &chat);
            assert_eq!(u32::from_be_bytes(bytes[1..FRAMED].try_into().unwrap()) as usize, bytes.len() - FRAMED);
            let request = PostMessageRequest::decode(&bytes[FRAMED..]).unwrap();
            assert_eq!((&request.conversation_id, request.text), (&chat, words.text(number)));
            assert_eq!(request.request_id, words.request_id(number));
        }
    }
}
