//! What only a development footing serves: moving the clock, and the mailbox of the caller's account.

use std::{path::PathBuf, time::Duration};

use frontdesk_api::{ApiError, validated};
use frontdesk_clock::Clock;
use frontdesk_proto::dev::v1::{
    AdvanceTimeRequest, AdvanceTimeResponse, ListMailsRequest, ListMailsResponse, Mail, Reason,
    clock_service_server::{self, ClockService, ClockServiceServer},
    mailbox_service_server::{self, MailboxService, MailboxServiceServer},
};
use tonic::{Code, Request, Response, Status, service::RoutesBuilder};

const LISTED: usize = 100;

/// The services of [`routes`], for health checks and reflection.
pub(crate) const SERVICES: &[&str] = &[clock_service_server::SERVICE_NAME, mailbox_service_server::SERVICE_NAME];

pub(crate) fn routes(clock: Clock, mailbox: Option<PathBuf>, shared: bool, routes: &mut RoutesBuilder) {
    routes.add_service(ClockServiceServer::new(MovableClock { clock, shared }));
    routes.add_service(MailboxServiceServer::new(Mailbox(mailbox)));
}

struct MovableClock {
    clock: Clock,
    /// Other processes follow it.
    shared: bool,
}

#[tonic::async_trait]
impl ClockService for MovableClock {
    async fn advance_time(
        &self,
        request: Request<AdvanceTimeRequest>,
    ) -> Result<Response<AdvanceTimeResponse>, Status> {
        let (caller, request) = validated(request)?;
        let by = request.by.and_then(|by| Duration::try_from(by).ok()).unwrap_or_default();
        let time = self.clock.advance(by).map_err(|error| ApiError::internal(&error))?;
        if self.shared {
            // Whoever is answered finds the new time at every process.
            tokio::time::sleep(frontdesk_clock::development::FOLLOW_DELAY).await;
        }
        tracing::info!(?by, account = %caller.account, "the clock was moved");
        Ok(Response::new(AdvanceTimeResponse { time: Some(time.to_proto()) }))
    }
}

struct Mailbox(Option<PathBuf>);

#[tonic::async_trait]
impl MailboxService for Mailbox {
    async fn list_mails(&self, request: Request<ListMailsRequest>) -> Result<Response<ListMailsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let folder = self.0.clone().ok_or_else(|| {
            let why = "mail goes to an SMTP server, not to a mailbox folder";
            ApiError::new(Code::FailedPrecondition, "dev.frontdesk", Reason::NoMailbox.as_str_name(), why)
        })?;
        // Whoever calls sees their own account's mails only (rule S2).
        let folder = folder.join(caller.account.to_string());
        let mails = tokio::task::spawn_blocking(move || read(&folder, &request.recipient)).await;
        let mails = mails.map_err(|error| ApiError::internal(&error))?.map_err(|error| ApiError::internal(&error))?;
        Ok(Response::new(ListMailsResponse { mails }))
    }
}

/// The newest mails in the account's folder to the recipient.
fn read(folder: &std::path::Path, recipient: &str) -> std::io::Result<Vec<Mail>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // Nothing was mailed yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "eml") {
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    let mut mails = Vec::new();
    for (_, path) in files {
        let content = std::fs::read(&path)?;
        if recipient.is_empty() || is_to(&content, recipient) {
            let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            mails.push(Mail { file_name, path: path.display().to_string(), content });
        }
        if mails.len() == LISTED {
            break;
        }
    }
    Ok(mails)
}

fn is_to(mail: &[u8], recipient: &str) -> bool {
    let parsed = mail_parser::MessageParser::default().parse(mail);
    let to = parsed.as_ref().and_then(|mail| mail.to());
    to.is_some_and(|to| to.iter().filter_map(|to| to.address()).any(|address| address.eq_ignore_ascii_case(recipient)))
}
