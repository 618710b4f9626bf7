//! Page tokens and cursors that were changed, swapped or kept too long.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{
    As, TestSuite, call_raw,
    fixture::{Declared, Fixture, methods},
};
use futures::{StreamExt, stream};
use prost_reflect::{DynamicMessage, Kind as FieldKind, Value, prost::Message};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// A list method, and the token of its second page.
struct Paged {
    declared: Declared,
    token: String,
}

impl Paged {
    fn request(&self, token: &str) -> DynamicMessage {
        let mut request = DynamicMessage::new(self.declared.method.input());
        request.set_field_by_name("page_size", Value::I32(1));
        request.set_field_by_name("page_token", Value::String(token.to_owned()));
        request
    }

    async fn ask(&self, caller: &As, request: DynamicMessage) -> Result<Vec<u8>, Status> {
        call_raw(caller, &self.declared.path, Request::new(request.encode_to_vec())).await
    }

    async fn refuses(&self, caller: &As, request: DynamicMessage, what: &str) {
        let at = format!("{}: {what}", self.declared.path);
        let refused = self.ask(caller, request).await.expect_err(&at);
        let fields = refused.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
        let named: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
        assert_eq!((refused.code(), named), (Code::InvalidArgument, vec!["page_token"]), "{at}: {refused:?}");
    }
}

/// Every list method, called for a first page of one row.
async fn all_pages(fixture: &Fixture) -> Vec<Paged> {
    let mut all = Vec::new();
    for declared in methods() {
        let (input, output) = (declared.method.input(), declared.method.output());
        if input.get_field_by_name("page_token").is_none() || output.get_field_by_name("next_page_token").is_none() {
            continue;
        }
        let paged = Paged { declared, token: String::new() };
        let first = paged.ask(&fixture.agent, paged.request("")).await.unwrap();
        let first = DynamicMessage::decode(output, first.as_slice()).unwrap();
        let token = first.get_field_by_name("next_page_token").unwrap().as_str().unwrap().to_owned();
        assert!(!token.is_empty(), "{} needs two rows in tests/suite/fixture.rs", paged.declared.path);
        paged.ask(&fixture.agent, paged.request(&token)).await.expect("the page after it");
        all.push(Paged { token, ..paged });
    }
    all
}

/// The token with one bit of one character flipped. The highest bit is left, since a string field must be UTF-8.
fn flipped(token: &str) -> Vec<String> {
    let flip = |position: usize, bit: u8| {
        let mut bytes = token.as_bytes().to_vec();
        bytes[position] ^= 1 << bit;
        String::from_utf8(bytes).unwrap()
    };
    (0..token.len()).flat_map(|position| (0..7).map(move |bit| flip(position, bit))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s5_a_page_token_is_valid_for_its_caller_its_call_and_its_day_only() {
    const FLIPS: usize = 1_000;
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(Fixture::new(one, "ourword"), Fixture::new(two, "theirword"));
    let (pages, foreign) = (all_pages(&ours).await, all_pages(&theirs).await);
    let agent = &ours.agent;

    // Flipped bits: every one for the first method, and more than a thousand for each of the others.
    let mut tries: Vec<(usize, String)> = Vec::new();
    for (kind, page) in pages.iter().enumerate() {
        let all = flipped(&page.token);
        let step = if kind == 0 { 1 } else { all.len() / FLIPS };
        let before = tries.len();
        tries.extend(all.into_iter().step_by(step).map(|token| (kind, token)));
        assert!(tries.len() - before >= FLIPS, "{} has {} flips", page.declared.path, tries.len() - before);
    }
    let flips = tries.len();
    // Cut tokens, and tokens assembled from parts of valid ones.
    for (kind, page) in pages.iter().enumerate() {
        let token = &page.token;
        let other = &pages[(kind + 1) % pages.len()].token;
        let (parts, others): (Vec<_>, Vec<_>) = (token.split('.').collect(), other.split('.').collect());
        let cuts = (1..token.len()).step_by(if kind == 0 { 1 } else { 17 });
        tries.extend(cuts.flat_map(|at| [(kind, token[..at].to_owned()), (kind, token[at..].to_owned())]));
        let none = "eyJhbGciOiJub25lIn0";
        let assembled = [
            format!("{token}x"),
            format!("{token}="),
            format!(" {token}"),
            format!("{token}\n"),
            format!("{token}{token}"),
            format!("{token}.{token}"),
            format!("{}.{}.{}", parts[0], others[1], parts[2]),
            format!("{}.{}.{}", parts[0], parts[1], others[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{none}.{}.", parts[1]),
            format!("{none}.{}.{}", parts[1], parts[2]),
            "1".into(),
            "0".into(),
            "null".into(),
        ];
        tries.extend(assembled.into_iter().map(|token| (kind, token)));
    }
    let altered = tries.len() - flips;
    stream::iter(tries)
        .for_each_concurrent(16, async |(kind, token)| {
            let page = &pages[kind];
            page.refuses(agent, page.request(&token), &token).await;
        })
        .await;

    // Valid tokens of another caller, another method or another filter.
    let admin = ours.caller(Principal::Admin);
    let colleague = ours.account.agent("Cara").await.1;
    let mut swaps = 0_usize;
    for (page, of_theirs) in pages.iter().zip(&foreign) {
        page.refuses(agent, page.request(&of_theirs.token), "another account's").await;
        page.refuses(&theirs.agent, page.request(&page.token), "in another account").await;
        for (caller, who) in [(&admin, "an administrator"), (&colleague, "a colleague")] {
            if page.ask(caller, page.request("")).await.is_ok() {
                page.refuses(caller, page.request(&page.token), who).await;
                swaps += 1;
            }
        }
        for other in &pages {
            if other.declared.path != page.declared.path {
                page.refuses(agent, page.request(&other.token), &format!("of {}", other.declared.path)).await;
                swaps += 1;
            }
        }
        for field in page.declared.method.input().fields() {
            let value = match (field.kind(), field.name()) {
                (_, "page_size" | "page_token") => continue,
                (FieldKind::Enum(_), _) => Value::EnumNumber(2),
                (_, "email") => Value::String(ours.address()),
                (_, name) => Value::String(ours.ids[name].clone()),
            };
            let mut filtered = page.request(&page.token);
            filtered.set_field(&field, value);
            page.refuses(agent, filtered, &format!("with another {}", field.name())).await;
            swaps += 1;
        }
        swaps += 2;
    }

    // A caller's token is not a page token, and a page token authenticates no caller.
    let claims = ours.account.keys.claims(
        ours.account.id,
        CallerKind::Agent,
        &ours.agent_id.to_string(),
        Duration::from_secs(600),
    );
    let bearer = ours.account.keys.mint(&claims).unwrap();
    for page in &pages {
        page.refuses(agent, page.request(&bearer), "a caller's token").await;
        let refused = page.ask(&ours.account.with_token(&page.token), page.request("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{}", page.declared.path);
        page.ask(agent, page.request(&page.token)).await.expect("the page token stays valid for its own call");
    }
    suite.advance(Duration::from_secs(24 * 3600 + 1));
    for page in &pages {
        page.refuses(agent, page.request(&page.token), "after its day").await;
    }
    println!(
        "{} kinds of tokens: {flips} flipped, {altered} cut or assembled, {swaps} swapped: none accepted",
        pages.len()
    );
}

#[tokio::test]
async fn s5_a_stream_cursor_is_a_sequence_of_the_callers_own_thread() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let fixture = Fixture::new(account, "ourword").await;
    let watches = methods().into_iter().filter(|declared| declared.method.is_server_streaming());
    let mut tried = 0;
    for Declared { method, path, principals, .. } in watches {
        let principal = principals[0];
        let caller = fixture.caller(principal);
        let cursor = method.input().fields().find(|field| field.name().starts_with("after_")).expect("a cursor");
        let ask = async |number: i64| {
            let mut request = fixture.request(&method);
            request.set_field(&cursor, Value::I64(number));
            call_raw(&caller, &path, Request::new(request.encode_to_vec())).await
        };
        for number in [-1, i64::MIN] {
            let refused = ask(number).await.unwrap_err();
            let fields = refused.get_details_bad_request().unwrap().field_violations;
            assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, cursor.name()), "{path}");
            tried += 1;
        }
        // After the end of the thread the stream is empty, also where another thread is longer.
        for number in [1_000, i64::from(i32::MAX) + 1, i64::MAX] {
            assert_eq!(ask(number).await.unwrap(), Vec::<u8>::new(), "{path} after {number}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
}
