//! Plain HTTP on the listener for browsers: the bytes of attachments arrive by PUT and leave by GET (rule C5), as do files of exports (rule
//! X2). A signed link is the permission; it names the attachment or the job, and nothing in a request is a path.

mod download;
mod exports;
mod upload;

use crate::{
    App,
    commands::{ACCOUNT_EXPORTS_PATH, ATTACHMENTS_PATH, EXPORTS_PATH},
};
use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use frontdesk_permits::Permits;
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS},
};

/// Maximum number of uploads of one attachment at the same time: a retry beside a connection that hangs.
const UPLOADS_OF_ATTACHMENT: usize = 2;
/// Maximum number of downloads of one attachment at the same time.
const DOWNLOADS_OF_ATTACHMENT: usize = 8;

/// How long a client that gets no permit is asked to wait (seconds).
const RETRY_SECONDS: u64 = 5;

/// What the handlers share.
#[derive(Clone)]
struct Transfers {
    app: App,
    uploads: Permits,
    downloads: Permits,
}

/// The routes.
pub(crate) fn routes(app: &App) -> Router {
    let settings = &app.attachment_settings;
    let transfers = Transfers {
        app: app.clone(),
        uploads: Permits::new(settings.uploads_at_once, UPLOADS_OF_ATTACHMENT, settings.transfer_wait),
        downloads: Permits::new(settings.downloads_at_once, DOWNLOADS_OF_ATTACHMENT, settings.transfer_wait),
    };
    let methods = get(download::download).put(upload::upload);
    Router::new()
        .route(&format!("{ATTACHMENTS_PATH}{{token}}"), methods)
        .route(&format!("{EXPORTS_PATH}{{token}}"), get(exports::of_contact))
        .route(&format!("{ACCOUNT_EXPORTS_PATH}{{token}}"), get(exports::of_account))
        .with_state(transfers)
}

/// An answer in a sentence.
struct Answer {
    status: StatusCode,
    text: String,
}

impl Answer {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The link was not signed here, or has expired.
    fn invalid_link(remedy: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, format!("This link is not valid, or has expired. {remedy}"))
    }

    fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many files are being transferred; try again in a few seconds.")
    }

    /// The cause goes to the log.
    fn failed(what: &'static str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, what, "a transfer of an attachment failed");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The file cannot be transferred now; try again in a few seconds.")
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.text)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }
}
