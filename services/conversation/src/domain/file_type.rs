//! Types of files: what their names say, and what their bytes are (rule C5).

/// Number of bytes at the beginning of a file that decide its type.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// Media types by the extensions of names, in lower case.
const EXTENSIONS: &[(&str, &str)] = &[
    ("avif", "image/avif"),
    ("bat", "application/x-bat"),
    ("bmp", "image/bmp"),
    ("cmd", "application/x-bat"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heif"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("m4a", "audio/m4a"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("msi", "application/x-msi"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps1", "application/x-powershell"),
    ("rar", "application/vnd.rar"),
    ("sh", "text/x-shellscript"),
    ("svg", "image/svg+xml"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("vbs", "text/vbscript"),
    ("wav", "audio/x-wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "text/xml"),
    ("zip", "application/zip"),
];

/// Types with a magic number whose files may be texts.
const TEXTUAL: [&str; 5] =
    ["application/pdf", "application/postscript", "application/rtf", "text/html", "text/x-shellscript"];

/// Other spellings of media types, which systems give to files, and the usual ones.
const SPELLINGS: &[(&str, &str)] = &[
    ("application/x-gzip", "application/gzip"),
    ("application/x-pdf", "application/pdf"),
    ("application/x-zip-compressed", "application/zip"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/mp4", "audio/m4a"),
    ("audio/wav", "audio/x-wav"),
    ("audio/x-m4a", "audio/m4a"),
    ("image/heic", "image/heif"),
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/x-png", "image/png"),
    // Of a text with commas, where a spreadsheet program is installed.
    ("application/vnd.ms-excel", "text/csv"),
];

/// The usual spelling of a media type.
pub(crate) fn usual_media_type(stated: &str) -> &str {
    SPELLINGS.iter().find(|(spelling, _)| *spelling == stated).map_or(stated, |(_, usual)| usual)
}

/// The type that the extension of a name stands for. None: it has none, or an unknown one.
pub(crate) fn media_type_of_name(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    EXTENSIONS.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

/// The type of a file by its first bytes, up to [`HEAD_BYTES`]. The name decides only between texts.
pub(crate) fn media_type_of_bytes(head: &[u8], name: &str) -> &'static str {
    // Markup and scripts have no magic number, and may be active where they are opened.
    if let Some(active) = active_text(head) {
        return active;
    }
    let is_text = is_text(head);
    match infer::get(head).map(|found| found.mime_type()) {
        // A text that begins as a picture does is a text.
        Some(found) if !is_text || TEXTUAL.contains(&found) => found,
        _ if !is_text => "application/octet-stream",
        _ if media_type_of_name(name) == Some("text/csv") => "text/csv",
        _ => "text/plain",
    }
}

/// The type of a text that programs execute or render. None: it is no such text.
fn active_text(head: &[u8]) -> Option<&'static str> {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    if text.starts_with(b"#!") {
        return Some("text/x-shellscript");
    }
    let begin = text.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0)?;
    let text = &text[begin..];
    let is_markup =
        text[0] == b'<' && text.get(1).is_some_and(|next| next.is_ascii_alphabetic() || b"!?/".contains(next));
    if !is_markup {
        return None;
    }
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    let begins = |part: &[u8]| text.get(..part.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(part));
    Some(if has(b"<svg") {
        "image/svg+xml"
    } else if begins(b"<?xml") && !has(b"<html") {
        "text/xml"
    } else {
        "text/html"
    })
}

/// Whether the bytes are a text in UTF-8 without control characters other than white space. The last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{C}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn c5_the_bytes_decide_the_type_and_not_the_name() {
        let cases: [(&[u8], &str, &str); 12] = [
            (PNG, "a.exe", "image/png"),
            (b"\xFF\xD8\xFF\xE0 and more", "a.png", "image/jpeg"),
            (b"GIF89a\x01\0", "a", "image/gif"),
            (b"BM is how a bitmap begins", "a.txt", "text/plain"),
            (b"%PDF-1.7\n", "a.txt", "application/pdf"),
            (b"MZ\x90\0\x03\0\0\0", "a.png", "application/vnd.microsoft.portable-executable"),
            (b"a,b\n1,2\n", "a.csv", "text/csv"),
            (b"a,b\n1,2\n", "a.html", "text/plain"),
            ("счёт".as_bytes(), "a.txt", "text/plain"),
            (&"счёт".as_bytes()[..3], "a.txt", "text/plain"),
            (b"a\0b", "a.txt", "application/octet-stream"),
            (b"\xFF\xFEa\0", "a.txt", "application/octet-stream"),
        ];
        for (bytes, name, media_type) in cases {
            assert_eq!(media_type_of_bytes(bytes, name), media_type, "{name}: {bytes:?}");
        }
    }

    #[test]
    fn c5_active_content_without_a_magic_number_is_found() {
        for (text, media_type) in [
            ("<!DOCTYPE html><p>x", "text/html"),
            ("\u{FEFF}\n  <html>", "text/html"),
            ("<script>alert(1)</script>", "text/html"),
            ("<!-- x --><b>", "text/html"),
            ("<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>", "image/svg+xml"),
            ("<?xml version='1.0'?>\n<SVG/>", "image/svg+xml"),
            ("<?xml version='1.0'?><a/>", "text/xml"),
            ("#!/bin/sh\nrm", "text/x-shellscript"),
        ] {
            for name in ["a.png", "a.txt", "a"] {
                assert_eq!(media_type_of_bytes(text.as_bytes(), name), media_type, "{text}");
            }
        }
        assert_eq!(media_type_of_bytes(b"<3 you", "a.txt"), "text/plain");
        assert_eq!(media_type_of_bytes(b"1 < 2", "a.txt"), "text/plain");
    }

    #[test]
    fn s8_any_bytes_have_a_type_and_active_content_is_no_text() {
        const PIECES: &[&str] = &[
            "<svg",
            "<html",
            "<?xml",
            "<!--",
            "<script",
            "#!/bin/sh",
            "\u{FEFF}",
            "%PDF-",
            "PK\u{3}\u{4}",
            "\n",
            "\0",
            " ",
        ];
        let content = (frontdesk_fuzz::bytes(512), frontdesk_fuzz::text(PIECES, 12));
        frontdesk_fuzz::check!().with_generator(content).for_each(|(bytes, text)| {
            assert!(media_type_of_bytes(bytes, "a.txt").contains('/'));
            for active in ["<svg", "<html", "<?xml", "<!--", "<script", "#!/bin/sh"] {
                let file = format!("{active}{text}");
                assert!(!media_type_of_bytes(file.as_bytes(), "a.txt").starts_with("text/plain"), "{file:?}");
            }
        });
    }

    #[test]
    fn c5_an_extension_stands_for_a_type_in_any_case() {
        assert_eq!(media_type_of_name("A.PNG"), Some("image/png"));
        assert_eq!(media_type_of_name("a.tar.gz"), Some("application/gzip"));
        for name in ["png", "a.", "a.unknown", ""] {
            assert_eq!(media_type_of_name(name), None, "{name}");
        }
    }
}
