//! Mails: from a transcript or a code to the bytes that a mail server receives.
//!
//! Everything is pure, but for the keys that are read at the start: the same delivery, date and content give the same bytes.

mod agent;
mod code;
mod dkim;
mod html_structure;
mod json;
mod language;
mod message;
mod own_template;
mod parts;
mod quoted_printable;
mod rows;
mod sample;
mod templates;
mod text;
mod transcript;
mod values;
mod whole_page;

pub(crate) use agent::{Notices, compose as compose_agent_mail, subject as agent_mail_subject};
pub(crate) use code::{CodeMail, compose as compose_code};
pub(crate) use dkim::DkimKeys;
pub(crate) use json::json;
pub(crate) use language::{Language, is_language, language, languages, own_language, shipped_words};
pub(crate) use message::{ComposeError, ComposedMail, Envelope, OptionalHeaders, delivery_of, message_id};
pub(crate) use own_template::TemplateFault;
pub(crate) use parts::Style;
pub(crate) use rows::{Rows, compose_rows, render_rows};
pub(crate) use text::{one_line, server_response};
pub(crate) use transcript::{
    SampleMail, compose, default_subject, html, max_bytes_of_lines, max_rendered_size, rendered_size, sample_mail,
    shipped_sources, text,
};
pub(crate) use whole_page::WholePage;

#[cfg(test)]
mod browser_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod injection_tests;
#[cfg(test)]
mod own_template_tests;
#[cfg(test)]
mod tests;
