//! Text of users and of mail servers, made safe for headers, headings and bodies (rule T7).

use std::iter::repeat_n;

use frontdesk_proto::characters::{is_directional, is_invisible, is_line_break};

/// POP DIRECTIONAL ISOLATE, which ends an isolate.
const END_OF_ISOLATE: char = '\u{2069}';

/// Returns one line of at most `max_chars` characters for a header or a heading: names, subjects, titles. A longer text ends
/// with `…`. `=?` begins an encoded word, which a mail client would decode into text that was not checked, so a space breaks
/// it. Directional marks are kept: they do not reach beyond the characters beside them.
pub(crate) fn one_line(text: &str, max_chars: usize) -> String {
    let spaced: String = text
        .chars()
        .map(|char| if is_line_break(char) || char == '\t' { ' ' } else { char })
        .filter(|char| !char.is_control() && !is_embedding(*char) && !is_isolate(*char))
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let line = words.join(" ").replace("=?", "= ?");
    if line.chars().count() <= max_chars {
        return line;
    }
    let cut: String = line.chars().take(max_chars.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// Returns whether the character begins or ends an embedding or an override of the direction.
fn is_embedding(char: char) -> bool {
    matches!(char, '\u{202A}'..='\u{202E}')
}

/// Returns whether the character begins or ends an isolate.
fn is_isolate(char: char) -> bool {
    begins_isolate(char) || char == END_OF_ISOLATE
}

fn begins_isolate(char: char) -> bool {
    matches!(char, '\u{2066}'..='\u{2068}')
}

/// Returns a URL as text, without invisible characters.
pub(crate) fn visible_url(text: &str) -> String {
    // Maximum length of a URL in the text of a mail (characters).
    const MAX_CHARS: usize = 500;
    let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
    one_line(&visible, MAX_CHARS)
}

/// Returns the lines of a message. No control character is kept but the tab, and nothing directs the text of another line.
pub(crate) fn body_lines(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n").split(is_line_break).map(body_line).collect()
}

/// Returns a line with its directional marks and isolates, which right-to-left text needs. Embeddings are removed, as in the
/// contract; an isolate without an end ends with the line, and an end without an isolate is removed.
fn body_line(line: &str) -> String {
    let mut open = 0_usize;
    let mut kept = String::with_capacity(line.len());
    for char in line.chars() {
        match char {
            END_OF_ISOLATE if open == 0 => continue,
            END_OF_ISOLATE => open -= 1,
            _ if begins_isolate(char) => open += 1,
            _ if is_embedding(char) || (char.is_control() && char != '\t') => continue,
            _ => {}
        }
        kept.push(char);
    }
    kept.extend(repeat_n(END_OF_ISOLATE, open));
    kept
}

/// Returns the mail server's response on one line without control characters, as it is stored and shown.
pub(crate) fn server_response(text: &str) -> String {
    // Maximum length of a response that is stored (characters).
    const MAX_CHARS: usize = 500;
    text.chars()
        .map(|char| if is_line_break(char) { ' ' } else { char })
        .filter(|char| !char.is_control() && !is_directional(*char))
        .take(MAX_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t7_a_header_line_has_no_breaks_control_characters_embeddings_or_isolates() {
        assert_eq!(one_line("Eve\r\nBcc: all@example.com", 100), "Eve Bcc: all@example.com");
        assert_eq!(one_line("a\u{202E}b\u{2066}c\u{0}d\u{2028}e", 100), "abcd e");
        assert_eq!(one_line("=?utf-8?B?RXZl?=", 100), "= ?utf-8?B?RXZl?=");
        assert_eq!(one_line("C++\u{200F} \u{61C}1\u{200E}", 100), "C++\u{200F} \u{61C}1\u{200E}", "marks are kept");
    }

    #[test]
    fn t6_a_header_line_that_is_cut_says_so() {
        assert_eq!(one_line(&"x".repeat(100), 100), "x".repeat(100));
        assert_eq!(one_line(&"x".repeat(101), 100), format!("{}…", "x".repeat(99)));
        assert_eq!(one_line("ab cde", 4), "ab…");
    }

    #[test]
    fn t7_every_kind_of_line_break_begins_a_line() {
        assert_eq!(body_lines("a\r\nb\rc\u{2028}d\n\ne"), ["a", "b", "c", "d", "", "e"]);
    }

    #[test]
    fn t8_a_servers_response_is_cut_and_has_no_control_characters() {
        let response = server_response(&format!("550 no\r\n{}\u{1b}[31m", "x".repeat(600)));
        assert_eq!(response.chars().count(), 500);
        assert!(!response.chars().any(char::is_control));
    }

    #[test]
    fn s8_t7_no_text_leaves_its_line_or_turns_the_direction_of_another() {
        const PIECES: &[&str] = &[
            "\r\n",
            "\r",
            "\n",
            "\u{85}",
            "\u{2028}",
            "\t",
            "=?utf-8?B?",
            "?=",
            "\u{202E}",
            "\u{2066}",
            "\u{2067}",
            "\u{2069}",
            "\u{200F}",
            "\u{0}",
            "\u{1b}[31m",
            "Bcc: ",
            "<",
            "&",
            "a",
        ];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 32)).for_each(|written| {
            let (header, url, response) = (one_line(written, 20), visible_url(written), server_response(written));
            for line in [&header, &url, &response] {
                assert!(
                    !line
                        .chars()
                        .any(|char| char.is_control() || is_line_break(char) || is_embedding(char) || is_isolate(char)),
                    "{line:?}"
                );
            }
            assert!(header.chars().count() <= 20 && !header.contains("=?"), "{header:?}");
            for line in body_lines(written) {
                assert!(
                    !line
                        .chars()
                        .any(|char| (char.is_control() && char != '\t') || is_line_break(char) || is_embedding(char)),
                    "{line:?}"
                );
                let closed = |open: usize, char| match char {
                    END_OF_ISOLATE => open.checked_sub(1),
                    _ => Some(open + usize::from(begins_isolate(char))),
                };
                assert_eq!(line.chars().try_fold(0, closed), Some(0), "{line:?}");
            }
        });
    }
}
