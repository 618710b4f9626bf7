//! The example pages (`tests/clients/web`) on the listener for browsers, with what they need beside the public API: tokens of the
//! development account, and its mails. Only a process on loopback addresses that accepts the development key serves them, and it answers
//! with tokens and mails to its own pages alone.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use frontdesk_auth::{CallerKind, DevelopmentKey, TokenError};
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{assignment_service_server, availability_service_server, roster_service_server},
    botsession::v1::bot_service_server,
    conversation::v1::{
        attachment_service_server, channel_service_server, contact_service_server, conversation_service_server,
        insert_service_server, thread_service_server, ticket_service_server, visitor_service_server,
    },
    notification::v1::{sender_service_server, transcript_service_server},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS},
    uri::Authority,
};
use serde::Serialize;
use uuid::Uuid;

use super::{DEVELOPMENT_ACCOUNT, mailbox};

/// Full names of the gRPC services that the pages call.
pub(crate) const PAGE_SERVICES: &[&str] = &[
    visitor_service_server::SERVICE_NAME,
    conversation_service_server::SERVICE_NAME,
    thread_service_server::SERVICE_NAME,
    contact_service_server::SERVICE_NAME,
    channel_service_server::SERVICE_NAME,
    insert_service_server::SERVICE_NAME,
    attachment_service_server::SERVICE_NAME,
    ticket_service_server::SERVICE_NAME,
    assignment_service_server::SERVICE_NAME,
    availability_service_server::SERVICE_NAME,
    roster_service_server::SERVICE_NAME,
    bot_service_server::SERVICE_NAME,
    transcript_service_server::SERVICE_NAME,
    sender_service_server::SERVICE_NAME,
];
/// The agent whose inbox the page shows.
const AGENT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_00A1);
/// How long a token of the pages is valid.
const TOKEN_VALID: Duration = Duration::from_secs(12 * 3600);
/// Maximum number of mails that the mailbox page shows.
const MAX_MAILS: usize = 50;
/// The answer where the pages are not built.
const NOT_BUILT: &str = "The example pages, a widget and an inbox, are not built. Build them with `make web` (it needs Node.js 20.19 or later and python3), and start the server again.\n";
/// The answer to a page of another origin.
const NOT_OWN_PAGE: &str = "Only the example pages of this server are answered here.\n";
/// The pages run their own scripts only. Pictures, videos and uploads may be anywhere on the web.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src http: https: data:; media-src http: https:; connect-src http: https:; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Header in which a browser says whose page sends a request.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The example pages.
pub(crate) struct ExamplePages {
    /// What `make web` built.
    pub(crate) folder: PathBuf,
    pub(crate) key: DevelopmentKey,
    /// The folder that mails are written to. None: they go to an SMTP server.
    pub(crate) mailbox: Option<PathBuf>,
}

/// What the pages read before their first call.
#[derive(Serialize)]
struct Session {
    admin_token: String,
    agent_token: String,
    agent_id: String,
}

/// A mail, as the mailbox page shows it.
#[derive(Default, Serialize)]
struct ShownMail {
    file_name: String,
    to: String,
    from: String,
    subject: String,
    text: String,
    html: String,
}

impl ExamplePages {
    /// Whether they are built.
    pub(crate) fn are_built(&self) -> bool {
        self.folder.join("index.html").is_file()
    }

    /// Their routes; where they are not built, one that says how to build them.
    pub(crate) fn routes(self) -> Router {
        if !self.are_built() {
            return Router::new().route("/", get(|| async { (StatusCode::NOT_FOUND, NOT_BUILT) }));
        }
        let start = || async { Redirect::temporary("/example/index.html") };
        Router::new()
            .route("/", get(start))
            .route("/example/", get(start))
            .route("/example/session", get(session))
            .route("/example/mails", get(mails))
            .route("/example/{*path}", get(file))
            .with_state(Arc::new(self))
    }

    fn session(&self) -> Result<Session, TokenError> {
        let token = |kind, subject: &str, name: &str| {
            let mut claims = self.key.claims(AccountId(DEVELOPMENT_ACCOUNT), kind, subject, TOKEN_VALID);
            claims.name = Some(name.to_owned());
            self.key.mint(&claims)
        };
        Ok(Session {
            admin_token: token(CallerKind::Admin, "example-administrator", "Example administrator")?,
            agent_token: token(CallerKind::Agent, &AGENT.to_string(), "Ada Byron")?,
            agent_id: AGENT.to_string(),
        })
    }
}

async fn session(State(pages): State<Arc<ExamplePages>>, headers: HeaderMap) -> Response {
    if !is_own_page(&headers) {
        return (StatusCode::FORBIDDEN, NOT_OWN_PAGE).into_response();
    }
    match pages.session() {
        Ok(session) => json(&session),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn mails(State(pages): State<Arc<ExamplePages>>, headers: HeaderMap) -> Response {
    if !is_own_page(&headers) {
        return (StatusCode::FORBIDDEN, NOT_OWN_PAGE).into_response();
    }
    let Some(folder) = &pages.mailbox else {
        return (StatusCode::NOT_FOUND, "Mail goes to an SMTP server, not to a mailbox folder.\n").into_response();
    };
    let folder = folder.join(DEVELOPMENT_ACCOUNT.to_string());
    let read = move || mailbox::list_mails(&folder, "", None, MAX_MAILS);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(rows)) => {
            let shown: Vec<ShownMail> =
                rows.into_iter().map(|(_, mail)| shown(mail.file_name, &mail.content)).collect();
            json(&shown)
        }
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A mail that is too large for the list has its name only.
fn shown(file_name: String, content: &[u8]) -> ShownMail {
    let parsed = mail_parser::MessageParser::default().parse(content);
    let Some(mail) = parsed else { return ShownMail { file_name, ..ShownMail::default() } };
    let first = |list: Option<&mail_parser::Address<'_>>| {
        let address = list.and_then(|list| list.iter().find_map(|one| one.address()));
        address.unwrap_or_default().to_owned()
    };
    ShownMail {
        file_name,
        to: first(mail.to()),
        from: first(mail.from()),
        subject: mail.subject().unwrap_or_default().to_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    }
}

async fn file(State(pages): State<Arc<ExamplePages>>, Path(path): Path<String>) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "There is no such page.\n").into_response();
    if !is_file_name(&path) {
        return missing();
    }
    let Ok(content) = tokio::fs::read(pages.folder.join(&path)).await else { return missing() };
    let headers = [
        (CONTENT_TYPE, content_type(&path)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, content).into_response()
}

fn json(content: &impl Serialize) -> Response {
    match serde_json::to_string(content) {
        Ok(text) => {
            let headers =
                [(CONTENT_TYPE, "application/json"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
            (headers, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Whether a page of this server sends the request. Pages of other origins, and of names that were made to resolve to this machine,
/// could read the answer otherwise: the listener allows calls of every page in development.
fn is_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(HOST.as_str()) else { return false };
    let is_loopback = host
        .parse::<Authority>()
        .is_ok_and(|authority| matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]"));
    let is_own_origin = text(ORIGIN.as_str()).is_none_or(|origin| origin == format!("http://{host}"));
    let is_own_site = text(SEC_FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    is_loopback && is_own_origin && is_own_site
}

/// Whether the path names a file within the folder: no part of it is hidden, or leads out.
fn is_file_name(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn s1_tokens_are_for_the_own_pages_on_this_machine_only() {
        let own = [("host", "127.0.0.1:7780")];
        assert!(is_own_page(&headers(&own)));
        assert!(is_own_page(&headers(&[("host", "localhost:7780"), ("sec-fetch-site", "same-origin")])));
        assert!(is_own_page(&headers(&[own[0], ("origin", "http://127.0.0.1:7780")])));
        for other in [
            ("origin", "https://shop.example"),
            ("origin", "http://127.0.0.1:5173"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(!is_own_page(&headers(&[own[0], other])), "{other:?}");
        }
        // A name of somebody else's that resolves to this machine.
        for host in ["shop.example:7780", "127.0.0.1.shop.example", "", "localhost@shop.example"] {
            assert!(!is_own_page(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_own_page(&HeaderMap::new()));
    }

    #[test]
    fn only_files_of_the_folder_are_served() {
        for path in ["index.html", "assets/widget-u5gEbHO9.js", "clip.webm"] {
            assert!(is_file_name(path), "{path}");
        }
        for path in ["", "..", "../Cargo.toml", "assets/../../x", ".env", "assets/", "/etc/passwd", "a\\b", "a%2fb"] {
            assert!(!is_file_name(path), "{path}");
        }
    }

    #[test]
    fn a_mail_is_shown_by_its_parts() {
        let content =
            b"From: Shop <chat@bicycles.example>\r\nTo: <ada@shop.example>\r\nSubject: Your chat\r\n\r\nHello\r\n";
        let mail = shown("1.eml".into(), content);
        assert_eq!(
            (mail.to.as_str(), mail.from.as_str(), mail.subject.as_str(), mail.text.trim()),
            ("ada@shop.example", "chat@bicycles.example", "Your chat", "Hello")
        );
    }
}
