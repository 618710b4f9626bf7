//! Text of users and of mail servers, made safe for headers, headings and bodies (rule T7).

use frontdesk_proto::characters::{is_directional, is_invisible, is_line_break};

/// Returns one line of at most `max_chars` characters for a header or a heading: names, subjects, titles. `=?` begins an
/// encoded word, which a mail client would decode into text that was not checked, so a space breaks it.
pub(crate) fn one_line(text: &str, max_chars: usize) -> String {
    let spaced: String = text
        .chars()
        .map(|char| if is_line_break(char) || char == '\t' { ' ' } else { char })
        .filter(|char| !char.is_control() && !is_directional(*char))
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").replace("=?", "= ?").chars().take(max_chars).collect::<String>().trim().to_owned()
}

/// Returns a URL as text, without invisible characters.
pub(crate) fn visible_url(text: &str) -> String {
    // Maximum length of a URL in the text of a mail (characters).
    const MAX_CHARS: usize = 500;
    let visible: String = text.chars().filter(|char| !is_invisible(*char)).collect();
    one_line(&visible, MAX_CHARS)
}

/// Returns the lines of a message.
pub(crate) fn body_lines(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n")
        .split(is_line_break)
        .map(|line| {
            line.chars().filter(|char| (!char.is_control() || *char == '\t') && !is_directional(*char)).collect()
        })
        .collect()
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
    fn t7_a_header_line_has_no_breaks_control_or_directional_characters() {
        assert_eq!(one_line("Eve\r\nBcc: all@example.com", 100), "Eve Bcc: all@example.com");
        assert_eq!(one_line("a\u{202E}b\u{2066}c\u{0}d\u{2028}e", 100), "abcd e");
        assert_eq!(one_line("=?utf-8?B?RXZl?=", 100), "= ?utf-8?B?RXZl?=");
        assert_eq!(one_line(&"x".repeat(300), 100).len(), 100);
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
}
