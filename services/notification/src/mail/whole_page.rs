//! A transcript of any length as a page, written part by part (rule T6).

use frontdesk_clock::Time;

use super::{
    ComposeError,
    language::Language,
    parts::Style,
    templates::{self, HTML},
    transcript::{default_subject, rows, view_around_rows},
    values::fields,
};
use crate::domain::{Transcript, TranscriptLine};

/// A page that is being written, by the shipped template.
pub(crate) struct WholePage {
    top: String,
    bottom: String,
    /// Time of the last line.
    previous: Option<Time>,
}

impl WholePage {
    /// Begins the page of a transcript, whose lines are written later.
    pub(crate) fn try_new(transcript: &Transcript, language: &Language) -> Result<Self, ComposeError> {
        let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
        let mut view = view_around_rows(transcript, language, &subject);
        // It has the number of messages, which is not known yet, for lists of mails.
        view.preheader.clear();
        let values = templates::values(&view);
        let [top, bottom] = [HTML.top, HTML.bottom].map(|name| templates::render_values(name, &values));
        Ok(Self { top: top?, bottom: bottom?, previous: None })
    }

    /// Returns what is before the lines.
    pub(crate) fn top(&mut self) -> String {
        std::mem::take(&mut self.top)
    }

    /// Returns further lines.
    pub(crate) fn lines(&mut self, lines: &[TranscriptLine], style: &Style<'_>) -> Result<String, ComposeError> {
        let values = fields([("rows", rows(lines, style, self.previous).into_iter().collect())]);
        self.previous = lines.last().map(|line| line.at).or(self.previous);
        templates::render_values(HTML.rows, &values)
    }

    /// Returns what is after the lines.
    pub(crate) fn bottom(&mut self) -> String {
        std::mem::take(&mut self.bottom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{html, language, sample::sample};

    #[test]
    fn t6_a_page_that_is_written_part_by_part_has_what_the_mail_has() {
        let (transcript, language) = (sample(), language(&["it"]).unwrap());
        let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
        let mail = html(&transcript, language, &subject).unwrap();
        let style = Style { language, zone: &transcript.zone, links_end_at: transcript.links_end_at };
        let empty = Transcript { lines: Vec::new(), ..transcript.clone() };
        let mut page = WholePage::try_new(&empty, language).unwrap();
        let mut written = page.top();
        for lines in transcript.lines.chunks(3) {
            written.push_str(&page.lines(lines, &style).unwrap());
        }
        written.push_str(&page.bottom());
        let lines = |text: &str| -> Vec<String> {
            let shown = text.lines().filter(|line| !line.trim().is_empty() && !line.contains("display:none"));
            shown.map(str::to_owned).collect()
        };
        assert_eq!(lines(&written), lines(&mail));
    }
}
