//! What the HTML of an account's template may consist of: elements that lay out text, and nothing that loads, runs, or hides where a link
//! leads (rule T7). What is not known is refused.

/// Elements that lay out text.
const ELEMENTS: [&str; 41] = [
    "a",
    "b",
    "blockquote",
    "body",
    "br",
    "center",
    "code",
    "div",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "html",
    "i",
    "li",
    "meta",
    "ol",
    "p",
    "pre",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "u",
    "ul",
    "wbr",
];

/// Attributes whose value is shown, or lays out.
const ATTRIBUTES: [&str; 24] = [
    "align",
    "aria-hidden",
    "aria-label",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "charset",
    "class",
    "color",
    "colspan",
    "content",
    "dir",
    "height",
    "href",
    "lang",
    "name",
    "role",
    "rowspan",
    "style",
    "summary",
    "title",
    "valign",
    "width",
];

/// Parts of a style that load something, run something, or are another spelling of such a part.
const NOT_IN_STYLES: [&str; 10] =
    ["url(", "image-set(", "src(", "expression", "@import", "javascript", "behavior", "binding", "\\", "&"];

/// What is not allowed, and where: a part of the HTML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) part: String,
    pub(super) problem: String,
}

/// A tag with its attributes.
struct Tag<'a> {
    name: String,
    closes: bool,
    attributes: Vec<(String, &'a str)>,
    /// The tag as it is written.
    written: &'a str,
}

/// Checks the HTML that a template with this source made. `style`: the shipped style sheet, the only one.
pub(super) fn check(html: &str, source: &str, style: &str) -> Result<(), Finding> {
    let mut rest = html;
    // The address of the link that is open, and its text.
    let mut link: Option<(&str, String)> = None;
    while let Some((text, _)) = rest.split_once('<') {
        if let Some((_, shown)) = &mut link {
            shown.push_str(text);
        }
        rest = &rest[text.len()..];
        if let Some(after) = rest.strip_prefix(style) {
            rest = after;
            continue;
        }
        let tag = match read_doctype(rest) {
            Some(doctype) => {
                rest = &rest[doctype..];
                continue;
            }
            None => read_tag(rest)?,
        };
        rest = &rest[tag.written.len()..];
        check_tag(&tag)?;
        if let Some((_, shown)) = &mut link
            && tag.name != "a"
        {
            // An element can hide the address that it has.
            shown.push_str(tag.written);
        }
        if tag.name == "a" {
            match (link.take(), tag.closes) {
                (None, false) => {
                    link = tag.attributes.iter().find(|(name, _)| name == "href").map(|(_, url)| (*url, String::new()))
                }
                (Some((url, shown)), true) => check_link(url, &shown, source)?,
                (Some(_), false) => {
                    return Err(finding(&tag, "a link is within another one; close the first before it"));
                }
                // Without an address.
                (None, true) => {}
            }
        }
    }
    match link {
        Some((url, _)) => Err(Finding { part: url.to_owned(), problem: "a link is not closed; add </a>".into() }),
        None => Ok(()),
    }
}

fn finding(tag: &Tag<'_>, problem: impl Into<String>) -> Finding {
    Finding { part: tag.written.to_owned(), problem: problem.into() }
}

fn read_doctype(html: &str) -> Option<usize> {
    const DOCTYPE: &str = "<!doctype html>";
    html.get(..DOCTYPE.len()).filter(|start| start.eq_ignore_ascii_case(DOCTYPE)).map(str::len)
}

/// Reads the tag at the beginning of the HTML.
fn read_tag(html: &str) -> Result<Tag<'_>, Finding> {
    let unreadable = |problem: &str| Finding { part: html.chars().take(40).collect(), problem: problem.to_owned() };
    let mut rest = &html[1..];
    let closes = rest.starts_with('/');
    rest = rest.strip_prefix('/').unwrap_or(rest);
    let name = leading(rest, |char| char.is_ascii_alphanumeric());
    if name.is_empty() {
        return Err(unreadable("neither comments nor a bare < are allowed; write &lt;"));
    }
    rest = &rest[name.len()..];
    let mut attributes = Vec::new();
    loop {
        let before = rest;
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        if let Some(after) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("/>")) {
            let written = &html[..html.len() - after.len()];
            return Ok(Tag { name: name.to_ascii_lowercase(), closes, attributes, written });
        }
        let attribute = leading(rest, |char| char.is_ascii_alphanumeric() || char == '-');
        if attribute.is_empty() || before.len() == rest.len() {
            return Err(unreadable("the tag cannot be read; write attributes as name=\"value\", and end it with >"));
        }
        rest = &rest[attribute.len()..];
        let mut value = "";
        if let Some(assigned) = rest.strip_prefix('=') {
            let quote = if assigned.starts_with('\'') { '\'' } else { '"' };
            let quoted = assigned.strip_prefix(quote).and_then(|rest| rest.split_once(quote));
            let (content, after) = quoted.ok_or_else(|| unreadable("put the value of each attribute in quotes"))?;
            if content.contains('<') {
                return Err(unreadable("a value in quotes has no end, or a bare <"));
            }
            (value, rest) = (content, after);
        }
        attributes.push((attribute.to_ascii_lowercase(), value));
    }
}

fn leading(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    let end = text.find(|char| !is_part(char)).unwrap_or(text.len());
    &text[..end]
}

fn check_tag(tag: &Tag<'_>) -> Result<(), Finding> {
    if !ELEMENTS.contains(&tag.name.as_str()) {
        let problem = match tag.name.as_str() {
            "style" => {
                "the only style sheet is the shipped one: use {% include \"style.html\" %}, or style attributes".into()
            }
            "img" => "a mail loads no pictures; remove <img>".into(),
            name => format!("<{name}> is not allowed; remove it"),
        };
        return Err(finding(tag, problem));
    }
    for (name, value) in &tag.attributes {
        if !ATTRIBUTES.contains(&name.as_str()) {
            return Err(finding(tag, format!("the attribute {name} is not allowed; remove it")));
        }
        let lower = value.to_lowercase();
        if name == "style" && NOT_IN_STYLES.iter().any(|part| lower.contains(part)) {
            return Err(finding(tag, "the style loads something, or has a character that hides it; remove it"));
        }
        if name == "href" && (tag.name != "a" || !is_address(value)) {
            return Err(finding(tag, "a link must lead to https://, http:// or mailto:"));
        }
    }
    Ok(())
}

fn is_address(value: &str) -> bool {
    let address = value.replace("&#x2f;", "/").to_ascii_lowercase();
    ["https://", "http://", "mailto:"].iter().any(|scheme| address.starts_with(scheme))
}

/// A link that the template itself names may have any text. Another one is of a person who wrote in the chat, and shows where it leads.
fn check_link(url: &str, shown: &str, source: &str) -> Result<(), Finding> {
    let is_of_template = || ['"', '\''].iter().any(|quote| source.contains(&format!("{quote}{url}{quote}")));
    // The source is searched last: a long chat has thousands of links.
    if shown.trim() == url || is_of_template() {
        return Ok(());
    }
    let problem =
        "a link with an address of the chat must have that address as its text, so that it cannot hide where it leads";
    Err(Finding { part: "href=\"{{".into(), problem: problem.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: &str = "<style>.a { color: red; }</style>";

    fn problem(html: &str) -> Option<String> {
        check(html, html, STYLE).err().map(|finding| finding.problem)
    }

    #[test]
    fn t7_what_lays_out_text_is_allowed() {
        for html in [
            "",
            "only text &amp; entities",
            "<!DOCTYPE html><html lang=\"de\"><head><meta charset=\"utf-8\"><title>Ihr Chat</title></head><body></body></html>",
            "<style>.a { color: red; }</style><p class='a' style=\"color:#333\">Hallo<br/></p>",
            "<a href=\"https://acme.example/?a=1&amp;b=2\">our page</a>",
            "<a href=\"mailto:help@acme.example\">mail us</a>",
            "<TABLE WIDTH=\"100%\"><tr><td align=\"left\">x</td></tr></TABLE>",
        ] {
            assert_eq!(problem(html), None, "{html}");
        }
    }

    #[test]
    fn t7_what_loads_runs_or_hides_is_refused_with_a_remedy() {
        for (html, part) in [
            ("<script>alert(1)</script>", "<script> is not allowed"),
            ("<img src=\"https://acme.example/logo.png\">", "no pictures"),
            ("<iframe>", "not allowed"),
            ("<style>p { background: url(//a) }</style>", "shipped one"),
            ("<svg onload=\"x\">", "not allowed"),
            ("<p onclick=\"x\">", "onclick is not allowed"),
            ("<p onclick=x>", "quotes"),
            ("<meta http-equiv=\"refresh\" content=\"0\">", "http-equiv"),
            ("<p style=\"background:URL(//a)\">", "loads"),
            ("<p style=\"background:u\\72l(//a)\">", "loads"),
            ("<p style=\"background:-webkit-image-set('//a/b.png' 1x)\">", "loads"),
            ("<p style=\"background:&#117;rl(//a)\">", "loads"),
            ("<a href=\"javascript:alert(1)\">x</a>", "https://"),
            ("<a href=\"&#106;avascript:alert(1)\">x</a>", "https://"),
            ("<a href=\"//evil.example\">x</a>", "https://"),
            ("<a href=\"https://a.example/\"><a href=\"https://b.example/\">x</a></a>", "within another"),
            ("<a href=\"https://a.example/\">x", "not closed"),
            ("<!-- a comment -->", "comments"),
            ("a < b", "&lt;"),
            ("<p title=\"a<b\">", "bare <"),
            ("<p title=\"a", "quotes"),
            ("<p title=\"a\"class=\"b\">", "cannot be read"),
            ("<p", "cannot be read"),
        ] {
            let problem = problem(html).unwrap_or_else(|| panic!("{html} is allowed"));
            assert!(problem.contains(part), "{html}: {problem}");
        }
    }

    #[test]
    fn t7_a_link_of_the_chat_shows_where_it_leads() {
        let source = "<a href=\"{{ url }}\">{{ text }}</a>";
        let of_chat = |text: &str| format!("<a href=\"https:&#x2f;&#x2f;evil.example\"> {text} </a>");
        assert!(check(&of_chat("https:&#x2f;&#x2f;evil.example"), source, STYLE).is_ok());
        let hidden = "<span style=\"display:none\">https:&#x2f;&#x2f;evil.example</span>";
        for text in ["your bank", "<b>https:&#x2f;&#x2f;bank.example</b>", hidden, ""] {
            assert!(check(&of_chat(text), source, STYLE).is_err(), "{text}");
        }
    }

    #[test]
    fn s8_any_html_is_checked() {
        const PIECES: &[&str] = &[
            "<", ">", "/", "a", "p", " href=", "\"", "'", "style", "=", "&", "<a ", "</a>", "<!", "é", "\n", "https://",
        ];
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|html| {
            if check(html, "", STYLE).is_ok() {
                assert!(!html.to_lowercase().contains("<!a"), "{html:?}");
            }
        });
    }
}
