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

/// The rows in `transcript.html`.
const ROWS: &str = "{% for row in rows %}\n{% include \"transcript_row.html\" %}\n{% endfor %}\n";

/// Names of what is before and after them, for a transcript that is written part by part.
pub(super) const TOP: &str = "transcript_top.html";
pub(super) const BOTTOM: &str = "transcript_bottom.html";

static TEMPLATES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates
        .set_auto_escape_callback(|name| if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None });
    for (name, source) in SOURCES {
        templates.add_template(name, source)?;
    }
    if let Some((top, bottom)) = source("transcript.html").split_once(ROWS) {
        templates.add_template(TOP, top)?;
        templates.add_template(BOTTOM, bottom)?;
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
    for name in others.chain([TOP, BOTTOM]) {
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
