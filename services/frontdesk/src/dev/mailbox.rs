//! The mailbox folder, read for tests and development.

use std::{
    io,
    path::{Path, PathBuf},
};

use frontdesk_api::{ApiError, validated};
use frontdesk_proto::dev::v1::{
    ListMailsRequest, ListMailsResponse, Mail, Reason, mailbox_service_server::MailboxService,
};
use tonic::{Code, Request, Response, Status};

/// Maximum number of mails in an answer.
const MAX_MAILS: usize = 100;

/// The folder that mails are written to; None: an SMTP server gets them.
pub(super) struct Mailbox(pub(super) Option<PathBuf>);

#[tonic::async_trait]
impl MailboxService for Mailbox {
    async fn list_mails(&self, request: Request<ListMailsRequest>) -> Result<Response<ListMailsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let folder = self.0.clone().ok_or_else(|| {
            let message = "mail goes to an SMTP server, not to a mailbox folder";
            ApiError::new(Code::FailedPrecondition, "dev.frontdesk", Reason::NoMailbox.as_str_name(), message)
        })?;
        // Callers see the mails of their own account only (rule S2).
        let folder = folder.join(caller.account.to_string());
        let mails = tokio::task::spawn_blocking(move || list_mails(&folder, &request.recipient)).await;
        let mails = mails.map_err(|error| ApiError::internal(&error))?.map_err(|error| ApiError::internal(&error))?;
        Ok(Response::new(ListMailsResponse { mails }))
    }
}

/// The newest mails to the recipient in the account's folder.
fn list_mails(folder: &Path, recipient: &str) -> io::Result<Vec<Mail>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No mail was written yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
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
        if mails.len() == MAX_MAILS {
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
