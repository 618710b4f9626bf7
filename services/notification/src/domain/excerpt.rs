//! What of a long thread fits into a mail: its first and its last part (rule T6).

use std::collections::VecDeque;

use super::transcript::{Content, Line};

/// Takes lines one after another and never holds more than was allowed.
#[derive(Clone, Debug)]
pub(crate) struct Excerpt {
    /// Each part may have so many bytes.
    part: usize,
    first: Vec<Line>,
    first_bytes: usize,
    first_is_full: bool,
    last: VecDeque<(Line, usize)>,
    last_bytes: usize,
    left_out: Option<Line>,
}

impl Excerpt {
    /// For so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            part: bytes / 2,
            first: Vec::new(),
            first_bytes: 0,
            first_is_full: false,
            last: VecDeque::new(),
            last_bytes: 0,
            left_out: None,
        }
    }

    /// The next line, which takes so many bytes in the mail.
    pub(crate) fn add(&mut self, line: Line, bytes: usize) {
        self.first_is_full |= self.first_bytes + bytes > self.part;
        if !self.first_is_full {
            self.first_bytes += bytes;
            self.first.push(line);
            return;
        }
        self.last_bytes += bytes;
        self.last.push_back((line, bytes));
        while self.last_bytes > self.part
            && let Some((line, bytes)) = self.last.pop_front()
        {
            self.last_bytes -= bytes;
            self.leave_out(line);
        }
    }

    fn leave_out(&mut self, line: Line) {
        let gap = self.left_out.get_or_insert(Line { at: line.at, content: Content::LeftOut { messages: 0 } });
        if let (Content::LeftOut { messages }, Content::Message { .. }) = (&mut gap.content, &line.content) {
            *messages += 1;
        }
    }

    /// All of them, or the first and the last and between them how many messages were left out.
    pub(crate) fn into_lines(self) -> Vec<Line> {
        let mut lines = self.first;
        lines.extend(self.left_out);
        lines.extend(self.last.into_iter().map(|(line, _)| line));
        lines
    }
}

#[cfg(test)]
mod tests {
    use frontdesk_clock::Time;

    use super::*;
    use crate::domain::Author;

    fn message(number: usize) -> Line {
        let content = Content::Message {
            author: Author::Agent,
            name: String::new(),
            text: number.to_string(),
            buttons: Vec::new(),
        };
        Line { at: Time(0), content }
    }

    fn excerpt(lines: usize) -> Vec<String> {
        let mut excerpt = Excerpt::new(60);
        for number in 1..=lines {
            excerpt.add(message(number), 10);
        }
        let shown = |line: Line| match line.content {
            Content::Message { text, .. } => text,
            Content::LeftOut { messages } => format!("({messages})"),
            other => format!("{other:?}"),
        };
        excerpt.into_lines().into_iter().map(shown).collect()
    }

    #[test]
    fn t6_a_thread_that_fits_is_whole() {
        assert_eq!(excerpt(6), ["1", "2", "3", "4", "5", "6"]);
    }

    #[test]
    fn t6_of_a_longer_one_the_first_and_the_last_part_are_kept_and_the_rest_is_counted() {
        assert_eq!(excerpt(7), ["1", "2", "3", "(1)", "5", "6", "7"]);
        assert_eq!(excerpt(1_000), ["1", "2", "3", "(994)", "998", "999", "1000"]);
    }

    #[test]
    fn t6_a_message_that_is_too_large_by_itself_is_left_out() {
        let mut excerpt = Excerpt::new(60);
        for (number, bytes) in [(1, 10), (2, 100), (3, 10)] {
            excerpt.add(message(number), bytes);
        }
        assert_eq!(excerpt.into_lines().len(), 3);
    }
}
