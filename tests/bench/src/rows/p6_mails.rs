//! P6: mails. `P6_transcript`: a transcript of many messages, from the thread in the database to the bytes of the mail. Baseline: the
//! same templates, rendered alone. `P6_mails`: composed mails that are due at once, until the last is recorded as sent. Baseline: bare
//! connections of the mail library, with TCP_NODELAY, to the same server.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::v1::{
        CreateChannelRequest, NoGreeter, StartChatRequest, channel_service_client::ChannelServiceClient,
        create_channel_request::Greeter, visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{PreviewTranscriptRequest, TranscriptPart, transcript_service_client::TranscriptServiceClient},
};
use frontdesk_test_servers::free_port;
use lettre::{
    Address,
    address::Envelope,
    transport::smtp::{client::AsyncSmtpConnection, extension::ClientId},
};
use minijinja::{AutoEscape, Environment, Value, syntax::SyntaxConfig, value::Serde};
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use serde_json::json;
use tokio::{net::TcpStream, task::JoinSet};

use super::{Plan, p5_timeouts::now, print_round};
use crate::{
    deployment::{AgentChannel, Deployment},
    fixture::{ACCOUNT, AGENT, SAMPLE_TEXT, sample_content},
    memory::peak_kib,
    process::Process,
    report::{Goal, Round, Row},
};

/// Number of messages of the transcript.
const MESSAGES: u32 = 10_000;
/// Maximum size of a transcript (bytes): no message of this one is left out.
const MAX_TRANSCRIPT_BYTES: u32 = 256 * 1024 * 1024;
/// Number of connections to the mail server, and of deliveries at once.
const CONNECTIONS: usize = 16;
/// Number of mails that are due at once, for each second of the plan.
const AT_ONCE: u32 = 1_000;
/// Size of a mail (bytes), about that of a transcript of ten messages.
const MAIL_BYTES: usize = 16 * 1024;
/// How long before they are due the mails are inserted (microseconds).
const AHEAD: i64 = 5_000_000;
/// Maximum time until the mails are sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(300);

/// Measures the rows, with a notification process of their own.
pub async fn run(deployment: &mut Deployment, plan: Plan) -> [Row; 2] {
    let port = free_port();
    let _sink = Process::mail_sink(deployment.folder.path(), port).await;
    let setting = |name: &str, value: String| (format!("FRONTDESK__NOTIFICATION__{name}"), value);
    let settings = vec![
        setting("SMTP__HOST", "127.0.0.1".into()),
        setting("SMTP__PORT", port.to_string()),
        setting("SMTP__TLS", "none".into()),
        setting("SMTP__HELO_NAME", "desk.shop.example".into()),
        setting("DELIVERIES_AT_ONCE", CONNECTIONS.to_string()),
        // All mails are for one domain. What is recorded counts too.
        setting("DELIVERIES_PER_DOMAIN", (2 * CONNECTIONS).to_string()),
        // As the bare connections, which are never replaced.
        setting("SMTP__MAILS_PER_CONNECTION", "1000000".into()),
        setting("TRANSCRIPT_MAX_BYTES", MAX_TRANSCRIPT_BYTES.to_string()),
    ];
    let notification = deployment.start_notification(settings).await;
    let transcript = run_transcript(deployment, plan, &notification).await;
    let mails = run_mails(deployment, plan, port).await;
    deployment.stop_notification().await;
    [transcript, mails]
}

async fn run_transcript(deployment: &Deployment, plan: Plan, notification: &str) -> Row {
    let conversation = long_chat(deployment).await;
    let client = TranscriptServiceClient::new(deployment.channel_to(notification).await);
    let templates = Templates::read();
    preview(&client, &conversation).await;
    templates.render();
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let (began, mut rendered) = (Instant::now(), 0);
        while began.elapsed() < plan.length {
            templates.render();
            rendered += 1;
        }
        let baseline = f64::from(rendered) / began.elapsed().as_secs_f64();
        let (began, mut composed, mut bytes) = (Instant::now(), 0, 0);
        while began.elapsed() < plan.length {
            bytes = preview(&client, &conversation).await;
            composed += 1;
        }
        let value = f64::from(composed) / began.elapsed().as_secs_f64();
        // Not one of those that are timed: looking at the memory takes time.
        let (peak, _) = peak_kib(deployment.notification_pid(), preview(&client, &conversation)).await;
        let more = vec![
            ("compose_ms", 1_000.0 / value),
            ("render_ms", 1_000.0 / baseline),
            ("mail_mib", f64::from(bytes) / 1024.0 / 1024.0),
            ("peak_mib", peak / 1024.0),
        ];
        let round = Round { value, baseline, more };
        print_round("P6_transcript", number, &round);
        rounds.push(round);
    }
    let what = "transcripts of 10,000 messages, loaded and composed; their templates rendered";
    Row { name: "P6_transcript", what, unit: "transcripts/s", goal: Goal::AtLeast(0.5), rounds }
}

/// Composes the mail of the conversation. Returns its size (bytes).
async fn preview(client: &TranscriptServiceClient<AgentChannel>, conversation: &str) -> i32 {
    let part = TranscriptPart::Mail.into();
    let request = PreviewTranscriptRequest { conversation_id: conversation.to_owned(), part, ..Default::default() };
    let response = client.clone().preview_transcript(request).await.unwrap().into_inner();
    assert!(response.missing_mail.is_empty(), "{}", response.missing_mail);
    assert!(response.total_size > 1_000_000, "a mail with all messages: {}", response.total_size);
    response.total_size
}

/// An open chat of a visitor with an address, with many messages, in an account with a sender. Returns its id.
async fn long_chat(deployment: &Deployment) -> String {
    let admin = deployment.channel_of(CallerKind::Admin, "administrator", None).await;
    let channel = CreateChannelRequest {
        name: "Shop".into(),
        website_url: "https://shop.example".into(),
        greeter: Some(Greeter::NoGreeter(NoGreeter {})),
        request_id: "p6-channel".into(),
        ..Default::default()
    };
    let channel = ChannelServiceClient::new(admin).create_channel(channel).await.unwrap().into_inner().channel.unwrap();
    let visitor = deployment.channel_of(CallerKind::Visitor, "p6", Some("reader@visitor.example")).await;
    let chat = StartChatRequest {
        channel_id: channel.id,
        page_url: "https://shop.example/page".into(),
        page_title: "The page".into(),
        request_id: "p6-chat".into(),
        ..Default::default()
    };
    let chat = VisitorServiceClient::new(visitor).start_chat(chat).await.unwrap().into_inner().chat.unwrap().id;
    let content = sample_content();
    deployment
        .execute(&format!(
            "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                created_at)
            SELECT id, last_sequence + number, last_visitor_sequence + number, account_id, 'AGENT', '{AGENT}', '{content}',
                last_activity_at
            FROM conversations, generate_series(1, {MESSAGES}) AS number WHERE id = '{chat}'"
        ))
        .await;
    deployment
        .execute(&format!(
            "UPDATE conversations SET last_sequence = last_sequence + {MESSAGES},
                last_visitor_sequence = last_visitor_sequence + {MESSAGES} WHERE id = '{chat}'"
        ))
        .await;
    deployment.mark_indexed().await;
    let sender = format!(
        "INSERT INTO senders (id, account_id, address, display_name, verified, fallback, code_expires_at, code_tries, created_at,
            updated_at, version)
        VALUES (gen_random_uuid(), '{ACCOUNT}', 'team@shop.example', 'Shop', TRUE, TRUE, 0, 0, 0, 0, 1)"
    );
    deployment.postgres.psql(&deployment.database_of("notification"), &sender).await;
    chat
}

/// The service's templates of a transcript, with the values of a transcript of the same size.
struct Templates {
    environment: Environment<'static>,
    values: Value,
}

impl Templates {
    fn read() -> Self {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap();
        environment.set_syntax(syntax);
        environment
            .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services/notification/src/mail/templates");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            environment.add_template_owned(name, std::fs::read_to_string(&path).unwrap()).unwrap();
        }
        let span = json!({"text": SAMPLE_TEXT, "bold": false, "italic": false, "url": "", "linked": false});
        let message = json!({
            "kind": "message", "author": "agent", "label": "team", "name": "Ada Byron", "time": "13:03:22 UTC",
            "parts": [{"kind": "paragraph", "lines": [[span]]}], "lines": [SAMPLE_TEXT], "buttons": [],
        });
        let values = json!({
            "language": "en", "subject": "Your chat with Shop", "preheader": "3 March 2026, 10,000 messages", "channel": "Shop",
            "when": "3 March 2026, times in UTC", "began_on": "The chat began on", "page_title": "The page",
            "page_url": "https://shop.example/page", "page_linked": true,
            "reason": "You receive this mail because you chatted with Shop.", "rows": vec![message; MESSAGES as usize],
        });
        Self { environment, values: Value::from(Serde(values)) }
    }

    fn render(&self) {
        for (name, message) in [("transcript.html", "</td></tr></table>"), ("transcript.txt", "Ada Byron (team):")] {
            let rendered = self.environment.get_template(name).unwrap().render(self.values.clone()).unwrap();
            assert!(rendered.matches(message).count() >= MESSAGES as usize, "{name} has all messages");
        }
    }
}

async fn run_mails(deployment: &Deployment, plan: Plan, port: u16) -> Row {
    let database = deployment.postgres.url(&deployment.database_of("notification"));
    let mut database = PgConnection::connect(&database).await.unwrap();
    let mail = mail();
    let count = AT_ONCE * u32::try_from(plan.length.as_secs()).unwrap_or(1).max(1);
    let mut first = 0;
    send_due(&mut database, first, count / 2, &mail).await;
    first += count / 2;
    bare(port, &mail, plan.warm_up, false).await;
    let mut rounds = Vec::new();
    for number in 0..plan.rounds {
        let baseline = bare(port, &mail, plan.length, false).await;
        let reconnecting = bare(port, &mail, plan.length, true).await;
        let value = send_due(&mut database, first, count, &mail).await;
        first += count;
        let round = Round { value, baseline, more: vec![("bare_connection_for_each_mail", reconnecting)] };
        print_round("P6_mails", number, &round);
        rounds.push(round);
    }
    let what = "mails that are due at once, until they are recorded; bare connections of lettre";
    Row { name: "P6_mails", what, unit: "mails/s", goal: Goal::AtLeast(0.8), rounds }
}

fn mail() -> Vec<u8> {
    let mut mail = b"From: team@shop.example\r\nTo: reader@visitor.example\r\nSubject: Your chat\r\n\r\n".to_vec();
    while mail.len() < MAIL_BYTES {
        mail.extend_from_slice(SAMPLE_TEXT.as_bytes());
        mail.extend_from_slice(b"\r\n");
    }
    mail
}

/// Mails per second that the service sends, of this number that are due at the same time, until all are recorded as sent.
async fn send_due(database: &mut PgConnection, first: u32, count: u32, mail: &[u8]) -> f64 {
    let id = "('00000000-0000-7000-e000-' || (100000000000 + number)::text)::uuid";
    let (last, created, due) = (first + count - 1, now(), now() + AHEAD);
    let mails = format!("SELECT {id}, '{ACCOUNT}'::uuid, $1::bytea FROM generate_series({first}, {last}) AS number");
    // They are composed, as a code that is mailed from the installation: what is measured begins after the composition.
    let deliveries = format!(
        "INSERT INTO deliveries (id, account_id, kind, state, close_number, sender_from_channel, until_sequence, unverified,
            requested_by, recipient, subject, time_zone, mail_from, message_id, composed_at, compose_failures, attempts,
            attempts_before_retry, unknown_outcomes, last_response, failure, claim, leased, due_at, created_at, traceparent,
            version, mailbox, recipient_domain)
        SELECT {id}, '{ACCOUNT}', 'SENDER_VERIFICATION', 'QUEUED', 0, FALSE, 0, FALSE, '', 'reader@visitor.example', '', '',
            'team@shop.example', '<' || number || '@shop.example>', {created}, 0, 0, 0, 0, '', '', 0, FALSE, {due}, {created}, '', 1,
            'reader@visitor.example', 'visitor.example'
        FROM generate_series({first}, {last}) AS number"
    );
    let mut transaction = database.begin().await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(deliveries)).execute(&mut *transaction).await.unwrap();
    let mails = format!("INSERT INTO delivery_mails (delivery_id, account_id, mail) {mails}");
    sqlx::query(sqlx::AssertSqlSafe(mails)).bind(mail).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(now() < due, "storing the mails took longer than the time until they are due");
    let began = Instant::now();
    let pending = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE state IN ('QUEUED', 'SENDING'))";
    while sqlx::query_scalar::<_, bool>(pending).fetch_one(&mut *database).await.unwrap() {
        assert!(began.elapsed() < SEND_TIMEOUT, "the mails are not sent");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = format!("SELECT count(*), max(sent_at) FROM deliveries WHERE state = 'SENT' AND created_at = {created}");
    let sent = sqlx::query_as::<_, (i64, Option<i64>)>(sqlx::AssertSqlSafe(sent)).fetch_one(&mut *database).await;
    let (sent, last) = sent.unwrap();
    assert_eq!(sent, i64::from(count), "every mail is sent");
    f64::from(count) / (last.unwrap_or(due) - due) as f64 * 1e6
}

/// Mails per second by bare connections, which are kept, or opened for each mail.
async fn bare(port: u16, mail: &[u8], length: Duration, reconnects: bool) -> f64 {
    let began = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mail = mail.to_vec();
        connections.spawn(async move {
            let address = |text: &str| text.parse::<Address>().unwrap();
            let envelope = Envelope::new(Some(address("team@shop.example")), vec![address("reader@visitor.example")]);
            let (envelope, mut sent, mut connection) = (envelope.unwrap(), 0_u32, connect(port).await);
            while began.elapsed() < length {
                connection.send(&envelope, &mail).await.unwrap();
                sent += 1;
                if reconnects {
                    connection.quit().await.unwrap();
                    connection = connect(port).await;
                }
            }
            sent
        });
    }
    let sent: u32 = connections.join_all().await.into_iter().sum();
    f64::from(sent) / began.elapsed().as_secs_f64()
}

async fn connect(port: u16) -> AsyncSmtpConnection {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ClientId::Domain("desk.shop.example".into());
    AsyncSmtpConnection::connect_with_transport(Box::new(stream), &name).await.unwrap()
}
