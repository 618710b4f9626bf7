//! Invalid input for every method, generated from the descriptors: it is refused with a code, a reason and the field's
//! name, and is never answered with INTERNAL.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, Once},
    time::Instant,
};

use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{As, TestSuite, call_raw, request_id};
use futures::{StreamExt, stream};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind as FieldKind, MapKey, MessageDescriptor, Value, prost::Message,
};
use rand::{
    Rng, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use frontdesk_tests::fixture::{Declared, Fixture, dotted, methods, strings, with};

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
        let integers = [0, 1, -1, 2, 50, 200, 201, 1_001, i32::MAX, i32::MIN];
        let seconds = [0, 1, -1, 60, 600, 315_576_000_001, i64::MAX, i64::MIN];
        match field.kind() {
            FieldKind::Bool => Value::Bool(self.random.random()),
            FieldKind::Int32 => Value::I32(*integers.choose(&mut self.random).unwrap()),
            FieldKind::Int64 => Value::I64(*seconds.choose(&mut self.random).unwrap()),
            FieldKind::Enum(_) => {
                Value::EnumNumber([0, 1, 2, 3, 99, -1, i32::MAX].choose(&mut self.random).copied().unwrap())
            }
            FieldKind::String => Value::String(self.text(field)),
            FieldKind::Message(message) => Value::Message(self.message(&message, depth + 1)),
            other => panic!("the contract has a field of kind {other:?}: add random values for it"),
        }
    }

    /// A map with valid and invalid keys, from text to text.
    fn map(&mut self, field: &FieldDescriptor, count: usize) -> Value {
        let pairs = (0..count).map(|number| {
            let key = if self.random.random() { format!("property_{number}") } else { self.text(field) };
            (MapKey::String(key), Value::String(self.text(field)))
        });
        Value::Map(pairs.collect())
    }

    /// A message with random fields. Of a oneof it has the last one that was chosen.
    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        let mut message = DynamicMessage::new(descriptor.clone());
        for field in descriptor.fields() {
            if depth > 4 || self.random.random_range(0..10) == 0 {
                continue;
            }
            let count = *[0, 1, 1, 2, 3, 25, 101].choose(&mut self.random).unwrap();
            let value = if field.is_map() {
                self.map(&field, count)
            } else if field.is_list() {
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

/// Strings from known attacks; each replaces a valid string in a valid request.
fn hostile() -> Vec<String> {
    let mut strings: Vec<String> = [
        "' OR '1'='1",
        "'; DROP TABLE conversations; --",
        "\\'; DELETE FROM contacts WHERE ''='",
        "1); SELECT pg_sleep(10); --",
        "%' AND 1=CAST((SELECT version()) AS int) --",
        "$1",
        "{identity}",
        "{{7*7}}",
        "${jndi:ldap://x.example/a}",
        "<%= 7*7 %>",
        "{% include '/etc/passwd' %}",
        "<img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "\"><svg onload=alert(1)>",
        "a\r\nBcc: x@y.example",
        "a\nSubject: other\n\nbody",
        "x@y.example>\r\nRCPT TO:<z@y.example",
        "\r\n.\r\nMAIL FROM:<x@y.example>\r\n",
        "grpc-status: 0",
        "../../../../etc/passwd",
        "..\\..\\windows\\win.ini",
        "file:///etc/passwd",
        "/dev/zero",
        "CON",
        "\0",
        "a\0b",
        "%00",
        "\u{202e}drawkcab",
        "\u{2066}hidden\u{2069}",
        "\u{200b}",
        "\u{feff}",
        "\u{fffd}\u{ffff}",
        "\u{0}\u{1}\u{1f}\u{7f}\u{85}\u{9f}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "a\u{301}\u{301}\u{301}\u{301}",
        "\u{dfff0}",
        "2026-02-30T25:61:61Z",
        "0000-00-00",
        "+99999-12-31T23:59:59Z",
        "P1Y2M10DT2H30M",
        "-1s",
        "1e999",
        "NaN",
        "-9223372036854775809",
        "00000000-0000-0000-0000-000000000000",
        "{01890a5d-ac96-774b-bcce-b302099a8057}",
        "urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057",
        "01890a5dac96774bbcceb302099a8057",
        "frontdesk.>",
        "a.*.b",
        "*",
    ]
    .map(String::from)
    .into();
    strings.extend([1_025, 10_001, 70_000].map(|length| "y".repeat(length)));
    strings.push("\u{1f4a5}".repeat(10_001));
    strings.push("e\u{301}".repeat(5_000));
    strings.push("[".repeat(5_000));
    strings
}

/// Invalid durations and times: seconds and nanoseconds.
const TIMES: [(i64, i32); 8] =
    [(i64::MAX, 0), (i64::MIN, 0), (315_576_000_001, 0), (-1, 0), (1, -1), (-1, 1), (0, 1_000_000_000), (60, i32::MIN)];

/// Locations of panics in the services, background tasks included.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            if location.contains("services/") {
                PANICS.lock().unwrap().push(location);
            }
            default(panic);
        }));
    });
}

struct Try {
    number: usize,
    path: String,
    what: String,
    principal: Principal,
    input: MessageDescriptor,
    request: Vec<u8>,
}

/// Moves to the end what deletes the resources of the test, or expires its tokens.
fn destructive_last(tries: &mut [Try]) {
    tries.sort_by_key(|one| ["Delete", "Deactivate", "AdvanceTime"].iter().any(|word| one.path.contains(word)));
}

/// Random requests, from each kind of caller in turn, and bytes that are not a message.
fn generated(fuzz: &mut Fuzz, methods: &[Declared], count: usize) -> Vec<Try> {
    let rounds = count.div_ceil(methods.len());
    let mut tries = Vec::new();
    for Declared { method, path, principals, .. } in methods {
        for round in 0..rounds {
            if round % 2 == 0 {
                fuzz.known.insert("request_id", request_id());
            }
            let request = match round {
                0 => vec![0xff; 40],
                1 => vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
                2 => vec![0x0a, 0x02, 0xc3, 0x28],
                _ => fuzz.message(&method.input(), 0).encode_to_vec(),
            };
            let principal = principals[round % principals.len()];
            let what = format!("generated, round {round}");
            tries.push(Try { number: 0, path: path.clone(), what, principal, input: method.input(), request });
        }
    }
    tries
}

/// Valid requests with one invalid field: every field of every method in turn, with hostile strings.
fn with_hostile_fields(fuzz: &mut Fuzz, fixture: &Fixture, methods: &[Declared], count: usize) -> Vec<Try> {
    let (texts, mut rounds) = (hostile(), Vec::new());
    for Declared { method, path, principals, .. } in methods {
        let mut tried = |what: String, request: DynamicMessage| {
            let principal = *principals.choose(&mut fuzz.random).unwrap();
            let (input, request) = (method.input(), request.encode_to_vec());
            Try { number: 0, path: path.clone(), what, principal, input, request }
        };
        let mut covered = BTreeSet::new();
        for good in fixture.requests(method) {
            for field_path in strings(&good) {
                if !covered.insert(dotted(&field_path)) {
                    continue;
                }
                let mut values = texts.clone();
                values.shuffle(&mut StdRng::seed_from_u64(rounds.len() as u64));
                let each = values.into_iter().map(|text| {
                    let what = format!("{} = {:.60?}", dotted(&field_path), text);
                    tried(what, with(&good, &field_path, &Value::String(text)))
                });
                rounds.push(each.collect::<Vec<_>>().into_iter());
            }
        }
        let good = fixture.request(method);
        for field in method.input().fields() {
            let FieldKind::Message(kind) = field.kind() else { continue };
            if !["google.protobuf.Duration", "google.protobuf.Timestamp"].contains(&kind.full_name()) {
                continue;
            }
            let each = TIMES.map(|(seconds, nanos)| {
                let mut time = DynamicMessage::new(kind.clone());
                time.set_field_by_name("seconds", Value::I64(seconds));
                time.set_field_by_name("nanos", Value::I32(nanos));
                tried(
                    format!("{} = {seconds} s {nanos} ns", field.name()),
                    with(&good, std::slice::from_ref(&field), &Value::Message(time)),
                )
            });
            rounds.push(Vec::from(each).into_iter());
        }
    }
    let mut tries = Vec::new();
    while tries.len() < count {
        let before = tries.len();
        tries.extend(rounds.iter_mut().filter_map(Iterator::next));
        assert!(tries.len() > before, "fewer than {count} hostile strings");
    }
    tries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_bad_input_is_refused_with_the_fields_name_and_is_never_internal() {
    const GENERATED: usize = 10_000;
    const HOSTILE: usize = 2_000;
    const AT_ONCE: usize = 16;
    watch_panics();
    let suite = TestSuite::start_with(|settings| settings.telemetry.log = "off".into()).await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let fixture = Fixture::new(account, "fuzz").await;
    let mut known = fixture.ids.clone();
    known.extend([
        ("page_url", "https://shop.example/".to_owned()),
        ("website_url", "https://shop.example/".to_owned()),
        ("text", "hello".to_owned()),
        ("name", "Name".to_owned()),
    ]);
    let seed: u64 = std::env::var("FRONTDESK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("seed {seed}: repeat with FRONTDESK_SEED={seed}");
    let mut fuzz = Fuzz { random: StdRng::seed_from_u64(seed), known };
    let mut methods = methods();
    // It would end the account of all other calls.
    methods.retain(|method| method.method.name() != "EndAccount");
    let mut tries = generated(&mut fuzz, &methods, GENERATED);
    tries.extend(with_hostile_fields(&mut fuzz, &fixture, &methods, HOSTILE));
    // Shuffled, since each call of a stream waits for a while.
    tries.shuffle(&mut fuzz.random);
    destructive_last(&mut tries);
    tries.iter_mut().enumerate().for_each(|(number, one)| one.number = number);
    let count = tries.len();

    let began = Instant::now();
    let callers: HashMap<i32, As> =
        tries.iter().map(|one| (one.principal as i32, fixture.caller(one.principal))).collect();
    let codes: BTreeMap<String, usize> = stream::iter(tries)
        .map(|one| {
            let (caller, request) = (&callers[&(one.principal as i32)], fixture.call(one.principal, &one.request));
            async move {
                match call_raw(caller, &one.path, request).await {
                    Ok(_) => Code::Ok,
                    Err(status) => check_refusal(&one, seed, &status),
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .fold(BTreeMap::new(), async |mut codes, code| {
            *codes.entry(format!("{code:?}")).or_default() += 1;
            codes
        })
        .await;
    println!("{count} calls of {} methods in {:.1?}: {codes:?}", methods.len(), began.elapsed());
    assert!(count >= GENERATED + HOSTILE);
    assert!(codes["InvalidArgument"] > 2_000 && codes["Ok"] > 500, "{codes:?}");
    assert_eq!(*PANICS.lock().unwrap(), Vec::<String>::new(), "seed {seed}");
}

/// Returns the code of the refusal. Fails unless the refusal has a reason and, for invalid fields, names a field of the
/// request.
fn check_refusal(one: &Try, seed: u64, status: &Status) -> Code {
    let Try { number, path, what, principal, .. } = one;
    let at = format!("call {number} of seed {seed}, {path} as {principal:?}, {what}: {status:?}");
    let allowed = [
        Code::InvalidArgument,
        Code::NotFound,
        Code::FailedPrecondition,
        Code::Aborted,
        Code::ResourceExhausted,
        Code::PermissionDenied,
        Code::AlreadyExists,
        Code::OutOfRange,
    ];
    assert!(allowed.contains(&status.code()), "{at}");
    assert!(status.get_details_error_info().is_some_and(|info| !info.reason.is_empty()), "no reason: {at}");
    if status.code() == Code::InvalidArgument {
        let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        assert!(!fields.is_empty(), "no field: {at}");
        for field in fields {
            let name = field.field.split(['.', '[']).next().unwrap_or_default();
            let is_oneof = one.input.oneofs().any(|oneof| oneof.name() == name);
            let known = name == "request" || is_oneof || one.input.get_field_by_name(name).is_some();
            assert!(known && !field.description.is_empty(), "{:?} is not a field of the request: {at}", field.field);
        }
    }
    status.code()
}
