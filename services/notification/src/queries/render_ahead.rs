//! Renders the pages of a thread while the next ones are read.

use std::{collections::VecDeque, sync::Arc};

use frontdesk_clock::Time;
use jiff::tz::TimeZone;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    conversation::CallError,
    domain::TranscriptLine,
    mail::{self, ComposeError, Language, Rows, Style},
};

/// Maximum number of pages of one thread that are rendered at the same time.
const MAX_PAGES: usize = 2;

/// The lines of a page and their rows in a mail.
type Page = (Vec<TranscriptLine>, Rows);

/// Pages that are being rendered, in their order.
pub(super) struct RenderAhead {
    language: Arc<Language>,
    zone: TimeZone,
    links_end_at: Time,
    running: VecDeque<AbortOnDropHandle<Result<Page, ComposeError>>>,
    /// Time of the last line of the last page.
    previous: Option<Time>,
}

impl RenderAhead {
    pub(super) fn new(style: Style<'_>) -> Self {
        let Style { language, zone, links_end_at } = style;
        let (language, zone) = (Arc::new(language.clone()), zone.clone());
        Self { language, zone, links_end_at, running: VecDeque::new(), previous: None }
    }

    /// Begins to render the next page. Returns the first of those that are being rendered, if it has to make room.
    pub(super) async fn push(&mut self, page: Vec<TranscriptLine>) -> Result<Option<Page>, CallError> {
        let first = if self.running.len() < MAX_PAGES { None } else { self.next().await? };
        let (language, zone, links_end_at) = (self.language.clone(), self.zone.clone(), self.links_end_at);
        let previous = self.previous;
        self.previous = page.last().map(|line| line.at).or(previous);
        // Rendering a page takes milliseconds, and must not block the threads that serve calls.
        self.running.push_back(AbortOnDropHandle::new(spawn_blocking(move || {
            let style = Style { language: &language, zone: &zone, links_end_at };
            mail::render_rows(&page, &style, previous).map(|rows| (page, rows))
        })));
        Ok(first)
    }

    /// Returns the first of the pages that are being rendered. None: there is none.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, CallError> {
        let Some(rendering) = self.running.pop_front() else { return Ok(None) };
        let rendered = rendering.await.map_err(|error| CallError::Unavailable(error.to_string()))?;
        rendered.map(Some).map_err(|error| CallError::Unavailable(error.to_string()))
    }
}
