//! Bad input on every method, driven by the descriptors: the right code, a reason, the field's name; never our fault.

use std::{collections::HashMap, time::Duration};

use frontdesk_auth::{AccessMap, Kind};
use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{As, TestSuite, request_id};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind as FieldKind, MessageDescriptor, Value, prost::Message,
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use tonic_types::StatusExt;

/// Bytes in, bytes out: a client that knows no message.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf;
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// Calls a method by its path; of a stream the first answer, or that it stays open.
pub(crate) async fn call_raw(caller: &As, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    call_with(caller, path, Request::new(message)).await
}

/// The same, with metadata of its own.
pub(crate) async fn call_with(caller: &As, path: &str, request: Request<Vec<u8>>) -> Result<Vec<u8>, Status> {
    let mut grpc = Grpc::new(caller.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut answers = grpc.server_streaming(request, path.parse().unwrap(), Raw).await?.into_inner();
    match tokio::time::timeout(Duration::from_millis(200), answers.message()).await {
        Ok(answer) => answer.map(Option::unwrap_or_default),
        Err(_) if path.contains("/Watch") => Ok(Vec::new()),
        Err(_) => answers.message().await.map(Option::unwrap_or_default),
    }
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "x",
    "\0",
    "a\u{1}b",
    "\r\n",
    "line\nbreak",
    "\u{202e}drawkcab",
    "\u{feff}",
    "💥",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "'; DROP TABLE conversations; --",
    "%00",
    "00000000-0000-0000-0000-000000000000",
    "not-a-uuid",
    "01890a5d-ac96-774b-bcce-b302099a8057",
    "https://shop.example/",
    "javascript:alert(1)",
    "https://user:pw@x.example/\" onmouseover=1",
    "a@b",
    "a@b.c\r\nBcc: x@y.z",
    "ada@example.com",
    "Europe/Rome",
    "Nowhere/Land",
    "12345678",
    "eyJhbGciOiJub25lIn0.e30.",
];

struct Fuzz {
    random: StdRng,
    known: HashMap<&'static str, String>,
}

impl Fuzz {
    fn text(&mut self, field: &FieldDescriptor) -> String {
        let known = self.known.get(field.name()).cloned();
        match (self.random.random_range(0..10), known) {
            (0..6, Some(known)) => known,
            (6, _) => "y".repeat(self.random.random_range(1..30_000)),
            (7, _) => (0..self.random.random_range(1..80)).map(|_| self.random.random::<char>()).collect(),
            _ => TEXTS.choose(&mut self.random).unwrap().to_string(),
        }
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        let integers = [0, 1, -1, 2, 50, 200, 201, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN];
        let integer = *integers.choose(&mut self.random).unwrap();
        match field.kind() {
            FieldKind::Bool => Value::Bool(self.random.random()),
            FieldKind::Int32 => Value::I32(integer as i32),
            FieldKind::Int64 => Value::I64(integer),
            FieldKind::Enum(_) => {
                Value::EnumNumber([0, 1, 2, 3, 99, -1, i32::MAX].choose(&mut self.random).copied().unwrap())
            }
            FieldKind::String => Value::String(self.text(field)),
            FieldKind::Message(message) => Value::Message(self.message(&message, depth + 1)),
            other => panic!("the contract has a field of kind {other:?} now: say how to fuzz it"),
        }
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if depth > 4 || self.random.random_range(0..10) == 0 {
                continue;
            }
            let value = if field.is_list() {
                let count = *[0, 1, 1, 2, 3, 25, 101].choose(&mut self.random).unwrap();
                Value::List(
                    (0..if depth > 1 { count.min(3) } else { count }).map(|_| self.value(&field, depth)).collect(),
                )
            } else {
                self.value(&field, depth)
            };
            message.set_field(&field, value);
        }
        message
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_bad_input_is_refused_by_name_and_is_never_our_fault() {
    const ROUNDS: usize = 60;
    let suite = TestSuite::start_with(|settings| settings.telemetry.log = "off".into()).await;
    let account = suite.account().await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let (agent_id, agent) = account.agent("Ada").await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    chat.until_text("Your address?").await;
    let session = frontdesk_tests::Account::conversation(&agent, &chat.id).await.bot_session.unwrap().bot_session_id;
    let known = HashMap::from([
        ("conversation_id", chat.id.clone()),
        ("chat_id", chat.id.clone()),
        ("channel_id", channel),
        ("bot_id", bot.id.clone()),
        ("agent_id", agent_id.to_string()),
        ("bot_session_id", session),
        ("account_id", account.id.to_string()),
        ("request_id", request_id()),
        ("page_url", "https://shop.example/".to_owned()),
        ("text", "hello".to_owned()),
        ("name", "Name".to_owned()),
        ("website_url", "https://shop.example/".to_owned()),
    ]);
    let seed: u64 = std::env::var("FRONTDESK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}: repeat with FRONTDESK_SEED={seed}");
    let mut fuzz = Fuzz { random: StdRng::seed_from_u64(seed), known };

    let pool = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
    let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
    let mut codes: HashMap<Code, usize> = HashMap::new();
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            // Moving the clock by days would end the tokens of this test; its own field rules are tried below.
            let moves_the_clock = method.name() == "AdvanceTime";
            let caller = match access.of(&path).unwrap().principals() {
                kinds if kinds.contains(&Principal::Admin) => account.admin(),
                kinds if kinds.contains(&Principal::Agent) => agent.clone(),
                kinds if kinds.contains(&Principal::Visitor) => account.visitor("v"),
                _ => account.with_claims(Kind::Service, "bot-session", |_| {}),
            };
            for round in 0..if moves_the_clock { 0 } else { ROUNDS } {
                if round % 2 == 0 {
                    fuzz.known.insert("request_id", request_id());
                }
                let message = fuzz.message(&method.input(), 0);
                let mut request = Request::new(message.encode_to_vec());
                request.metadata_mut().insert("x-frontdesk-account", account.id.to_string().parse().unwrap());
                request.metadata_mut().insert("x-frontdesk-actor", format!("bot:{}", bot.id).parse().unwrap());
                let code = match call_with(&caller, &path, request).await {
                    Ok(_) => Code::Ok,
                    Err(status) => judge(&format!("{path} round {round}"), &status),
                };
                *codes.entry(code).or_default() += 1;
            }
            // Bytes that are no message at all.
            for bytes in [vec![0xff; 40], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], vec![0x0a, 0x02, 0xc3, 0x28]] {
                // The first bytes are never a message; of the others a message without that field is one.
                match call_raw(&caller, &path, bytes.clone()).await {
                    Ok(_) => assert_ne!(bytes[0], 0xff, "{path} took bytes that are no message"),
                    Err(status) => drop(judge(&path, &status)),
                }
            }
        }
    }
    println!("{codes:?}");
    assert!(codes[&Code::InvalidArgument] > 500 && codes.contains_key(&Code::Ok), "{codes:?}");
}

fn judge(path: &str, status: &Status) -> Code {
    let info = status.get_details_error_info();
    let allowed = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::AlreadyExists,
        Code::ResourceExhausted,
        Code::PermissionDenied,
    ];
    assert!(allowed.contains(&status.code()), "{path}: {status:?}");
    assert!(info.is_some_and(|info| !info.reason.is_empty()), "{path}: no reason in {status:?}");
    if status.code() == Code::InvalidArgument {
        let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        assert!(
            fields.iter().all(|field| !field.field.is_empty() && !field.description.is_empty()),
            "{path}: {status:?}"
        );
        assert!(!fields.is_empty(), "{path}: no field in {status:?}");
    }
    status.code()
}
