use std::time::Duration;

use frontdesk_settings::Secret;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::oneshot,
};

use super::*;

/// What the scripted server does when it comes to a step.
#[derive(Clone, Copy)]
enum Do {
    Say(&'static str),
    Die,
    Hang,
}

/// A server's script. The answers to EHLO, MAIL, RCPT and DATA are the usual ones unless said otherwise.
#[derive(Clone, Copy)]
struct Script {
    banner: Do,
    ehlo: &'static str,
    mail: Do,
    rcpt: Do,
    data: Do,
    dot: Do,
}

const FRIENDLY: Script = Script {
    banner: Do::Say("220 test"),
    ehlo: "250-test\r\n250 8BITMIME",
    mail: Do::Say("250 ok"),
    rcpt: Do::Say("250 ok"),
    data: Do::Say("354 go on"),
    dot: Do::Say("250 2.0.0 queued as 42"),
};

/// Serves one connection; gives back what it was sent as the mail.
async fn serve(script: Script) -> (u16, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mail = converse(BufReader::new(stream), script).await;
        let _ = sender.send(mail);
    });
    (port, receiver)
}

async fn converse(mut stream: BufReader<TcpStream>, script: Script) -> String {
    let mut mail = String::new();
    let mut in_mail = false;
    let mut next = script.banner;
    loop {
        match next {
            Do::Say(line) => stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap(),
            Do::Die => return mail,
            Do::Hang => std::future::pending().await,
        }
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return mail;
            }
            if !in_mail || line == ".\r\n" {
                break;
            }
            mail.push_str(&line);
        }
        next = match line.get(..4).unwrap_or_default() {
            ".\r\n" => script.dot,
            "EHLO" => Do::Say(script.ehlo),
            "MAIL" => script.mail,
            "RCPT" => script.rcpt,
            "DATA" => script.data,
            _ if line.starts_with('.') => script.dot,
            _ => Do::Say("221 bye"),
        };
        in_mail = line.starts_with("DATA") && matches!(script.data, Do::Say(answer) if answer.starts_with('3'));
    }
}

fn settings(port: u16) -> SmtpSettings {
    let timeout = Duration::from_millis(300);
    SmtpSettings { host: "127.0.0.1".into(), port, tls: SmtpTls::None, timeout, ..SmtpSettings::default() }
}

fn mail() -> Mail {
    Mail {
        account: frontdesk_db::AccountId(frontdesk_clock::testing::new_id()),
        delivery: frontdesk_clock::testing::new_id(),
        from: "team@acme.example".into(),
        to: "vera@visitor.example".into(),
        bytes: b"Subject: x\r\n\r\nHi\r\n..dots\r\n".to_vec(),
    }
}

async fn outcome(script: Script) -> AttemptOutcome {
    let (port, _mail) = serve(script).await;
    Smtp::new(&settings(port)).unwrap().send(&mail()).await
}

#[tokio::test]
async fn t8_an_accepted_mail_keeps_the_servers_words() {
    let (port, received) = serve(FRIENDLY).await;
    let outcome = Smtp::new(&settings(port)).unwrap().send(&mail()).await;
    assert_eq!(outcome, AttemptOutcome::Accepted("250 2.0.0 queued as 42".into()));
    assert!(received.await.unwrap().starts_with("Subject: x\r\n\r\nHi\r\n"));
}

#[tokio::test]
async fn t8_what_fails_before_the_mail_itself_may_pass() {
    let scripts = [
        ("dies before the banner", Script { banner: Do::Die, ..FRIENDLY }),
        ("no banner", Script { banner: Do::Hang, ..FRIENDLY }),
        ("refuses us all", Script { banner: Do::Say("554 go away"), ..FRIENDLY }),
        ("dies at MAIL", Script { mail: Do::Die, ..FRIENDLY }),
        ("wants a password", Script { mail: Do::Say("530 5.7.0 authentication required"), ..FRIENDLY }),
        ("greylists", Script { rcpt: Do::Say("451 4.7.1 come back later"), ..FRIENDLY }),
        ("hangs at RCPT", Script { rcpt: Do::Hang, ..FRIENDLY }),
        ("dies at DATA", Script { data: Do::Die, ..FRIENDLY }),
        ("full after the mail", Script { dot: Do::Say("452 no space"), ..FRIENDLY }),
    ];
    for (what, script) in scripts {
        let outcome = outcome(script).await;
        assert!(matches!(outcome, AttemptOutcome::MayPass(_)), "{what}: {outcome:?}");
    }
    let greylisted = outcome(Script { rcpt: Do::Say("451 4.7.1 come back later"), ..FRIENDLY }).await;
    assert!(matches!(greylisted, AttemptOutcome::MayPass(words) if words.contains("4.7.1 come back later")));
}

#[tokio::test]
async fn t8_what_the_server_refuses_for_good_is_final() {
    let scripts = [
        Script { mail: Do::Say("550 no such sender"), ..FRIENDLY },
        Script { rcpt: Do::Say("550 5.1.1 unknown user"), ..FRIENDLY },
        Script { data: Do::Say("554 no"), ..FRIENDLY },
        Script { dot: Do::Say("552 too big"), ..FRIENDLY },
    ];
    for script in scripts {
        let outcome = outcome(script).await;
        assert!(matches!(outcome, AttemptOutcome::Final(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn t8_what_is_lost_after_the_mail_is_unknown() {
    for (what, dot) in [("hangs", Do::Hang), ("dies", Do::Die), ("babbles", Do::Say("what?"))] {
        let outcome = outcome(Script { dot, ..FRIENDLY }).await;
        assert!(matches!(outcome, AttemptOutcome::Unknown(_)), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn t8_a_server_that_is_not_there_may_pass() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let outcome = Smtp::new(&settings(port)).unwrap().send(&mail()).await;
    assert!(matches!(outcome, AttemptOutcome::MayPass(_)), "{outcome:?}");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_asked_for() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (port, received) = serve(FRIENDLY).await;
    let settings = SmtpSettings { tls: SmtpTls::Starttls, ..settings(port) };
    let outcome = Smtp::new(&settings).unwrap().send(&mail()).await;
    assert!(matches!(&outcome, AttemptOutcome::MayPass(words) if words.contains("STARTTLS")), "{outcome:?}");
    assert_eq!(received.await.unwrap(), "");
}

#[test]
fn a_password_never_travels_in_the_clear() {
    let settings = |host: &str| SmtpSettings {
        host: host.into(),
        tls: SmtpTls::None,
        username: "u".into(),
        password: Secret::from("p".to_owned()),
        ..SmtpSettings::default()
    };
    assert!(Smtp::new(&settings("mail.example.com")).is_err());
    for loopback in ["127.0.0.1", "localhost", "::1"] {
        assert!(Smtp::new(&settings(loopback)).is_ok(), "{loopback}");
    }
}
