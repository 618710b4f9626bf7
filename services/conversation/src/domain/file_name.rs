//! Names of files: they are shown and stand in headers, and never become paths.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Maximum length of a name (characters).
const MAX_LENGTH: usize = 255;
/// Maximum length of the name for clients that know ASCII only (characters).
const MAX_ASCII_LENGTH: usize = 100;
/// The name of a file that has none.
const UNNAMED: &str = "file";
/// What is escaped in an extended parameter: all but the characters `attr-char` of RFC 8187.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The name without folders, without control characters, and without characters that reorder or hide others.
pub(crate) fn plain_file_name(text: &str) -> String {
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String =
        last.chars().filter(|character| !character.is_control() && !reorders_or_hides(*character)).collect();
    match name.trim() {
        "" | "." | ".." => UNNAMED.to_owned(),
        name => name.chars().take(MAX_LENGTH).collect(),
    }
}

/// Marks, embeddings, overrides, isolates, and characters without a width.
fn reorders_or_hides(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// The header `Content-Disposition` of a download (RFC 6266): the name in ASCII for old clients, and as it is (RFC 8187).
pub(crate) fn content_disposition(name: &str) -> String {
    let is_plain = |character: char| {
        (character.is_ascii_graphic() || character == ' ') && !matches!(character, '"' | '\\' | '%' | '/')
    };
    let ascii: String = name.chars().take(MAX_ASCII_LENGTH).map(|one| if is_plain(one) { one } else { '_' }).collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", utf8_percent_encode(name, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_a_name_has_no_folders_and_shows_its_end_at_its_end() {
        let long = "x".repeat(300);
        for (text, name) in [
            ("счёт.pdf", "счёт.pdf"),
            ("請求書.pdf", "請求書.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\Ada\\a.png", "a.png"),
            ("invoice\u{202E}fdp.exe", "invoicefdp.exe"),
            ("a\r\nSet-Cookie: b.png", "aSet-Cookie: b.png"),
            ("..", "file"),
            ("/", "file"),
            (" \u{200B} ", "file"),
            (".htaccess", ".htaccess"),
            (long.as_str(), &long[..255]),
        ] {
            assert_eq!(plain_file_name(text), name, "{text:?}");
        }
    }

    #[test]
    fn s8_any_name_is_no_path_and_its_header_is_one_line_of_ascii() {
        const PIECES: &[&str] = &["/", "\\", "..", "\r\n", "\"", "%", ";", "\u{202E}", "\u{200B}", "\0", "é", "請"];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|text| {
            let name = plain_file_name(text);
            assert!(!name.is_empty() && name != "." && name != ".." && name.chars().count() <= MAX_LENGTH, "{name:?}");
            assert!(!name.contains(['/', '\\']) && !name.chars().any(char::is_control), "{name:?}");
            let header = content_disposition(&name);
            assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
        });
    }

    #[test]
    fn c5_the_header_of_a_download_is_ascii_on_one_line_whatever_the_name() {
        for (name, header) in [
            ("a.png", "attachment; filename=\"a.png\"; filename*=UTF-8''a.png"),
            ("счёт.pdf", "attachment; filename=\"____.pdf\"; filename*=UTF-8''%D1%81%D1%87%D1%91%D1%82.pdf"),
            ("請.pdf", "attachment; filename=\"_.pdf\"; filename*=UTF-8''%E8%AB%8B.pdf"),
            ("a\"b\\c%.txt", "attachment; filename=\"a_b_c_.txt\"; filename*=UTF-8''a%22b%5Cc%25.txt"),
            ("a b;c.txt", "attachment; filename=\"a b;c.txt\"; filename*=UTF-8''a%20b%3Bc.txt"),
        ] {
            assert_eq!(content_disposition(name), header);
        }
        for hostile in ["a\r\nx: y", "\u{202E}gpj.exe", "\0", &"é".repeat(300)] {
            let header = content_disposition(hostile);
            assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header:?}");
        }
    }
}
