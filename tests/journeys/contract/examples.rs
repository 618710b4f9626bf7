//! An example of every public method: a call that was really made, in `docs/examples`, which the API reference shows. With
//! `UPDATE_EXAMPLES` the files are written; without, the same calls are made, and each file is one of its method's.

use std::{env, fs, ops::Range, path::PathBuf, time::Duration};

use frontdesk_proto::{
    assignment::v1::RoutingStep,
    auth::v1::Principal,
    conversation::v1::{
        GetAccountJobRequest, LeaveAddressRequest, RequestAddressCodeRequest,
        account_job_service_client::AccountJobServiceClient, visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{CreateSenderRequest, sender_service_client::SenderServiceClient},
};
use frontdesk_tests::{
    Account, TestSuite, code_in,
    fixture::{Declared, Fixture, methods},
    reason, request_id, wait_for,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

use super::repeats::{accepted, call};
use crate::queues::routed_channel;

/// Public methods without an example, and why.
const NO_EXAMPLE: [(&str, &str); 2] = [
    ("RetryDelivery", "only a delivery that failed is sent again, and those of the fixture were sent"),
    ("CancelDelivery", "only a delivery that waits is cancelled, and those of the fixture were sent"),
];

/// Methods whose result needs work in the background: the file of an export, a place in the queue.
const AFTER_A_WHILE: [&str; 3] = ["CreateAccountExportLink", "CreateContactExportLink", "ExplainRouting"];

/// How long after the suspension of an account its export begins.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Texts of the requests by the names of their fields, in the place of the fixture's.
const TEXTS: [(&str, &str); 10] = [
    ("display_name", "Rossi Bicycles"),
    ("explanation", "Asked for the price of a repair"),
    ("file_name", "bike.mp4"),
    ("label", "Yes"),
    ("name", "Repairs"),
    ("page_title", "Repairs"),
    ("reason", "Asked for a person"),
    ("subject", "A flat tyre"),
    ("text", "Is my bike ready?"),
    ("title", "Opening times"),
];

/// What the files have in the place of values that differ in each run, by the names of their fields.
const STABLE: [(&str, &str); 18] = [
    ("anonymous_token", "<token>"),
    ("code", "20493817"),
    ("cursor", "<cursor>"),
    ("etag", "<etag>"),
    ("external_id", "customer-17"),
    ("handle", "ada"),
    ("key_id", "<key id>"),
    ("last_response", "250 2.0.0 accepted"),
    ("mail_message_id", "<id of the mail>"),
    ("next_page_token", "<page token>"),
    ("previous_token", "<token>"),
    ("secret", "<secret>"),
    ("shortcut", "hours"),
    ("source_etag", "<etag>"),
    ("target_etag", "<etag>"),
    ("visitor_token", "<token>"),
    ("watch_cursor", "<cursor>"),
    ("widget_token", "<token>"),
];

/// Times that differ in each run, in seconds of Unix time; those of the fixture's requests are before or after.
const RUN_TIMES: Range<i64> = 1_600_000_000..4_000_000_000;
/// The time that the files have in their place: 2027-01-04T09:00:00Z.
const STABLE_TIME: i64 = 1_799_053_200;
/// Maximum number of characters of a text in a file.
const MAX_TEXT: usize = 400;

/// Public methods in an order in which each finds what it needs: reads before changes, what is deleted last.
fn in_order() -> Vec<Declared> {
    let mut methods = methods();
    methods.retain(|declared| {
        let service = declared.method.parent_service();
        !service.full_name().contains(".internal.") && !service.full_name().starts_with("frontdesk.dev.")
    });
    methods.sort_by_key(|declared| {
        let name = declared.method.name();
        match name {
            "EndAccount" => 6,
            "CreateAccountExportLink" => 7,
            "CancelAccountEnd" => 8,
            _ if is_read(name) => 0,
            // Others may be refused by what it changes.
            "UpdateSettings" => 2,
            _ if name.starts_with("Delete") => 2,
            _ if name.starts_with("Undelete") => 3,
            _ if name.starts_with("Deactivate") => 4,
            _ if name.starts_with("Reactivate") => 5,
            _ => 1,
        }
    });
    methods
}

fn is_read(name: &str) -> bool {
    let reads = ["Get", "List", "Watch", "Subscribe", "Search", "Explain", "Preview", "Render", "Validate"];
    reads.iter().any(|word| name.starts_with(word))
}

/// The message with other values where `change` returns one.
fn changed(
    message: &DynamicMessage,
    change: &mut dyn FnMut(&FieldDescriptor, &Value) -> Option<Value>,
) -> DynamicMessage {
    let mut copy = DynamicMessage::new(message.descriptor());
    for (field, value) in message.fields() {
        copy.set_field(&field, changed_value(&field, value, change));
    }
    copy
}

fn changed_value(
    field: &FieldDescriptor,
    value: &Value,
    change: &mut dyn FnMut(&FieldDescriptor, &Value) -> Option<Value>,
) -> Value {
    if let Some(other) = change(field, value) {
        return other;
    }
    match value {
        Value::Message(inner) => Value::Message(changed(inner, change)),
        Value::List(items) => Value::List(items.iter().map(|item| changed_value(field, item, change)).collect()),
        Value::Map(pairs) => {
            Value::Map(pairs.iter().map(|(key, value)| (key.clone(), changed_value(field, value, change))).collect())
        }
        other => other.clone(),
    }
}

/// The request with texts that say something. An update has another name than what was created, since names are unique.
fn with_texts(fixture: &Fixture, declared: &Declared, request: &DynamicMessage) -> DynamicMessage {
    let placeholder = format!("{} hello", fixture.word);
    let is_update = declared.method.name().starts_with("Update");
    changed(request, &mut |field, value| {
        if value.as_str() != Some(placeholder.as_str()) {
            return None;
        }
        let text = TEXTS.iter().find(|(name, _)| *name == field.name()).map_or("Hello", |(_, text)| *text);
        let text = if is_update && field.name() == "name" { "Repairs in Verona" } else { text };
        Some(Value::String(text.to_owned()))
    })
}

/// The message with the same ids, times and tokens in each run.
fn stable(message: &DynamicMessage, ids: &mut Vec<String>) -> DynamicMessage {
    changed(message, &mut |field, value| match value {
        Value::Message(time) if time.descriptor().full_name() == "google.protobuf.Timestamp" => {
            let seconds = time.get_field_by_name("seconds").and_then(|seconds| seconds.as_i64());
            let mut fixed = DynamicMessage::new(time.descriptor());
            fixed.set_field_by_name("seconds", Value::I64(STABLE_TIME));
            seconds.filter(|seconds| RUN_TIMES.contains(seconds)).map(|_| Value::Message(fixed))
        }
        Value::Bytes(_) => Some(Value::Bytes("bytes".into())),
        Value::String(text) => Some(Value::String(stable_text(field.name(), text, ids))),
        _ => None,
    })
}

fn stable_text(field: &str, text: &str, ids: &mut Vec<String>) -> String {
    if let Some((_, fixed)) = STABLE.iter().find(|(name, _)| !text.is_empty() && *name == field) {
        return (*fixed).to_owned();
    }
    if text.starts_with("http://127.0.0.1:") {
        return "https://chat.example/<signed path>".to_owned();
    }
    let mut stable: String = text.chars().take(MAX_TEXT).collect();
    if stable.len() < text.len() {
        stable.push('…');
    }
    let words = text.split(|character: char| !character.is_ascii_hexdigit() && character != '-');
    for id in words.filter(|word| word.len() >= 32 && word.parse::<uuid::Uuid>().is_ok()) {
        let number = ids.iter().position(|known| known == id).unwrap_or(ids.len());
        if number == ids.len() {
            ids.push(id.to_owned());
        }
        stable = stable.replace(id, &format!("019b0000-0000-7000-8000-{:012}", number + 1));
    }
    stable
}

/// A valid request in a state in which the method accepts it. `account_job_id` is the newest end of the account.
async fn prepared(fixture: &Fixture, declared: &Declared, account_job_id: &str) -> DynamicMessage {
    let name = declared.method.name();
    let mut request = match name {
        _ if is_read(name) => fixture.request(&declared.method),
        _ => accepted(fixture, declared).await,
    };
    match name {
        "ExplainRouting" => {
            let channel = routed_to_an_absent_agent(&fixture.account).await;
            let chat = fixture.account.start_chat(fixture.account.visitor("waiting"), &channel).await;
            request.set_field_by_name("conversation_id", Value::String(chat.id));
        }
        "CancelAccountEnd" | "CreateAccountExportLink" => {
            request.set_field_by_name("account_job_id", Value::String(account_job_id.to_owned()));
        }
        "CreateContactExportLink" => {
            let export = methods().into_iter().find(|declared| declared.method.name() == "ExportContact").unwrap();
            let exported = accepted(fixture, &export).await;
            let job = call(fixture, &export, Principal::Admin, &exported).await.unwrap();
            request.set_field_by_name("contact_job_id", Value::String(id_of(&job, "contact_job")));
        }
        "VerifyAddress" => {
            let (chat_id, email) = (fixture.ids["chat_id"].clone(), "typed@rossi-visitor.example".to_owned());
            let mut visitor = VisitorServiceClient::new(fixture.caller(Principal::Visitor));
            let leave =
                LeaveAddressRequest { chat_id: chat_id.clone(), email: email.clone(), request_id: request_id() };
            visitor.leave_address(leave).await.unwrap();
            let ask = RequestAddressCodeRequest { chat_id, email: email.clone(), request_id: request_id() };
            visitor.request_address_code(ask).await.unwrap();
            request.set_field_by_name("code", Value::String(mailed_code(fixture, &email).await));
            request.set_field_by_name("email", Value::String(email));
        }
        "VerifySender" => {
            let email = "help@rossi.example".to_owned();
            let create = CreateSenderRequest {
                email: email.clone(),
                display_name: "Rossi Bicycles".into(),
                request_id: request_id(),
            };
            let created = SenderServiceClient::new(fixture.account.admin()).create_sender(create).await.unwrap();
            request.set_field_by_name("sender_id", Value::String(created.into_inner().sender.unwrap().id));
            request.set_field_by_name("code", Value::String(mailed_code(fixture, &email).await));
        }
        _ => {}
    }
    with_texts(fixture, declared, &request)
}

/// A channel whose chats wait for an agent who is not available.
async fn routed_to_an_absent_agent(account: &Account) -> String {
    let (agent, _) = account.agent("Grace").await;
    let step = RoutingStep { agent_ids: vec![agent.to_string()], ..Default::default() };
    routed_channel(account, step).await.0
}

/// Waits until every service has suspended the account.
async fn until_suspended(fixture: &Fixture, account_job_id: &str) {
    let get = || GetAccountJobRequest { account_job_id: account_job_id.to_owned() };
    wait_for("the suspension", || async {
        let job = AccountJobServiceClient::new(fixture.account.admin()).get_account_job(get()).await.unwrap();
        job.into_inner().account_job.unwrap().missing_services.is_empty().then_some(())
    })
    .await;
}

/// The code in the newest mail to the address.
async fn mailed_code(fixture: &Fixture, email: &str) -> String {
    let mail = wait_for("the code", || async { fixture.account.mails(email).await.into_iter().next() }).await;
    code_in(&mail.content)
}

/// The id of the resource in this field of a response.
fn id_of(response: &DynamicMessage, field: &str) -> String {
    let resource = response.get_field_by_name(field).unwrap();
    resource.as_message().unwrap().get_field_by_name("id").unwrap().as_str().unwrap().to_owned()
}

/// The file of an example: the kind of the caller, the request, and the response or the first message of a stream.
fn written(principal: Principal, request: &DynamicMessage, response: &DynamicMessage) -> String {
    let mut ids = Vec::new();
    let caller = principal.as_str_name().trim_start_matches("PRINCIPAL_").to_lowercase();
    let [request, response] = [request, response]
        .map(|message| serde_json::to_string_pretty(&stable(message, &mut ids)).unwrap().replace('\n', "\n  "));
    format!("{{\n  \"caller\": \"{caller}\",\n  \"request\": {request},\n  \"response\": {response}\n}}\n")
}

fn file_of(declared: &Declared) -> PathBuf {
    let (service, name) = (declared.method.parent_service().full_name().to_owned(), declared.method.name());
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(service).join(format!("{name}.json"))
}

/// What is wrong with the method's file. None: it has a request and a response of the method's types.
fn problem(declared: &Declared) -> Option<String> {
    let Ok(text) = fs::read_to_string(file_of(declared)) else { return Some("has no example".to_owned()) };
    let example: serde_json::Value = serde_json::from_str(&text).unwrap();
    let parts = [("request", declared.method.input()), ("response", declared.method.output())];
    parts.into_iter().find_map(|(part, descriptor)| {
        let wrong = DynamicMessage::deserialize(descriptor, example[part].clone()).err()?;
        Some(format!("has an example whose {part} is not of its type: {wrong}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_public_method_has_an_example_that_was_run() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let fixture = Fixture::new(account, "rossi").await;
    let mut account_job_id = fixture.ids["account_job_id"].clone();
    let mut problems = Vec::new();
    for declared in in_order() {
        let name = declared.method.name();
        if NO_EXAMPLE.iter().any(|(exception, _)| *exception == name) {
            continue;
        }
        let principal = declared.principals[0];
        if name == "CreateAccountExportLink" {
            until_suspended(&fixture, &account_job_id).await;
            suite.advance(SETTLED_AFTER);
        }
        let request = prepared(&fixture, &declared, &account_job_id).await;
        let made = if AFTER_A_WHILE.contains(&name) || declared.method.is_server_streaming() {
            // A stream that has sent nothing yet is answered as an empty message.
            Ok(wait_for(name, || async {
                let made = call(&fixture, &declared, principal, &request).await.ok();
                made.filter(|response| response.fields().next().is_some())
            })
            .await)
        } else {
            call(&fixture, &declared, principal, &request).await
        };
        match made {
            Err(status) => problems.push(format!("{} is refused: {} {status:?}", declared.path, reason(&status))),
            Ok(response) => {
                if name == "EndAccount" {
                    account_job_id = id_of(&response, "account_job");
                }
                if env::var_os("UPDATE_EXAMPLES").is_some() {
                    let file = file_of(&declared);
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, written(principal, &request, &response)).unwrap();
                }
                problems.extend(problem(&declared).map(|problem| format!("{} {problem}", declared.path)));
            }
        }
    }
    assert!(
        problems.is_empty(),
        "{}\nWrite the examples again with: UPDATE_EXAMPLES=1 cargo test -p frontdesk-tests --test journeys every_public_method. \
         A method that cannot have one goes to NO_EXAMPLE.",
        problems.join("\n")
    );
}
