//! Renders the templates of accounts: text is always escaped, the steps and the size are limited, and the HTML is checked.

use std::{
    fmt,
    io::{self, Write},
};

use minijinja::{Environment, Error, ErrorKind, Value};

use super::{html_structure, templates, text::one_line};

/// Maximum size of a part that a template renders (bytes).
const MAX_PART_BYTES: usize = 16 * 1024 * 1024;
/// Maximum number of steps of the template engine for a part without lines.
const STEPS: u64 = 1_000_000;
/// Maximum number of further steps for each line of the transcript.
const STEPS_PER_LINE: u64 = 20_000;
/// Maximum number of steps for a part with any number of lines. The engine counts a step for each 64 bytes that it makes, so this is also
/// the limit of its memory: 640 MB.
const MAX_STEPS: u64 = 10_000_000;

/// Maximum length of what is said to be wrong with a template (characters): it may have text that the template made.
const MAX_PROBLEM_CHARS: usize = 300;

/// A part of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MailPart {
    Html,
    Text,
}

impl MailPart {
    /// Its field in requests.
    fn field(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Text => "text",
        }
    }

    /// Its name as a template: the ending decides whether text is escaped.
    fn template(self) -> &'static str {
        match self {
            Self::Html => "account.html",
            Self::Text => "account.txt",
        }
    }

    /// How the names of the templates end that it may include: one with another ending does not escape as this part needs it.
    fn ending(self) -> &'static str {
        match self {
            Self::Html => ".html",
            Self::Text => ".txt",
        }
    }

    /// The shipped template.
    pub(super) fn shipped(self) -> &'static str {
        match self {
            Self::Html => "transcript.html",
            Self::Text => "transcript.txt",
        }
    }
}

/// A template of an account cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateFault {
    /// `html`, `text` or `words`; of a shipped template its name.
    pub(crate) field: &'static str,
    /// 0: none.
    pub(crate) line: usize,
    /// What is wrong, and the remedy.
    pub(crate) problem: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description())
    }
}

impl TemplateFault {
    /// Returns the line and what is wrong, without the field.
    pub(crate) fn description(&self) -> String {
        match self.line {
            0 => self.problem.clone(),
            line => format!("line {line}: {}", self.problem),
        }
    }
}

/// Renders the source with these values. `lines`: number of lines of the transcript.
pub(super) fn render(part: MailPart, source: &str, values: &Value, lines: usize) -> Result<String, TemplateFault> {
    require_escaping(part, source)?;
    let fault = |error: &Error| fault(part, error);
    let mut environment = templates::environment(part.ending()).map_err(|error| fault(&error))?;
    restrict(&mut environment, lines);
    environment.add_template_owned(part.template(), source.to_owned()).map_err(|error| fault(&error))?;
    let template = environment.get_template(part.template()).map_err(|error| fault(&error))?;
    let mut rendered = Limited(Vec::new());
    template.render_captured_to(values.clone(), &mut rendered).map_err(|error| fault(&error))?;
    let rendered = String::from_utf8(rendered.0).unwrap_or_default();
    if part == MailPart::Html {
        html_structure::check(&rendered, source, templates::style_sheet()).map_err(|finding| {
            let line = line_of(source, &finding.part);
            TemplateFault { field: part.field(), line, problem: one_line(&finding.problem, MAX_PROBLEM_CHARS) }
        })?;
    }
    Ok(templates::with_crlf(&rendered))
}

/// Takes away what would let text through as it is, and limits the steps.
fn restrict(environment: &mut Environment<'static>, lines: usize) {
    environment.remove_filter("safe");
    environment.set_fuel(Some(steps(lines)));
}

fn steps(lines: usize) -> u64 {
    STEPS.saturating_add(STEPS_PER_LINE.saturating_mul(lines as u64)).min(MAX_STEPS)
}

/// Refuses the block that switches the escaping off.
fn require_escaping(part: MailPart, source: &str) -> Result<(), TemplateFault> {
    for (at, _) in source.match_indices("{%") {
        let block = source[at + 2..].trim_start_matches(['-', '+']).trim_start();
        if block.starts_with("autoescape") {
            let problem = "text is always escaped; remove the block autoescape".to_owned();
            return Err(TemplateFault { field: part.field(), line: line_at(source, at), problem });
        }
    }
    Ok(())
}

fn fault(part: MailPart, error: &Error) -> TemplateFault {
    let remedy = match error.kind() {
        ErrorKind::SyntaxError => "correct it",
        ErrorKind::UnknownFilter => "text is always escaped, without the filter safe; use another filter or none",
        ErrorKind::UndefinedError => "use a value that the shipped template has",
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => {
            "include shipped parts only, such as transcript_row.html"
        }
        ErrorKind::OutOfFuel => "it takes too many steps; repeat less",
        ErrorKind::WriteFailure => "it writes more than 16 MiB; repeat less",
        _ => "correct it, or leave the field empty for the shipped template",
    };
    let detail = error.detail().map_or_else(|| error.kind().to_string(), |detail| one_line(detail, MAX_PROBLEM_CHARS));
    let problem = format!("{detail}; {remedy}");
    let line = if error.name().is_none_or(|name| name == part.template()) { error.line().unwrap_or(0) } else { 0 };
    TemplateFault { field: part.field(), line, problem }
}

/// Returns the line of the source in which a part of the output is written. 0: a value wrote it.
fn line_of(source: &str, part: &str) -> usize {
    source.find(part).map_or(0, |at| line_at(source, at))
}

fn line_at(source: &str, at: usize) -> usize {
    source[..at].matches('\n').count() + 1
}

/// Takes up to [`MAX_PART_BYTES`].
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_PART_BYTES {
            return Err(io::Error::other("too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t6_the_steps_of_a_template_grow_with_the_lines_to_an_end() {
        assert_eq!([0, 1, 100].map(steps), [1_000_000, 1_020_000, 3_000_000]);
        assert_eq!([10_000, usize::MAX].map(steps), [MAX_STEPS; 2]);
    }
}
