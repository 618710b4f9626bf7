//! The mailbox folder, read for tests and development.

use std::{
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use frontdesk_api::{ApiError, FieldError, Pages, page_size, validated};
use frontdesk_proto::dev::v1::{
    ListMailsRequest, ListMailsResponse, Mail, Reason, mailbox_service_server::MailboxService,
};
use tonic::{Code, Request, Response, Status};

/// Number of mails of a page when the request does not say, and the maximum.
const PAGE_SIZES: (usize, usize) = (50, 100);
/// Maximum size of a mail that a response contains (bytes).
const MAX_CONTENT: usize = 1024 * 1024;

/// The mails of a server.
pub(crate) struct Mailbox {
    /// The folder that mails are written to. None: they go to an SMTP server.
    folder: Option<PathBuf>,
    pages: Pages,
}

/// The place of a mail in the list: when its file was written, in nanoseconds since 1970, and its name.
pub(super) type Cursor = (u64, String);

impl Mailbox {
    /// The mails in `folder`; without one, mails go to an SMTP server.
    pub(crate) fn new(folder: Option<PathBuf>, pages: Pages) -> Self {
        Self { folder, pages }
    }
}

#[tonic::async_trait]
impl MailboxService for Mailbox {
    async fn list_mails(&self, request: Request<ListMailsRequest>) -> Result<Response<ListMailsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let folder = self.folder.clone().ok_or_else(|| {
            let message = "mail goes to an SMTP server, not to a mailbox folder";
            ApiError::new(Code::FailedPrecondition, "dev.frontdesk", Reason::NoMailbox.as_str_name(), message)
        })?;
        // Callers see the mails of their own account only (rule S2).
        let folder = folder.join(caller.account.to_string());
        let recipient = recipient(&request.recipient_email)?;
        let filter = ListMailsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let size = i32::try_from(page_size(request.page_size, PAGE_SIZES.0, PAGE_SIZES.1)).unwrap_or(i32::MAX);
        let page = self.pages.read_request::<Cursor, _>(&caller, &filter, size, &request.page_token)?;
        let (after, size) = (page.cursor.clone(), usize::try_from(page.size).unwrap_or(usize::MAX));
        let read = move || list_mails(&folder, &recipient, after.as_ref(), size);
        let rows = tokio::task::spawn_blocking(read).await.map_err(|error| ApiError::internal(&error))?;
        let mut rows = rows.map_err(|error| ApiError::internal(&error))?;
        let next_page_token =
            self.pages.next_page_token_within(page, &mut rows, |row| row.1.content.len(), |row| row.0.clone())?;
        let mails = rows.into_iter().map(|(_, mail)| mail).collect();
        Ok(Response::new(ListMailsResponse { mails, next_page_token }))
    }
}

/// The address of a request in ASCII, as mails have it. Empty: none.
fn recipient(text: &str) -> Result<String, Status> {
    if text.is_empty() {
        return Ok(String::new());
    }
    frontdesk_mail_address::normalized(text).ok_or_else(|| {
        let remedy = "must be an address that mail can go to, such as ada@example.com";
        ApiError::fields(vec![FieldError::new("recipient_email", remedy)]).into()
    })
}

/// The newest mails to the recipient in the account's folder, those after the cursor: one more than `size`, or fewer if
/// they are larger than a page.
pub(super) fn list_mails(
    folder: &Path,
    recipient: &str,
    after: Option<&Cursor>,
    size: usize,
) -> io::Result<Vec<(Cursor, Mail)>> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for (cursor, path) in files(folder)? {
        if after.is_some_and(|after| cursor >= *after) {
            continue;
        }
        let mut content = std::fs::read(&path)?;
        if !recipient.is_empty() && !is_to(&content, recipient) {
            continue;
        }
        if content.len() > MAX_CONTENT {
            content.clear();
        }
        bytes += content.len();
        let mail = Mail { file_name: cursor.1.clone(), path: path.display().to_string(), content };
        rows.push((cursor, mail));
        if rows.len() > size || bytes > MAX_CONTENT {
            break;
        }
    }
    Ok(rows)
}

/// The mails in a folder, newest first.
fn files(folder: &Path) -> io::Result<Vec<(Cursor, PathBuf)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        // No mail was written yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "eml") {
            let age = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push(((u64::try_from(age.as_nanos()).unwrap_or(u64::MAX), name), path));
        }
    }
    files.sort_by(|a, b| b.cmp(a));
    Ok(files)
}

fn is_to(mail: &[u8], recipient: &str) -> bool {
    let parsed = mail_parser::MessageParser::default().parse(mail);
    let to = parsed.as_ref().and_then(|mail| mail.to());
    to.is_some_and(|to| to.iter().filter_map(|to| to.address()).any(|address| address.eq_ignore_ascii_case(recipient)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_any_spelling() {
        assert_eq!(recipient("Nina@müller.example").unwrap(), "Nina@xn--mller-kva.example");
        assert_eq!(recipient("").unwrap(), "");
        assert_eq!(recipient("nina@").unwrap_err().code(), Code::InvalidArgument);
    }
}
