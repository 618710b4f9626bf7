//! Page tokens and cursors that were changed, swapped or kept too long.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    auth::v1::Principal,
    conversation::v1::{RotateVisitorKeyRequest, channel_service_client::ChannelServiceClient},
};
use frontdesk_tests::{
    Account, As, TestSuite, call_raw,
    fixture::{Declared, Fixture, methods},
    reason, request_id, wait_for,
};
use futures::{StreamExt, stream};
use prost_reflect::{DynamicMessage, Kind as FieldKind, Value, prost::Message};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

/// A list method, and the token of its second page.
struct Paged {
    declared: Declared,
    /// Kind of the caller: an agent, unless the method does not admit agents.
    principal: Principal,
    /// A request with the fields that the method requires.
    required: DynamicMessage,
    token: String,
}

impl Paged {
    fn request(&self, token: &str) -> DynamicMessage {
        let mut request = self.required.clone();
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

/// A fixture in which every list has two rows.
async fn two_of_each(account: Account, word: &str) -> Fixture {
    account.fallback_sender().await;
    account.fallback_sender().await;
    let mut fixture = Fixture::new(account, word).await;
    // The closed chat had two owners: none, then the agent.
    fixture.ids.insert("conversation_id", fixture.closed.id.clone());
    for _ in 0..2 {
        let channel_id = fixture.ids["channel_id"].clone();
        let rotate = RotateVisitorKeyRequest { channel_id, request_id: request_id(), ..Default::default() };
        ChannelServiceClient::new(fixture.account.admin()).rotate_visitor_key(rotate).await.unwrap();
    }
    fixture
}

/// Every list method, called for a first page of one row.
async fn all_pages(fixture: &Fixture) -> Vec<Paged> {
    let mut all = Vec::new();
    for declared in methods() {
        let (input, output) = (declared.method.input(), declared.method.output());
        if input.get_field_by_name("page_token").is_none() || output.get_field_by_name("next_page_token").is_none() {
            continue;
        }
        let principal =
            if declared.principals.contains(&Principal::Agent) { Principal::Agent } else { declared.principals[0] };
        let caller = fixture.caller(principal);
        let required = fixture.smallest_request(&declared, principal).await;
        let paged = Paged { declared, principal, required, token: String::new() };
        let two_rows = format!("{}: two rows in two_of_each or tests/suite/fixture.rs", paged.declared.path);
        let token = wait_for(&two_rows, || async {
            let first = paged.ask(&caller, paged.request("")).await.unwrap();
            let first = DynamicMessage::decode(output.clone(), first.as_slice()).unwrap();
            let token = first.get_field_by_name("next_page_token").unwrap().as_str().unwrap().to_owned();
            (!token.is_empty()).then_some(token)
        })
        .await;
        paged.ask(&caller, paged.request(&token)).await.expect("the page after it");
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
    const FLIPS: usize = 600;
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    let (ours, theirs) = tokio::join!(two_of_each(one, "ourword"), two_of_each(two, "theirword"));
    let (pages, foreign) = (all_pages(&ours).await, all_pages(&theirs).await);
    let callers: Vec<As> = pages.iter().map(|page| ours.caller(page.principal)).collect();

    // Flipped bits: every one for the first method, and hundreds for each of the others.
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
            page.refuses(&callers[kind], page.request(&token), &token).await;
        })
        .await;

    // Valid tokens of another caller, another method or another filter.
    let admin = ours.caller(Principal::Admin);
    let colleague = ours.account.agent("Cara").await.1;
    let mut swaps = 0_usize;
    for ((page, of_theirs), caller) in pages.iter().zip(&foreign).zip(&callers) {
        page.refuses(caller, page.request(&of_theirs.token), "another account's").await;
        let their_caller = theirs.caller(of_theirs.principal);
        page.refuses(&their_caller, of_theirs.request(&page.token), "in another account").await;
        for (other, who) in [(&admin, "an administrator"), (&colleague, "a colleague")] {
            if page.principal != Principal::Admin && page.ask(other, page.request("")).await.is_ok() {
                page.refuses(other, page.request(&page.token), who).await;
                swaps += 1;
            }
        }
        for other in &pages {
            if other.declared.path != page.declared.path {
                page.refuses(caller, page.request(&other.token), &format!("of {}", other.declared.path)).await;
                swaps += 1;
            }
        }
        let valid = ours.request(&page.declared.method);
        for field in page.declared.method.input().fields() {
            if field.name().starts_with("page_") || page.required.has_field(&field) {
                continue;
            }
            let value = match field.kind() {
                _ if valid.has_field(&field) => valid.get_field(&field).into_owned(),
                FieldKind::Enum(_) if field.is_list() => Value::List(vec![Value::EnumNumber(2)]),
                FieldKind::Enum(_) => Value::EnumNumber(2),
                FieldKind::Bool => Value::Bool(true),
                _ if field.name() == "email" => Value::String("x@example.com".into()),
                _ => Value::String("x".into()),
            };
            let mut filtered = page.request(&page.token);
            filtered.set_field(&field, value);
            page.refuses(caller, filtered, &format!("with another {}", field.name())).await;
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
    for (page, caller) in pages.iter().zip(&callers) {
        page.refuses(caller, page.request(&bearer), "a caller's token").await;
        let refused = page.ask(&ours.account.with_token(&page.token), page.request("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{}", page.declared.path);
        page.ask(caller, page.request(&page.token)).await.expect("the page token stays valid for its own call");
    }
    suite.advance(Duration::from_secs(24 * 3600 + 1));
    for (page, caller) in pages.iter().zip(&callers) {
        page.refuses(caller, page.request(&page.token), "after its day").await;
    }
    println!(
        "{} kinds of tokens: {flips} flipped, {altered} cut or assembled, {swaps} swapped: none accepted",
        pages.len()
    );
}

/// Reads and watches after a number: every method with such a field.
#[tokio::test]
async fn s5_c10_a_number_beyond_the_end_of_a_thread_is_out_of_range() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let fixture = Fixture::new(account, "ourword").await;
    let chat = Account::conversation(&fixture.agent, &fixture.ids["conversation_id"]).await;
    let mut tried = Vec::new();
    for Declared { method, path, principals, .. } in methods() {
        let Some(cursor) = method.input().fields().find(|field| field.name().starts_with("after_")) else { continue };
        let last = match (method.name(), cursor.name()) {
            ("ListTurnEntries", _) => {
                Account::conversation(&fixture.agent, &fixture.of_engine.0.id).await.last_sequence
            }
            (_, "after_visitor_sequence") => chat.last_visitor_sequence,
            _ => chat.last_sequence,
        };
        let principal = principals[0];
        let caller = fixture.caller(principal);
        let ask = async |number: i32| {
            let mut request = fixture.request(&method);
            request.set_field(&cursor, Value::I32(number));
            call_raw(&caller, &path, Request::new(request.encode_to_vec())).await
        };
        for number in [-1, i32::MIN] {
            let refused = ask(number).await.unwrap_err();
            let fields = refused.get_details_bad_request().unwrap().field_violations;
            assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, cursor.name()), "{path}");
        }
        ask(last).await.unwrap_or_else(|status| panic!("{path} after the last: {status:?}"));
        // Also where another thread is longer.
        for number in [last + 1, 1_000, i32::MAX] {
            let refused = ask(number).await.expect_err(&path);
            let expected = (Code::OutOfRange, "CURSOR_OUT_OF_RANGE".to_owned());
            assert_eq!((refused.code(), reason(&refused)), expected, "{path} after {number}: {refused:?}");
            let metadata = refused.get_details_error_info().unwrap().metadata;
            assert_eq!(metadata["last_sequence"], last.to_string(), "{path}");
        }
        tried.push(method.name().to_owned());
    }
    assert_eq!(tried, ["ListTurnEntries", "ListEntries", "WatchThread", "ListChatEntries", "WatchChat"]);
}
