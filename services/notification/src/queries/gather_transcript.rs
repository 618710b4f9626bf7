//! The content of a transcript's mail, asked of the conversation service and never inside a transaction.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{find_language, render_ahead::RenderAhead};
use crate::{
    App,
    conversation::{CallError, Channel, ThreadPages, ThreadRange},
    domain::{Contact, Excerpt, Sender, Transcript, TranscriptLine, VisitorName, zone},
    mail::{self, ComposeError, ComposedMail, DkimKeys, Envelope, Language, OptionalHeaders, Rows, Style, one_line},
};

/// Maximum length of a subject (characters).
const MAX_SUBJECT_CHARS: usize = 200;

/// Which transcript to gather.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TranscriptQuery<'a> {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    /// The contact that receives it. None: the visitor is unknown.
    pub(crate) contact: Option<Uuid>,
    /// That contact was the visitor at the close, even if the conversation has another contact now (rule T2).
    pub(crate) as_closed: bool,
    /// The visitor's name. Empty: none is known.
    pub(crate) visitor_name: &'a str,
    /// Languages of the channel and of the account at the close, in this order. Empty: it had none.
    pub(crate) languages: [&'a str; 2],
    /// Sequence of the last entry to include. 0: the newest.
    pub(crate) until: i32,
    /// The requested time zone. Empty: the contact's.
    pub(crate) time_zone: &'a str,
    /// Maximum size of its HTML and text together (bytes). None: the setting's.
    pub(crate) max_bytes: Option<usize>,
    /// The delivery of the mail, whose whole transcript is linked where lines do not fit. None: there is none.
    pub(crate) delivery: Option<Uuid>,
    /// Date of the mail, from which the lifetime of its links counts: the same date gives the same links.
    pub(crate) date: Time,
    /// The lines are rendered for a mail while they are read.
    pub(crate) renders: bool,
}

/// A transcript with its channel and its recipient.
#[derive(Clone, Debug)]
pub(crate) struct TranscriptData {
    pub(crate) conversation: Uuid,
    pub(crate) channel: Channel,
    /// The recipient: the visitor, or another contact that an agent chose.
    pub(crate) contact: Option<Contact>,
    pub(crate) transcript: Transcript,
    /// The language of the mail.
    pub(crate) language: Language,
    /// All lines as rows of the mail. None: they are not rendered yet.
    rows: Option<Vec<Rows>>,
}

/// Gathers a transcript. Its times are in the requested zone, else the contact's, else the channel's, else UTC; its language is the
/// contact's, else that of the chat's widget, else the channel's, else the account's, else the installation's.
pub(crate) async fn gather_transcript(app: &App, query: &TranscriptQuery<'_>) -> Result<TranscriptData, CallError> {
    let (mut data, pages) = open_transcript(app, query).await?;
    (data.transcript.lines, data.rows) = read_lines(app, query, data.style(), pages).await?;
    Ok(data)
}

/// Returns the transcript without its lines, and the pages of its lines, which are read one by one.
pub(crate) async fn open_transcript(
    app: &App,
    query: &TranscriptQuery<'_>,
) -> Result<(TranscriptData, ThreadPages), CallError> {
    let (client, account) = (&app.conversation, query.account);
    let conversation = client.get_conversation(account, query.conversation).await?;
    let channel = client.get_channel(account, conversation.channel_id).await?;
    let mut contact = match query.contact {
        Some(contact) => Some(client.get_contact(account, contact).await?),
        None => None,
    };
    let to_visitor = query.as_closed || contact.as_ref().map(|contact| contact.id) == conversation.contact_id;
    let visitor = VisitorName::new(query.visitor_name, to_visitor);
    // Not the contact's name: a visitor who only claimed the contact's address must not be shown under it.
    if let Some(contact) = contact.as_mut().filter(|_| to_visitor) {
        contact.name = query.visitor_name.to_owned();
    }
    let contact_zone = contact.as_ref().map_or("", |contact| contact.time_zone.as_str());
    let zone = zone(&[query.time_zone, contact_zone, &channel.time_zone]);
    let contact_language = contact.as_ref().map_or("", |contact| contact.language.as_str());
    let [channel_language, account_language] = query.languages;
    let tags: [&str; 5] =
        [contact_language, &conversation.language, channel_language, account_language, &app.settings.language];
    let language =
        find_language(app, account, &tags).await.map_err(|error| CallError::Unavailable(error.to_string()))?;
    // In whole seconds: the parts of a preview that is read in several calls have one size.
    let Time(links_end_at) = query.date.plus(app.settings.attachment_link_lifetime);
    let links_end_at = Time(links_end_at - links_end_at.rem_euclid(1_000_000));
    let range = ThreadRange { conversation: query.conversation, until: query.until, links_end_at };
    let pages = client.read_thread(account, range, visitor.clone());
    let transcript = Transcript {
        channel: channel.name.clone(),
        page_url: conversation.page_url,
        page_title: conversation.page_title,
        started_at: conversation.started_at,
        visitor: if let VisitorName::Known(name) = visitor { name } else { String::new() },
        to_visitor,
        zone,
        links_end_at,
        lines: Vec::new(),
    };
    let data = TranscriptData { conversation: query.conversation, channel, contact, transcript, language, rows: None };
    Ok((data, pages))
}

/// Returns the lines of the thread, of which the middle is omitted when they are too large for a mail (rule T6), and all of them as rows if the
/// query asks for them, nothing is omitted, and no template of an account renders them.
async fn read_lines(
    app: &App,
    query: &TranscriptQuery<'_>,
    style: Style<'_>,
    mut pages: ThreadPages,
) -> Result<(Vec<TranscriptLine>, Option<Vec<Rows>>), CallError> {
    let setting = app.settings.transcript_max_bytes;
    let max_bytes = query.max_bytes.map_or(setting, |max| max.min(setting));
    let url = match query.delivery {
        Some(delivery) => app
            .links
            .whole(query.account, delivery, style.links_end_at)
            .map_err(|error| CallError::Unavailable(error.to_string()))?,
        None => String::new(),
    };
    let renders = query.renders && !style.language.has_own_template();
    let mut lines = Lines::new(style, mail::max_bytes_of_lines(max_bytes), url);
    let (mut ahead, mut rows, mut too_large) = (RenderAhead::new(style), Vec::new(), None);
    while renders && let Some(page) = pages.next().await? {
        if !lines.have_room(&page)? {
            too_large = Some(page);
            break;
        }
        if let Some((page, rendered)) = ahead.push(page).await? {
            lines.small.extend(page);
            rows.push(rendered);
        }
    }
    while let Some((page, rendered)) = ahead.next().await? {
        lines.small.extend(page);
        rows.push(rendered);
    }
    // The lines of a thread that is too large are rendered when it is known which are omitted.
    let rows = (renders && too_large.is_none()).then_some(rows);
    if let Some(page) = too_large {
        lines.add_page(page)?;
    }
    while let Some(page) = pages.next().await? {
        lines.add_page(page)?;
    }
    Ok((lines.into_lines(), rows))
}

/// The lines of a thread, which are rendered for their sizes only when they may be too large: most threads are small.
struct Lines<'a> {
    style: Style<'a>,
    max_bytes: usize,
    /// Link to all lines. Empty: there is none.
    url: String,
    /// All lines, with the size that they have at most (bytes), while they fit.
    small: Vec<TranscriptLine>,
    small_bytes: usize,
    /// Those that fit of a thread that may be too large.
    excerpt: Option<Excerpt>,
    /// Time of the last line.
    previous: Option<Time>,
}

impl<'a> Lines<'a> {
    fn new(style: Style<'a>, max_bytes: usize, url: String) -> Self {
        Self { style, max_bytes, url, small: Vec::new(), small_bytes: 0, excerpt: None, previous: None }
    }

    /// Counts the lines of the next page. Returns whether they fit, and are to be added to the small ones.
    fn have_room(&mut self, page: &[TranscriptLine]) -> Result<bool, CallError> {
        for line in page {
            let bytes = mail::max_rendered_size(line, &self.style, self.previous.replace(line.at));
            self.small_bytes += bytes.map_err(|error| CallError::Unavailable(error.to_string()))?;
        }
        Ok(self.small_bytes <= self.max_bytes)
    }

    fn add_page(&mut self, page: Vec<TranscriptLine>) -> Result<(), CallError> {
        page.into_iter().try_for_each(|line| self.add(line)).map_err(|error| CallError::Unavailable(error.to_string()))
    }

    fn add(&mut self, line: TranscriptLine) -> Result<(), ComposeError> {
        if self.excerpt.is_none() {
            self.small_bytes += mail::max_rendered_size(&line, &self.style, self.previous)?;
            if self.small_bytes <= self.max_bytes {
                self.previous = Some(line.at);
                self.small.push(line);
                return Ok(());
            }
            self.previous = None;
        }
        let mut excerpt = self.excerpt.take().unwrap_or_else(|| Excerpt::new(self.max_bytes, self.url.clone()));
        for line in std::mem::take(&mut self.small).into_iter().chain([line]) {
            let bytes = mail::rendered_size(&line, &self.style, self.previous.replace(line.at))?;
            excerpt.add(line, bytes);
        }
        self.excerpt = Some(excerpt);
        Ok(())
    }

    fn into_lines(self) -> Vec<TranscriptLine> {
        self.excerpt.map_or(self.small, Excerpt::into_lines)
    }
}

impl TranscriptData {
    /// How its lines are written.
    pub(crate) fn style(&self) -> Style<'_> {
        let Transcript { zone, links_end_at, .. } = &self.transcript;
        Style { language: &self.language, zone, links_end_at: *links_end_at }
    }

    /// Composes its mail.
    pub(crate) fn compose(self, envelope: &Envelope) -> Result<ComposedMail, ComposeError> {
        match self.rows {
            Some(rows) => mail::compose_rows(&self.transcript, &self.language, envelope, rows),
            None => mail::compose(&self.transcript, &self.language, envelope),
        }
    }

    /// Returns the requested subject; empty: the default one.
    pub(crate) fn subject(&self, requested: &str) -> String {
        match one_line(requested, MAX_SUBJECT_CHARS).as_str() {
            "" => mail::default_subject(&self.language, &self.channel.name, self.transcript.to_visitor),
            requested => requested.to_owned(),
        }
    }

    /// Returns the headers of the transcript's mail. Deliveries and previews both use it, so that a preview shows the bytes of
    /// the mail (rule T9).
    pub(crate) fn envelope(
        &self,
        delivery: Uuid,
        date: Time,
        sender: Sender,
        recipient: String,
        subject: &str,
        dkim: &DkimKeys,
    ) -> Envelope {
        let optional = OptionalHeaders {
            reply_to: sender.reply_to_email,
            unsubscribe_to: sender.unsubscribe_email,
            conversation: Some(self.conversation),
            dkim: dkim.find(&sender.email),
        };
        Envelope {
            delivery,
            message_id: mail::message_id(delivery, &sender.email),
            date,
            from_name: sender.display_name,
            from: sender.email,
            to_name: self.contact.as_ref().map(|contact| contact.name.clone()).unwrap_or_default(),
            to: recipient,
            subject: self.subject(subject),
            optional,
        }
    }
}
