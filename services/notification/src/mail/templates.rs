//! Templates of the mails.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;

use super::ComposeError;

const SOURCES: [(&str, &str); 11] = [
    ("agent.html", include_str!("templates/agent.html")),
    ("agent.txt", include_str!("templates/agent.txt")),
    ("code.html", include_str!("templates/code.html")),
    ("code.txt", include_str!("templates/code.txt")),
    ("line.html", include_str!("templates/line.html")),
    ("lines.html", include_str!("templates/lines.html")),
    ("style.html", include_str!("templates/style.html")),
    ("transcript.html", include_str!("templates/transcript.html")),
    ("transcript.txt", include_str!("templates/transcript.txt")),
    ("transcript_row.html", include_str!("templates/transcript_row.html")),
    ("transcript_row.txt", include_str!("templates/transcript_row.txt")),
];

/// A part of a transcript's mail in pieces, for one that is written while its lines are read: names of the templates of what is before the rows,
/// of the rows, and of what is after them.
pub(super) struct Pieces {
    pub(super) top: &'static str,
    pub(super) rows: &'static str,
    pub(super) bottom: &'static str,
    /// The template that they are pieces of.
    whole: &'static str,
    /// The source of the rows.
    source: &'static str,
}

pub(super) const HTML: Pieces = Pieces {
    top: "transcript_top.html",
    rows: "transcript_rows.html",
    bottom: "transcript_bottom.html",
    whole: "transcript.html",
    source: "{% for row in rows %}\n{% include \"transcript_row.html\" %}\n{% endfor %}\n",
};

pub(super) const TEXT: Pieces = Pieces {
    top: "transcript_top.txt",
    rows: "transcript_rows.txt",
    bottom: "transcript_bottom.txt",
    whole: "transcript.txt",
    source: "{% for row in rows %}\n{% include \"transcript_row.txt\" %}\n{% endfor %}\n",
};

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates
        .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    for (name, source) in SOURCES {
        templates.add_template(name, source)?;
    }
    for pieces in [HTML, TEXT] {
        if let Some((top, bottom)) = source(pieces.whole).split_once(pieces.source) {
            // The engine drops the end of the last line of a source.
            templates.add_template_owned(pieces.top, format!("{top}\n"))?;
            templates.add_template(pieces.rows, pieces.source)?;
            templates.add_template(pieces.bottom, bottom)?;
        }
    }
    Ok(templates)
});

/// Returns the values of templates. Both parts of a mail have the same ones.
pub(super) fn values<S: Serialize>(view: &S) -> Value {
    Value::from(Serde(view))
}

/// Renders the values of one template.
pub(super) fn render<S: Serialize>(name: &str, view: &S) -> Result<String, ComposeError> {
    render_values(name, &values(view))
}

/// Renders with CRLF line ends, which mail requires: the mail library needs quadratic time to convert other line ends.
pub(super) fn render_values(name: &str, values: &Value) -> Result<String, ComposeError> {
    let failed = |error: &minijinja::Error| ComposeError(format!("the template {name} cannot be rendered: {error}"));
    let templates = TEMPLATES.as_ref().map_err(failed)?;
    let rendered = templates
        .get_template(name)
        .and_then(|template| template.render(values.clone()))
        .map_err(|error| failed(&error))?;
    Ok(with_crlf(&rendered))
}

/// Returns the text with the line ends of mails.
pub(super) fn with_crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// Returns the engine with the shipped templates whose names have this ending, for one of an account that includes them.
pub(super) fn environment(ending: &str) -> Result<Environment<'static>, minijinja::Error> {
    let shipped = TEMPLATES.as_ref().map_err(|error| minijinja::Error::new(error.kind(), error.to_string()))?;
    let mut templates = shipped.clone();
    let others = SOURCES.iter().map(|(name, _)| *name).filter(|name| !name.ends_with(ending));
    for name in others.chain([HTML, TEXT].into_iter().flat_map(|pieces| [pieces.top, pieces.rows, pieces.bottom])) {
        templates.remove_template(name);
    }
    Ok(templates)
}

/// Returns the source of a shipped template. Empty: there is none with this name.
pub(super) fn source(name: &str) -> &'static str {
    SOURCES.iter().find(|(known, _)| *known == name).map_or("", |(_, source)| *source)
}

/// Returns the shipped style sheet with its element.
pub(super) fn style_sheet() -> &'static str {
    let source = source("style.html");
    source.find("<style>").map_or(source, |start| source[start..].trim_end())
}
