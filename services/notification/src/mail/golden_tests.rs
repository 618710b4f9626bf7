//! The bytes of one transcript with everything in it, in each language, and of whole mails. `UPDATE_GOLDEN=1 cargo test -p
//! frontdesk-notification golden` writes the files of `golden/` again: look at their difference before you commit it.

use std::{fs, path::PathBuf};

use frontdesk_clock::Time;
use mail_parser::MessageParser;
use uuid::Uuid;

use super::{sample::sample, *};

/// 2026-03-03 23:58:20 UTC.
const DATE: Time = Time(1_772_582_300_000_000);

/// Compares what a mail has, whose lines end with CRLF, with a file of `golden/`, whose lines end with LF.
fn assert_golden(file: &str, rendered: &str) {
    let line_ends = ['\r', '\n'].map(|end| rendered.matches(end).count());
    assert_eq!(line_ends, [rendered.matches("\r\n").count(); 2], "{file}: mail has CRLF");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/mail/golden");
    let (path, rendered) = (folder.join(file), rendered.replace("\r\n", "\n"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(&path, &rendered).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(rendered == golden, "{} differs; UPDATE_GOLDEN=1 writes it again:\n{rendered}", path.display());
}

/// Compares a whole mail. Its parts are these, as far as a reader of mails sees.
fn assert_golden_mail(file: &str, mail: ComposedMail, html: &str, text: &str) {
    let mail = String::from_utf8(mail.bytes).unwrap();
    assert!(mail.is_ascii(), "{file}: every server takes it");
    let parsed = MessageParser::default().parse(&mail).unwrap();
    let shown = |part: &str| part.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(shown(&parsed.body_html(0).unwrap()), shown(html), "{file}");
    assert_eq!(shown(&parsed.body_text(0).unwrap()), shown(text), "{file}");
    assert_golden(file, &mail);
}

fn envelope(subject: &str, from: (&str, &str), to: (&str, &str)) -> Envelope {
    let delivery = Uuid::from_u128(0x0190_b1c2_7a3e_7c3a_9d55_3f3f_0c8a_1b2c);
    Envelope {
        delivery,
        message_id: message_id(delivery, from.1),
        date: DATE,
        from_name: from.0.into(),
        from: from.1.into(),
        to_name: to.0.into(),
        to: to.1.into(),
        subject: subject.into(),
        optional: OptionalHeaders::default(),
    }
}

#[test]
fn t6_t7_the_bytes_of_a_transcript_are_those_of_the_golden_files() {
    let transcript = sample();
    for tag in ["en", "it"] {
        let language = language(&[tag]).unwrap();
        let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
        assert_golden(&format!("transcript.{tag}.html"), &html(&transcript, language, &subject).unwrap());
        assert_golden(&format!("transcript.{tag}.txt"), &text(&transcript, language, &subject).unwrap());
    }
}

#[test]
fn t6_t7_the_bytes_of_a_mail_with_a_transcript_are_those_of_the_golden_file() {
    let (transcript, language) = (sample(), language(&["en"]).unwrap());
    let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
    let optional = OptionalHeaders {
        reply_to: "help@rossi.example".into(),
        unsubscribe_to: "stop+mails@rossi.example".into(),
        conversation: Some(Uuid::from_u128(0x0190_b1c2_7a3e_7c3a_9d55_3f3f_0c8a_0001)),
        dkim: None,
    };
    let addresses = (("Città, Rossi & Figli", "team@rossi.example"), ("Vera Rößler", "vera@visitor.example"));
    let envelope = Envelope { optional, ..envelope(&subject, addresses.0, addresses.1) };
    let mail = compose(&transcript, language, &envelope).unwrap();
    let (html, text) = (html(&transcript, language, &subject).unwrap(), text(&transcript, language, &subject).unwrap());
    assert_golden_mail("transcript.en.eml", mail, &html, &text);
}

#[test]
fn n4_the_bytes_of_a_mail_to_an_agent_are_those_of_the_golden_file() {
    let language = language(&["it"]).unwrap();
    let sender = ("Frontdesk", "frontdesk@rossi.example");
    let envelope = envelope(agent_mail_subject(language), sender, ("", "ada@rossi.example"));
    let url = "https://inbox.example/#/0190b1c2-7a3e-7c3a-9d55-3f3f0c8a0001".to_owned();
    let mail = compose_agent_mail(&envelope, &Notices { mentions: 2, assignments: 1, url }, language).unwrap();
    assert_golden("agent.it.eml", &String::from_utf8(mail.bytes).unwrap());
}
