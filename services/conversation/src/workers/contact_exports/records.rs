//! What an export writes, service by service: pages of rows, each read in a transaction of its own. Nothing but a page is in memory.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::super::export_file::{NewFile, Stop};
use crate::{
    App, assignment, bot_session,
    commands::LinkPurpose,
    domain::{AttachmentStatus, ClosingSnapshot, ContactJob, Conversation, ExportHead, RecordPage},
    notification,
    store::{
        attachments, closing_snapshots, contacts, conversations, entries, merged_contacts, tickets, visitor_marks,
        visitors,
    },
};

/// Number of rows that are read at once.
const PAGE: u64 = 100;
/// Maximum number of entries that are read at once; a page with long ones ends earlier.
const MAX_ENTRIES: usize = 200;

/// Whether no page follows one with this number of rows.
fn is_last(rows: usize) -> bool {
    (rows as u64) < PAGE
}

/// Writes all records but the last one.
pub(super) async fn write(
    app: &App,
    file: &mut NewFile<'_, ContactJob>,
    now: Time,
    expires_at: Time,
) -> Result<(), Stop> {
    let head = ExportHead { job: file.job.id, contact: file.job.contact_id, began_at: now };
    file.write(&head.export_record()).await?;
    write_contact(app, file).await?;
    write_visitors(app, file).await?;
    write_conversations(app, file).await?;
    write_tickets(app, file).await?;
    write_attachments(app, file, expires_at).await?;
    file.deliver("conversation").await?;
    write_of_conversations(app, file, OfConversation::Assignments).await?;
    file.deliver("assignment").await?;
    write_of_conversations(app, file, OfConversation::BotSessions).await?;
    file.deliver("bot-session").await?;
    write_of_conversations(app, file, OfConversation::TranscriptDecisions).await?;
    write_mails(app, file).await?;
    file.deliver("notification").await
}

async fn write_contact(app: &App, file: &mut NewFile<'_, ContactJob>) -> Result<(), Stop> {
    let (account, id) = (file.job.account, file.job.contact_id);
    let contact = {
        let read = app.db.read_for(account).await?;
        contacts::find(&read.conn(), account, id).await?
    };
    // Without it there is no file in the end.
    let Some(contact) = contact.filter(|contact| contact.id == id) else { return Ok(()) };
    file.write(&contact.export_record()).await?;
    let mut after = None;
    loop {
        let page = {
            let read = app.db.read_for(account).await?;
            merged_contacts::list(&read.conn(), account, id, after, PAGE).await?
        };
        for merged in &page {
            file.write(&merged.export_record()).await?;
        }
        match page.last() {
            Some(last) if !is_last(page.len()) => after = Some((last.merged_at, last.source_id)),
            _ => return Ok(()),
        }
    }
}

async fn write_visitors(app: &App, file: &mut NewFile<'_, ContactJob>) -> Result<(), Stop> {
    let (account, contact) = (file.job.account, file.job.contact_id);
    let mut after: Option<String> = None;
    loop {
        let page = {
            let read = app.db.read_for(account).await?;
            visitors::list_of_contact(&read.conn(), account, contact, after.as_deref(), PAGE).await?
        };
        for visitor in &page {
            file.write(&visitor.export_record()).await?;
        }
        match page.last() {
            Some(last) if !is_last(page.len()) => after = Some(last.id.clone()),
            _ => return Ok(()),
        }
    }
}

/// A page of the contact's conversations, and the id after which the next one begins. None: it is the last one.
async fn conversations_after(
    app: &App,
    job: &ContactJob,
    after: Option<Uuid>,
) -> Result<(Vec<Conversation>, Option<Uuid>), Stop> {
    let read = app.db.read_for(job.account).await?;
    let page = conversations::list_of_contact(&read.conn(), job.account, job.contact_id, after, PAGE).await?;
    let next = page.last().map(|last| last.id).filter(|_| !is_last(page.len()));
    Ok((page, next))
}

/// The contact, and those that were merged into it.
async fn ids_of_contact(app: &App, job: &ContactJob) -> Result<Vec<Uuid>, Stop> {
    let read = app.db.read_for(job.account).await?;
    let mut contacts = merged_contacts::list_source_ids(&read.conn(), job.account, job.contact_id).await?;
    contacts.push(job.contact_id);
    Ok(contacts)
}

async fn write_conversations(app: &App, file: &mut NewFile<'_, ContactJob>) -> Result<(), Stop> {
    let contacts = ids_of_contact(app, file.job).await?;
    let mut after = None;
    loop {
        let (page, next) = conversations_after(app, file.job, after).await?;
        for conversation in &page {
            let marks = {
                let read = app.db.read_for(conversation.account).await?;
                visitor_marks::find(&read.conn(), conversation.account, conversation.id).await?
            };
            file.write(&conversation.export_record(marks)).await?;
            write_closes(app, file, conversation, &contacts).await?;
            write_entries(app, file, conversation).await?;
        }
        match next {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// Without the address of another contact, to whom the conversation belonged at a close.
async fn write_closes(
    app: &App,
    file: &mut NewFile<'_, ContactJob>,
    conversation: &Conversation,
    contacts: &[Uuid],
) -> Result<(), Stop> {
    let mut after = 0;
    loop {
        let page = {
            let read = app.db.read_for(conversation.account).await?;
            closing_snapshots::list(&read.conn(), conversation.account, conversation.id, after, PAGE).await?
        };
        for close in &page {
            let is_own = close.contact_id.is_some_and(|contact| contacts.contains(&contact));
            let facts = if is_own { close.facts.clone() } else { close.facts.clone().without_address() };
            file.write(&ClosingSnapshot { facts, ..close.clone() }.export_record()).await?;
        }
        match page.last() {
            Some(last) if !is_last(page.len()) => after = last.close_number,
            _ => return Ok(()),
        }
    }
}

async fn write_entries(app: &App, file: &mut NewFile<'_, ContactJob>, conversation: &Conversation) -> Result<(), Stop> {
    let mut after = 0;
    loop {
        let page = {
            let read = app.db.read_for(conversation.account).await?;
            entries::list(&read.conn(), conversation.account, conversation.id, after, None, MAX_ENTRIES).await?
        };
        for entry in &page.entries {
            file.write(&entry.export_record()).await?;
        }
        match page.entries.last() {
            Some(last) if page.has_more => after = last.sequence,
            _ => return Ok(()),
        }
    }
}

async fn write_tickets(app: &App, file: &mut NewFile<'_, ContactJob>) -> Result<(), Stop> {
    let (account, contact) = (file.job.account, file.job.contact_id);
    let mut after = None;
    loop {
        let page = {
            let read = app.db.read_for(account).await?;
            tickets::list_to_export(&read.conn(), account, contact, after, PAGE).await?
        };
        for ticket in &page {
            file.write(&ticket.export_record()).await?;
        }
        match page.last() {
            Some(last) if !is_last(page.len()) => after = Some(last.id),
            _ => return Ok(()),
        }
    }
}

/// The bytes are behind links, which expire with the file.
async fn write_attachments(app: &App, file: &mut NewFile<'_, ContactJob>, expires_at: Time) -> Result<(), Stop> {
    let (account, contact) = (file.job.account, file.job.contact_id);
    let mut after = None;
    loop {
        let page = {
            let read = app.db.read_for(account).await?;
            attachments::list_to_export(&read.conn(), account, contact, after, PAGE).await?
        };
        for attachment in &page {
            let links = &app.attachment_links;
            let is_linked = attachment.status == AttachmentStatus::Ready && links.is_enabled();
            let link = is_linked.then(|| links.link_until(LinkPurpose::Download, account, attachment.id, expires_at));
            let url = link.transpose()?.map(|link| link.url);
            file.write(&attachment.export_record(url.as_deref())).await?;
        }
        match page.last() {
            Some(last) if !is_last(page.len()) => after = Some(last.id),
            _ => return Ok(()),
        }
    }
}

/// What another service stores about each conversation.
#[derive(Clone, Copy)]
enum OfConversation {
    Assignments,
    BotSessions,
    TranscriptDecisions,
}

impl OfConversation {
    async fn page(self, app: &App, account: AccountId, id: Uuid, token: String) -> Result<RecordPage, Stop> {
        let (service, page) = match self {
            Self::Assignments => ("assignment", assignment::list_assignments(app, account, id, token).await),
            Self::BotSessions => ("bot-session", bot_session::list_bot_sessions(app, account, id, token).await),
            Self::TranscriptDecisions => {
                ("notification", notification::list_transcript_decisions(app, account, id, token).await)
            }
        };
        page.map_err(|status| Stop::Service(service, status))
    }
}

async fn write_of_conversations(
    app: &App,
    file: &mut NewFile<'_, ContactJob>,
    what: OfConversation,
) -> Result<(), Stop> {
    let account = file.job.account;
    let mut after = None;
    loop {
        let (page, next) = conversations_after(app, file.job, after).await?;
        for conversation in &page {
            let mut token = Some(String::new());
            while let Some(page_token) = token {
                token = write_page(file, what.page(app, account, conversation.id, page_token).await?).await?;
            }
        }
        match next {
            Some(last) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// Writes the records of another service. Returns the token of the next page. None: it was the last one.
async fn write_page(file: &mut NewFile<'_, ContactJob>, page: RecordPage) -> Result<Option<String>, Stop> {
    for record in &page.records {
        file.write(record).await?;
    }
    Ok(Some(page.next_page_token).filter(|token| !token.is_empty()))
}

/// The mails to the contact. Those about the conversations to others are left out: their addresses are those of other people.
async fn write_mails(app: &App, file: &mut NewFile<'_, ContactJob>) -> Result<(), Stop> {
    let account = file.job.account;
    for contact in ids_of_contact(app, file.job).await? {
        let mut token = Some(String::new());
        while let Some(page_token) = token {
            let page = notification::list_deliveries(app, account, contact, page_token).await;
            token = write_page(file, page.map_err(|status| Stop::Service("notification", status))?).await?;
        }
    }
    Ok(())
}
