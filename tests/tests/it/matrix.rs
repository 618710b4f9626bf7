//! Every method that the running servers tell of, for every kind of caller, with ids that are theirs, another's and nobody's.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{As, TestSuite, reason, request_id};
use prost_reflect::{
    DynamicMessage, MessageDescriptor, ReflectMessage, Value, prost::Message, prost_types::FileDescriptorProto,
};
use tonic::{Code, Request, Status, transport::Channel};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    bad_input::{call_raw, call_with},
    world::{Declared, World, methods, strings, with, written},
};

const KINDS: [Principal; 5] =
    [Principal::Visitor, Principal::Agent, Principal::Bot, Principal::Service, Principal::Admin];

/// One address of each process kind that serves a part of the contract.
fn addresses(suite: &TestSuite) -> Vec<String> {
    let peers = &suite.settings.peers;
    let several = [&peers.conversation, &peers.assignment, &peers.bot_session, &peers.notification];
    let first = several.iter().filter_map(|all| all.split(',').next()).filter(|address| !address.is_empty());
    let addresses: Vec<String> = first.map(str::to_owned).collect();
    if addresses.is_empty() { vec![suite.address.clone()] } else { addresses }
}

async fn reflect(address: &str, asked: MessageRequest) -> MessageResponse {
    let channel = Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap();
    let question = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(question)).await;
    answers.unwrap().into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

/// What the server tells of itself: each service with its methods, and what goes in and comes out of each.
async fn served(address: &str) -> BTreeMap<String, BTreeSet<String>> {
    let MessageResponse::ListServicesResponse(listed) =
        reflect(address, MessageRequest::ListServices("*".into())).await
    else {
        panic!("{address} lists nothing");
    };
    let mut served = BTreeMap::new();
    for name in listed.service.into_iter().map(|service| service.name) {
        let asked = MessageRequest::FileContainingSymbol(name.clone());
        let MessageResponse::FileDescriptorResponse(found) = reflect(address, asked).await else {
            panic!("{address} does not describe {name}");
        };
        let files =
            found.file_descriptor_proto.iter().map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap());
        let methods = files.flat_map(|file| {
            let services =
                file.service.iter().filter(|service| format!("{}.{}", file.package(), service.name()) == name);
            services.flat_map(|service| service.method.clone()).collect::<Vec<_>>()
        });
        let told = methods.map(|method| {
            let types = [method.input_type(), method.output_type()].map(|name| name.trim_start_matches('.'));
            format!("{} {} {} {}", method.name(), types[0], types[1], method.server_streaming())
        });
        let methods = told.collect();
        served.insert(name, methods);
    }
    served
}

/// The same of the compiled descriptors.
fn contract() -> BTreeMap<String, BTreeSet<String>> {
    let mut contract: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Declared { method, .. } in methods() {
        let (input, output) = (method.input(), method.output());
        let told =
            format!("{} {} {} {}", method.name(), input.full_name(), output.full_name(), method.is_server_streaming());
        contract.entry(method.parent_service().full_name().to_owned()).or_default().insert(told);
    }
    contract
}

#[tokio::test]
async fn s1_what_is_served_is_the_contract_and_nothing_else() {
    let suite = TestSuite::start().await;
    let mut told = BTreeMap::new();
    for address in addresses(&suite) {
        told.extend(served(&address).await);
    }
    assert!(told.remove("grpc.health.v1.Health").is_some(), "{told:?}");
    told.remove("grpc.reflection.v1.ServerReflection");
    let contract = contract();
    assert_eq!(told, contract, "what reflection tells, and the contract");
    let account = suite.account().await;
    for Declared { path, .. } in methods() {
        let code = call_raw(&account.admin(), &path, Vec::new()).await.err().map(|status| status.code());
        assert_ne!(code, Some(Code::Unimplemented), "{path} is in the contract and not served");
    }
    println!("{} services, {} methods", contract.len(), contract.values().map(BTreeSet::len).sum::<usize>());
}

/// Callers of every kind, with empty hands: an empty request tells who got past the gate from who did not.
#[tokio::test]
async fn s1_every_method_is_refused_to_kinds_that_are_not_declared() {
    let suite = TestSuite::start().await;
    let (account, other) = (suite.account().await, suite.account().await);
    let subject = frontdesk_clock::testing::new_id().to_string();
    let minted = |kind: CallerKind, change: &dyn Fn(&mut frontdesk_auth::Claims)| {
        let subject = if kind == CallerKind::Visitor { "v" } else { &subject };
        let mut claims = account.keys.claims(account.id, kind, subject, Duration::from_secs(600));
        change(&mut claims);
        account.keys.mint(&claims).unwrap()
    };
    let kind = |principal: Principal| {
        [CallerKind::Visitor, CallerKind::Agent, CallerKind::Bot, CallerKind::Service, CallerKind::Admin]
            .into_iter()
            .find(|kind| kind.principal() == principal)
            .unwrap()
    };
    // Of every kind: a token that ended, one that has not begun, one whose signature is another token's.
    let mut strangers = vec![("no token", account.nobody()), ("no token at all", account.with_token("not.a.token"))];
    for kind in KINDS.map(kind) {
        let past = minted(kind, &|claims| (claims.nbf, claims.exp) = (claims.nbf - 900, claims.nbf - 300));
        let early = minted(kind, &|claims| (claims.nbf, claims.exp) = (claims.nbf + 300, claims.exp + 900));
        let (good, another) = (minted(kind, &|_| {}), minted(kind, &|claims| claims.account = other.id));
        let (head, _) = another.rsplit_once('.').unwrap();
        let patched = format!("{head}.{}", good.rsplit_once('.').unwrap().1);
        strangers.push(("an expired token", account.with_token(&past)));
        strangers.push(("a token of tomorrow", account.with_token(&early)));
        strangers.push(("another token's signature", account.with_token(&patched)));
    }
    let all = account.keys.claims(account.id, CallerKind::Admin, "a", Duration::from_secs(60)).permissions;
    let known: Vec<(Principal, As)> = KINDS
        .into_iter()
        .map(|principal| {
            let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = all.clone();
            (principal, account.with_token(&minted(kind(principal), &permit)))
        })
        .collect();
    let mut calls = 0_usize;
    for Declared { path, principals, permission, .. } in methods() {
        for (who, caller) in &strangers {
            let refused = call_raw(caller, &path, Vec::new()).await.unwrap_err();
            let told = (refused.code(), reason(&refused));
            assert_eq!(told, (Code::Unauthenticated, "NOT_AUTHENTICATED".into()), "{path} with {who}");
            calls += 1;
        }
        for (principal, caller) in &known {
            let told = call_raw(caller, &path, Vec::new()).await.err().map(|status| (status.code(), reason(&status)));
            let code = told.as_ref().map(|(code, _)| *code);
            calls += 1;
            if principals.contains(principal) {
                let passed = !matches!(
                    code,
                    Some(Code::Unauthenticated | Code::Unimplemented | Code::PermissionDenied | Code::Internal)
                );
                assert!(passed, "{path} as {principal:?}: {told:?}");
            } else {
                assert_eq!(told, Some((Code::PermissionDenied, "NOT_PERMITTED".into())), "{path} as {principal:?}");
            }
        }
        for principal in principals.iter().filter(|principal| [Principal::Agent, Principal::Admin].contains(principal))
        {
            if permission.is_empty() {
                continue;
            }
            let kind = kind(*principal);
            let without = minted(kind, &|claims| {
                claims.permissions = all.iter().filter(|one| **one != permission).cloned().collect()
            });
            let only = minted(kind, &|claims| claims.permissions = vec![permission.clone()]);
            let refused = call_raw(&account.with_token(&without), &path, Vec::new()).await.unwrap_err();
            let details = refused.get_details_error_info().unwrap();
            assert_eq!(
                (refused.code(), details.metadata["permission"].as_str()),
                (Code::PermissionDenied, permission.as_str()),
                "{path}"
            );
            let code = call_raw(&account.with_token(&only), &path, Vec::new()).await.err().map(|status| status.code());
            assert!(!matches!(code, Some(Code::PermissionDenied | Code::Unauthenticated)), "{path} with {permission}");
            calls += 2;
        }
    }
    println!("{calls} calls of {} methods", methods().len());
}

/// An answer, without what differs between two calls that are answered alike: times, etags, and ids in one spelling.
#[derive(Debug, PartialEq)]
struct Told {
    code: Code,
    message: String,
    reason: String,
    facts: BTreeMap<String, String>,
    fields: Vec<(String, String)>,
    details: Vec<u8>,
    answer: String,
}

fn told(method: &Declared, world: &World, answer: Result<Vec<u8>, Status>) -> Told {
    match answer {
        Ok(bytes) => {
            let answer = DynamicMessage::decode(method.method.output(), bytes.as_slice()).unwrap();
            let mut plain = String::new();
            write_plain(&mut plain, &Value::Message(answer));
            Told {
                code: Code::Ok,
                message: String::new(),
                reason: String::new(),
                facts: BTreeMap::new(),
                fields: Vec::new(),
                details: Vec::new(),
                answer: plain.replace(&world.word, "<word>"),
            }
        }
        Err(status) => {
            let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason in {status:?}"));
            let facts: BTreeMap<String, String> =
                info.metadata.into_iter().map(|(key, value)| (key, masked(&value))).collect();
            let fields = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
            Told {
                code: status.code(),
                message: status.message().replace(&world.word, "<word>"),
                reason: info.reason,
                // Several facts are written in any order.
                details: if facts.len() > 1 { Vec::new() } else { status.details().to_vec() },
                facts: facts.into_iter().map(|(key, value)| (key, value.replace(&world.word, "<word>"))).collect(),
                fields: fields.into_iter().map(|field| (field.field, field.description)).collect(),
                answer: String::new(),
            }
        }
    }
}

fn masked(text: &str) -> String {
    if text.parse::<Uuid>().is_ok() { "<id>".into() } else { text.to_owned() }
}

fn write_plain(plain: &mut String, value: &Value) {
    match value {
        Value::Message(message) if message.descriptor().full_name() == "google.protobuf.Timestamp" => {
            plain.push_str("<time>")
        }
        Value::Message(message) => {
            for (field, value) in message.fields() {
                if ["etag", "handle", "email", "address", "message_id", "key_id", "secret", "mail"]
                    .contains(&field.name())
                {
                    continue;
                }
                plain.push_str(&format!(" {}:", field.name()));
                match value {
                    Value::String(token) if field.name().ends_with("page_token") => {
                        plain.push_str(&token.is_empty().to_string())
                    }
                    value => write_plain(plain, value),
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| write_plain(plain, item)),
        Value::String(text) => plain.push_str(&masked(text)),
        other => plain.push_str(&format!("{other:?}")),
    }
}

/// Fields that are called ids and are names within a thing of the caller's.
const NOT_OF_THINGS: [&str; 4] = ["request_id", "id", "button_id", "next_step_id"];

/// Where an id that is not there is no refusal: a filter that leaves nothing, or a name that is kept as it is and means
/// something only to who owns it.
const NOT_LOOKED_UP: &[&str] = &[
    // A service has looked already.
    "ChangeAssignee.agent_id",
    "HandOffConversation.agent_id",
    // The outcome of each is in the answer.
    "CloseIdleConversations.conversations.account_id",
    "CloseIdleConversations.conversations.bot_session_id",
    "CloseIdleConversations.conversations.conversation_id",
    // An id that the account chooses: another's under the same one is another agent.
    "CreateAgent.agent_id",
    // Looked up when it is needed.
    "CreateBot.flow.steps.hand_off.agent_id",
    "UpdateBot.flow.steps.hand_off.agent_id",
    "ValidateFlow.flow.steps.hand_off.agent_id",
    "CreateChannel.transcript_sender_id",
    "UpdateChannel.transcript_sender_id",
    // Filters.
    "ListAssignments.conversation_id",
    "ListBotSessions.bot_id",
    "ListBotSessions.conversation_id",
    "ListChats.channel_id",
    "ListConversations.assignee_id",
    "ListConversations.channel_id",
    "ListConversations.contact_id",
    "ListDeliveries.conversation_id",
    "ListTickets.contact_id",
    "ListTickets.conversation_id",
    "ListTranscriptDecisions.conversation_id",
];

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id")
}

/// Does the call change the chat that it names, if the id in this other field is taken?
fn writes_to_a_chat(method: &Declared, field: &str) -> bool {
    let reads =
        ["Get", "List", "Watch", "Explain", "Preview"].iter().any(|word| method.method.name().starts_with(word));
    let of_open = !["TranscriptService", "ContactService"].contains(&method.method.parent_service().name());
    !reads
        && of_open
        && method.method.input().get_field_by_name("conversation_id").is_some()
        && field != "conversation_id"
}

/// What changes a thing comes after what only looks at it, and what begins with one of these words comes last.
fn in_order(last: &[&str]) -> Vec<Declared> {
    let mut methods = methods();
    methods.retain(|method| method.method.name() != "AdvanceTime");
    methods.sort_by_key(|method| {
        let name = method.method.name();
        let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        match () {
            () if begins(last) => 2,
            () if begins(&["Get", "List", "Watch", "Explain", "Preview", "Validate"]) => 0,
            () => 1,
        }
    });
    methods
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_s3_anothers_id_is_answered_exactly_as_one_that_does_not_exist() {
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(World::new(one, "ourword"), World::new(two, "theirword"));
    let (mut compared, mut silent) = (0_usize, BTreeSet::new());
    // An account may have an agent under the id of another's, and then it is its own.
    for method in &in_order(&["Create"]) {
        for principal in &method.principals {
            let (caller, request) = (ours.caller(*principal), ours.request(&method.method));
            let ask = async |message: &DynamicMessage| {
                let answer = call_with(&caller, &method.path, ours.call(*principal, &message.encode_to_vec())).await;
                let bytes = answer.as_ref().map_or_else(|status| format!("{status:?}").into_bytes(), Vec::clone);
                let leaked = String::from_utf8_lossy(&bytes).contains("theirword");
                assert!(!leaked, "{} tells {principal:?} of another account: {answer:?}", method.path);
                told(method, &ours, answer)
            };
            for place in strings(&request) {
                let name = place.last().unwrap().name();
                if !is_id(name) || NOT_OF_THINGS.contains(&name) {
                    continue;
                }
                let of_theirs =
                    theirs.ids.get(name).unwrap_or_else(|| panic!("{name} is an id: say of what, in world.rs"));
                let mut foreign = vec![("another account's", of_theirs)];
                if name == "chat_id" {
                    foreign.push(("another visitor's", &ours.another.id));
                }
                for (whose, id) in foreign {
                    // Each call has a request id of its own, as two callers have who know nothing of each other.
                    let fresh = async |id: &str| {
                        let mut message = ours.request(&method.method);
                        if writes_to_a_chat(method, name) {
                            message = ours.untouched(message).await;
                        }
                        with(&message, &place, &Value::String(id.to_owned()))
                    };
                    let at = format!("{} {} as {principal:?}, {whose}", method.path, written(&place));
                    let of_another = ask(&fresh(id).await).await;
                    let absent = ask(&fresh(&frontdesk_clock::testing::new_id().to_string()).await).await;
                    assert_eq!(of_another, absent, "{at}");
                    assert!(
                        of_another.code != Code::Internal && of_another.code != Code::Unknown,
                        "{at}: {of_another:?}"
                    );
                    if of_another.code == Code::Ok {
                        silent.insert(format!("{}.{}", method.method.name(), written(&place)));
                    }
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} ids of others are answered as absent ones");
    let expected: BTreeSet<String> = NOT_LOOKED_UP.iter().map(|at| (*at).to_owned()).collect();
    assert_eq!(silent, expected, "where an id that does not exist is no refusal");

    // The owners are told of their own, and one account's request ids are nothing to the other.
    let mut own = 0_usize;
    for method in &in_order(&["Delete", "Deactivate"]) {
        for principal in &method.principals {
            let shared = request_id();
            let mut answers = Vec::new();
            for world in [&ours, &theirs] {
                let mut message = world.request(&method.method);
                if let Some(field) = message.descriptor().get_field_by_name("request_id") {
                    message.set_field(&field, Value::String(shared.clone()));
                }
                let answer = call_with(
                    &world.caller(*principal),
                    &method.path,
                    world.call(*principal, &message.encode_to_vec()),
                )
                .await;
                let answer = told(method, world, answer);
                let at = format!("{} as {principal:?} in {}: {answer:?}", method.path, world.word);
                assert_ne!(answer.code, Code::NotFound, "{at}");
                assert_ne!(answer.reason, "REQUEST_ID_REUSED", "{at}");
                if ["Get", "List", "Watch"].iter().any(|word| method.method.name().starts_with(word)) {
                    assert_eq!(answer.code, Code::Ok, "{at}");
                }
                answers.push(answer);
                own += 1;
            }
            let end = |answer: &Told| (answer.code, answer.reason.clone());
            assert_eq!(end(&answers[0]), end(&answers[1]), "{} as {principal:?}", method.path);
        }
    }
    println!("{own} calls with the caller's own ids");
}

#[tokio::test]
async fn s5_a_service_acts_in_the_account_that_it_names_and_in_none_without() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let world = World::new(account, "ourword").await;
    let service = world.caller(Principal::Service);
    let of_services = methods().into_iter().filter(|method| method.principals.contains(&Principal::Service));
    for method in of_services {
        // It names an account for each conversation.
        if method.method.name() == "CloseIdleConversations" {
            continue;
        }
        let request = world.request(&method.method);
        for place in strings(&request).iter().filter(|place| {
            let name = place.last().unwrap().name();
            is_id(name) && !NOT_OF_THINGS.contains(&name)
        }) {
            let bare = async |id: String| {
                let message = with(&world.request(&method.method), place, &Value::String(id));
                told(&method, &world, call_raw(&service, &method.path, message.encode_to_vec()).await)
            };
            let own = bare(request_text(&request, place)).await;
            assert_ne!(own.code, Code::Ok, "{} without an account", method.path);
            assert_eq!(own, bare(frontdesk_clock::testing::new_id().to_string()).await, "{}", method.path);
        }
    }
    // What others say there is not read, nor is an account that is no id.
    let get = methods().into_iter().find(|method| method.method.name() == "GetConversation").unwrap();
    let asked = |account: &str| {
        let mut request = Request::new(world.request(&get.method).encode_to_vec());
        request.metadata_mut().insert("x-frontdesk-account", account.parse().unwrap());
        request
    };
    let refused = call_with(&service, &get.path, asked("everybody")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let stranger = suite.account().await;
    let agent = stranger.with_claims(CallerKind::Agent, &frontdesk_clock::testing::new_id().to_string(), |_| {});
    let refused = call_with(&agent, &get.path, asked(&world.account.id.to_string())).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

fn request_text(message: &DynamicMessage, place: &[prost_reflect::FieldDescriptor]) -> String {
    match place {
        [] => String::new(),
        [field, rest @ ..] => match message.get_field(field).as_ref() {
            Value::String(text) => text.clone(),
            Value::Message(inner) => request_text(inner, rest),
            Value::List(items) => {
                items.first().and_then(Value::as_message).map(|inner| request_text(inner, rest)).unwrap_or_default()
            }
            _ => String::new(),
        },
    }
}

/// A coarse look only: a lookup that reads another account's row and then refuses would take as long as one that answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_anothers_id_takes_no_longer_than_one_that_does_not_exist() {
    const CALLS: usize = 200;
    const FLOOR: Duration = Duration::from_micros(400);
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(World::new(one, "ourword"), World::new(two, "theirword"));
    let one_id = |input: &MessageDescriptor| input.fields().filter(|field| is_id(field.name())).count() == 1;
    let looked_up: Vec<Declared> = methods()
        .into_iter()
        .filter(|method| method.method.name().starts_with("Get") && one_id(&method.method.input()))
        .collect();
    assert!(looked_up.len() >= 8);
    let mut worst = HashMap::new();
    for method in &looked_up {
        let principal = method.principals[0];
        let caller = ours.caller(principal);
        let place = strings(&ours.request(&method.method)).remove(0);
        let time = async |id: &str| {
            let message = with(&ours.request(&method.method), &place, &Value::String(id.to_owned()));
            let began = Instant::now();
            let answer = call_with(&caller, &method.path, ours.call(principal, &message.encode_to_vec())).await;
            assert_eq!(answer.unwrap_err().code(), Code::NotFound, "{}", method.path);
            began.elapsed()
        };
        // The machine is shared: what is true is seen in one of three rounds.
        let mut apart = Duration::MAX;
        for _ in 0..3 {
            let (mut foreign, mut absent) = (Vec::new(), Vec::new());
            for call in 0..CALLS {
                let (id, other) = (&theirs.ids[place[0].name()], frontdesk_clock::testing::new_id().to_string());
                if call % 2 == 0 {
                    foreign.push(time(id).await);
                    absent.push(time(&other).await);
                } else {
                    absent.push(time(&other).await);
                    foreign.push(time(id).await);
                }
            }
            let (foreign, absent) = (median(foreign), median(absent));
            let (short, long) = (foreign.min(absent), foreign.max(absent));
            apart = apart.min(long - short);
            worst.insert(method.method.name().to_owned(), (foreign, absent));
            if long <= short.mul_f64(1.5) || long - short < FLOOR {
                apart = Duration::ZERO;
                break;
            }
        }
        assert_eq!(apart, Duration::ZERO, "{}: {:?}", method.path, worst[method.method.name()]);
    }
    println!("medians of {CALLS} calls, another's and absent: {worst:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
