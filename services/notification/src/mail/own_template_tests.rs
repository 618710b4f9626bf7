//! Templates of accounts: rules T6, T7.

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::{sample::sample, *};
use crate::domain::TranscriptTemplate;

fn german(html: &str, text: &str) -> Language {
    let template = TranscriptTemplate {
        html: html.into(),
        text: text.into(),
        words: BTreeMap::from([("subject_to_visitor".to_owned(), "Ihr Chat mit {channel}".to_owned())]),
        updated_at: Time(0),
        ..TranscriptTemplate::shipped(AccountId(Uuid::from_u128(1)), "de".into())
    };
    let (language, faults) = Language::of_template(&template).unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    language
}

fn fault(html: &str) -> TemplateFault {
    sample_mail(&german(html, "")).unwrap_err()
}

#[test]
fn t6_a_template_lays_out_the_same_rows_around_words_of_the_account() {
    let html_source = "<!DOCTYPE html>\n<html lang=\"{{ language }}\"><head>{% include \"style.html\" %}</head><body>\n\
                       <h1>{{ channel }}</h1><table>{% for row in rows %}\n{% include \"transcript_row.html\" %}\n\
                       {% endfor %}</table>\n<p><a href=\"https://acme.example/help\">Hilfe</a></p></body></html>";
    let mail =
        sample_mail(&german(html_source, "{{ channel }}\n{% for row in rows %}{{ row.kind }} {% endfor %}")).unwrap();
    assert_eq!(mail.subject, "Ihr Chat mit Rossi Bicycles");
    assert!(
        mail.html.contains("<html lang=\"de\">") && mail.html.contains("Returns &lt;of order 12&gt;"),
        "{}",
        mail.html
    );
    assert!(mail.html.contains("<h1>Rossi Bicycles</h1>") && mail.html.contains("Quote Q-17"), "{}", mail.html);
    assert_eq!(mail.html.matches('\n').count(), mail.html.matches("\r\n").count(), "mail has CRLF");
    assert!(mail.text.starts_with("Rossi Bicycles\r\nday message "), "{}", mail.text);
}

#[test]
fn t6_the_shipped_templates_are_within_what_accounts_may_have() {
    let [html_source, text_source] = shipped_sources();
    let (own, shipped) =
        (sample_mail(&german(html_source, text_source)).unwrap(), sample_mail(&german("", "")).unwrap());
    assert_eq!((own.html, own.text), (shipped.html, shipped.text));
}

#[test]
fn t7_a_template_that_cannot_be_used_is_refused_with_its_line_and_a_remedy() {
    for (source, line, part) in [
        ("<p>\n{{ channel|safe }}", 2, "always escaped"),
        ("<p>\n\n{%- autoescape false %}{{ channel }}{% endautoescape %}", 3, "autoescape"),
        ("{{ chanel }}", 1, "use a value that the shipped template has"),
        ("a\n{% for row in rows %}", 0, "correct it"),
        ("{% include \"/etc/passwd\" %}", 1, "include shipped parts only"),
        // It would write the text of the chat as it is.
        ("{% for row in rows %}{% include \"transcript_row.txt\" %}{% endfor %}", 1, "include shipped parts only"),
        ("<p>\n<img src=\"https://acme.example/logo.png\">", 2, "no pictures"),
        ("<p onclick=\"x\">", 1, "onclick"),
        ("<a href=\"{{ page_url }}\">{{ channel }}</a>", 1, "as its text"),
        ("{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}", 1, "too many steps"),
        ("{% set text = 'x' * 100000 %}{% for a in range(170) %}{{ text }}{% endfor %}", 0, "more than 16 MiB"),
    ] {
        let fault = fault(source);
        assert_eq!(fault.field, "html");
        assert!(line == 0 || fault.line == line, "{source}: {fault:?}");
        assert!(fault.problem.contains(part), "{source}: {fault:?}");
    }
    let long = fault("<{{ 'x' * 10000 }}>").problem;
    assert!(long.starts_with("<xxx") && long.chars().count() == 300, "{long}");
    let text = sample_mail(&german("", "{{ nothing }}")).unwrap_err();
    assert_eq!((text.field, text.line), ("text", 1));
    assert!(text.to_string().starts_with("text: line 1: "), "{text}");
}

#[test]
fn t7_text_is_escaped_also_in_what_a_template_keeps_or_changes() {
    let mut transcript = sample();
    transcript.channel = "<b onclick=x>&".into();
    for source in [
        "{{ channel }}",
        "{% set kept %}{{ channel }}{% endset %}{{ kept }}",
        "{% set kept %}{{ channel }}{% endset %}{{ kept|replace('&lt;', '<') }}",
        "{% macro shown(text) %}{{ text }}{% endmacro %}{{ shown(channel) }}",
        "{{ channel|upper }}{{ [channel, channel]|join('<') }}",
        "{{ channel|default('')|trim|string }}",
    ] {
        // It is escaped, or what it made is refused.
        if let Ok(rendered) = html(&transcript, &german(source, ""), "Chat") {
            assert!(!rendered.contains("<b") && !rendered.contains("<B"), "{source}: {rendered}");
        }
    }
    assert_eq!(html(&transcript, &german("{{ channel }}", ""), "Chat").unwrap(), "&lt;b onclick=x&gt;&amp;");
}
