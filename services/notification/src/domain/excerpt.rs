//! The part of a long thread that fits into a mail: its beginning and its end (rule T6).

use std::collections::VecDeque;

use super::transcript::{Content, TranscriptLine};

/// Collects lines in order and never holds more than its maximum size.
#[derive(Clone, Debug)]
pub(crate) struct Excerpt {
    /// Maximum size of the first and of the last part (bytes).
    max_part: usize,
    first: Vec<TranscriptLine>,
    first_bytes: usize,
    first_is_full: bool,
    last: VecDeque<(TranscriptLine, usize)>,
    last_bytes: usize,
    omitted: Option<TranscriptLine>,
    /// Link to all lines. Empty: there is none.
    url: String,
}

impl Excerpt {
    /// Returns an empty excerpt with a maximum size (bytes), and a link to what is omitted. An empty link: there is none.
    pub(crate) fn new(max_bytes: usize, url: String) -> Self {
        Self {
            max_part: max_bytes / 2,
            first: Vec::new(),
            first_bytes: 0,
            first_is_full: false,
            last: VecDeque::new(),
            last_bytes: 0,
            omitted: None,
            url,
        }
    }

    /// Adds the next line, whose size in the mail is `bytes`.
    pub(crate) fn add(&mut self, line: TranscriptLine, bytes: usize) {
        self.first_is_full |= self.first_bytes + bytes > self.max_part;
        if !self.first_is_full {
            self.first_bytes += bytes;
            self.first.push(line);
            return;
        }
        self.last_bytes += bytes;
        self.last.push_back((line, bytes));
        while self.last_bytes > self.max_part
            && let Some((line, bytes)) = self.last.pop_front()
        {
            self.last_bytes -= bytes;
            self.omit(line);
        }
    }

    fn omit(&mut self, line: TranscriptLine) {
        let gap = self.omitted.get_or_insert_with(|| {
            let content = Content::Omitted { messages: 0, url: self.url.clone() };
            TranscriptLine { at: line.at, content }
        });
        if let (Content::Omitted { messages, .. }, Content::Message(_)) = (&mut gap.content, &line.content) {
            *messages += 1;
        }
    }

    /// Returns all lines, or the first and the last part with the number of omitted messages between them.
    pub(crate) fn into_lines(self) -> Vec<TranscriptLine> {
        let mut lines = self.first;
        lines.extend(self.omitted);
        lines.extend(self.last.into_iter().map(|(line, _)| line));
        lines
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Time;

    use super::*;
    use crate::domain::{Author, Message};

    fn message(number: usize) -> TranscriptLine {
        let message = Message { author: Author::Agent, text: number.to_string(), ..Message::default() };
        TranscriptLine { at: Time(0), content: Content::Message(message) }
    }

    fn excerpt(lines: usize) -> Vec<String> {
        let mut excerpt = Excerpt::new(60, "https://chat.example/1".into());
        for number in 1..=lines {
            excerpt.add(message(number), 10);
        }
        let shown = |line: TranscriptLine| match line.content {
            Content::Message(message) => message.text,
            Content::Omitted { messages, url } => format!("({messages} at {url})"),
            other => format!("{other:?}"),
        };
        excerpt.into_lines().into_iter().map(shown).collect()
    }

    #[test]
    fn t6_a_thread_that_fits_is_whole() {
        assert_eq!(excerpt(6), ["1", "2", "3", "4", "5", "6"]);
    }

    #[test]
    fn t6_of_a_longer_thread_the_first_and_the_last_part_are_kept_and_the_rest_is_counted() {
        assert_eq!(excerpt(7), ["1", "2", "3", "(1 at https://chat.example/1)", "5", "6", "7"]);
        assert_eq!(excerpt(1_000), ["1", "2", "3", "(994 at https://chat.example/1)", "998", "999", "1000"]);
    }

    #[test]
    fn t6_a_message_that_is_too_large_by_itself_is_omitted() {
        let mut excerpt = Excerpt::new(60, "https://chat.example/1".into());
        for (number, bytes) in [(1, 10), (2, 100), (3, 10)] {
            excerpt.add(message(number), bytes);
        }
        assert_eq!(excerpt.into_lines().len(), 3);
    }
}
