use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use frontdesk_settings::Secret;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
};
use uuid::Uuid;

use super::*;

/// Behaviour of the scripted server at one step.
#[derive(Clone, Copy)]
enum Step {
    Say(&'static str),
    /// The first answer on a connection, and that to all others. None: it is closed.
    OnceThen(&'static str, Option<&'static str>),
    SayAfter(Duration, &'static str),
    Close,
    Hang,
}

/// Behaviour of a server at each step; `dot` is the end of the mail.
#[derive(Clone, Copy)]
struct Script {
    banner: Step,
    ehlo: &'static str,
    mail: Step,
    rcpt: Step,
    data: Step,
    dot: Step,
    dies_amid_the_mail: bool,
}

const ACCEPTS: Script = Script {
    banner: Step::Say("220 test"),
    ehlo: "250-test\r\n250 8BITMIME",
    mail: Step::Say("250 ok"),
    rcpt: Step::Say("250 ok"),
    data: Step::Say("354 go on"),
    dot: Step::Say("250 2.0.0 queued as 42"),
    dies_amid_the_mail: false,
};

/// Serves one connection; the receiver gets the mail.
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
    let (mut in_mail, mut begun) = (false, false);
    let mut next = script.banner;
    loop {
        match next {
            Step::Say(line) => stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap(),
            Step::SayAfter(pause, line) => {
                tokio::time::sleep(pause).await;
                stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            }
            Step::OnceThen(first, then) => {
                let answer = if begun { then } else { Some(first) };
                begun = true;
                let Some(answer) = answer else { return mail };
                stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
            }
            Step::Close => return mail,
            Step::Hang => std::future::pending().await,
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
            if script.dies_amid_the_mail {
                return mail;
            }
            mail.push_str(&line);
        }
        next = match line.get(..4).unwrap_or_default() {
            ".\r\n" => script.dot,
            "EHLO" => Step::Say(script.ehlo),
            "MAIL" => script.mail,
            "RCPT" => script.rcpt,
            "DATA" => script.data,
            _ if line.starts_with('.') => script.dot,
            "RSET" => Step::Say("250 ok"),
            "QUIT" => return mail,
            _ => Step::Say("221 bye"),
        };
        in_mail = line.starts_with("DATA") && matches!(script.data, Step::Say(answer) if answer.starts_with('3'));
    }
}

fn settings(port: u16) -> SmtpSettings {
    let timeout = Duration::from_millis(300);
    let acceptance_timeout = Duration::from_secs(2);
    SmtpSettings {
        host: "127.0.0.1".into(),
        port,
        tls: SmtpTls::None,
        timeout,
        acceptance_timeout,
        ..SmtpSettings::default()
    }
}

fn mail() -> Mail {
    Mail {
        account: frontdesk_db::AccountId(Uuid::from_u128(1)),
        delivery: Uuid::from_u128(2),
        from: "team@acme.example".into(),
        to: "vera@visitor.example".into(),
        bytes: b"Subject: x\r\n\r\nHi\r\n..dots\r\n".to_vec(),
    }
}

async fn outcome(script: Script) -> AttemptOutcome {
    let (port, _mail) = serve(script).await;
    Smtp::try_new(&settings(port)).unwrap().send(&mail()).await
}

#[tokio::test]
async fn t8_an_accepted_mail_keeps_the_servers_response() {
    let (port, received) = serve(ACCEPTS).await;
    let outcome = Smtp::try_new(&settings(port)).unwrap().send(&mail()).await;
    assert_eq!(outcome, AttemptOutcome::Accepted("250 2.0.0 queued as 42".into()));
    assert!(received.await.unwrap().starts_with("Subject: x\r\n\r\nHi\r\n"));
}

#[tokio::test]
async fn t8_a_failure_before_the_mail_itself_is_transient() {
    let scripts = [
        ("closes before the banner", Script { banner: Step::Close, ..ACCEPTS }),
        ("no banner", Script { banner: Step::Hang, ..ACCEPTS }),
        ("is busy", Script { banner: Step::Say("421 too many connections"), ..ACCEPTS }),
        ("closes at MAIL", Script { mail: Step::Close, ..ACCEPTS }),
        ("greylists", Script { rcpt: Step::Say("451 4.7.1 come back later"), ..ACCEPTS }),
        ("hangs at RCPT", Script { rcpt: Step::Hang, ..ACCEPTS }),
        ("closes at DATA", Script { data: Step::Close, ..ACCEPTS }),
        ("full after the mail", Script { dot: Step::Say("452 no space"), ..ACCEPTS }),
    ];
    for (what, script) in scripts {
        let outcome = outcome(script).await;
        assert!(matches!(outcome, AttemptOutcome::TransientFailure(_)), "{what}: {outcome:?}");
    }
    let greylisted = outcome(Script { rcpt: Step::Say("451 4.7.1 come back later"), ..ACCEPTS }).await;
    assert!(matches!(greylisted, AttemptOutcome::TransientFailure(words) if words.contains("4.7.1 come back later")));
}

#[tokio::test]
async fn t8_a_permanent_refusal_by_the_server_is_permanent() {
    let scripts = [
        Script { mail: Step::Say("550 no such sender"), ..ACCEPTS },
        Script { rcpt: Step::Say("550 5.1.1 unknown user"), ..ACCEPTS },
        Script { data: Step::Say("554 no"), ..ACCEPTS },
        Script { rcpt: Step::Say("552 5.2.2 mailbox full"), ..ACCEPTS },
        Script { dot: Step::Say("554 5.6.0 not understood"), ..ACCEPTS },
    ];
    for script in scripts {
        let outcome = outcome(script).await;
        assert!(is_permanent(&outcome), "{outcome:?}");
    }
}

fn is_permanent(outcome: &AttemptOutcome) -> bool {
    matches!(outcome, AttemptOutcome::PermanentFailure(_) | AttemptOutcome::RecipientRefused { .. })
}

#[tokio::test]
async fn t8_only_a_refusal_with_a_code_about_the_recipient_blames_their_address() {
    let code = |outcome| match outcome {
        AttemptOutcome::RecipientRefused { status_code, .. } => Some(status_code),
        _ => None,
    };
    for (script, blamed) in [
        (Script { rcpt: Step::Say("550 5.1.1 unknown user"), ..ACCEPTS }, Some("5.1.1")),
        (Script { rcpt: Step::Say("550-5.1.1 The account\r\n550 5.1.1 does not exist"), ..ACCEPTS }, Some("5.1.1")),
        (Script { rcpt: Step::Say("556 5.1.10 takes no mail"), ..ACCEPTS }, Some("5.1.10")),
        (Script { dot: Step::Say("550 5.2.1 mailbox disabled"), ..ACCEPTS }, Some("5.2.1")),
        (Script { mail: Step::Say("550 5.1.1 unknown user"), ..ACCEPTS }, None),
        (Script { rcpt: Step::Say("550 no such user 5.1.1@visitor.example"), ..ACCEPTS }, None),
        (Script { rcpt: Step::Say("550 unknown user"), ..ACCEPTS }, None),
        (Script { rcpt: Step::Say("450 5.1.1 later"), ..ACCEPTS }, None),
        (Script { rcpt: Step::Say("552 5.2.2 mailbox full"), ..ACCEPTS }, None),
        (Script { dot: Step::Say("554 5.7.1 no such content"), ..ACCEPTS }, None),
        (Script { rcpt: Step::Say("550 5.7.25 no PTR record"), ..ACCEPTS }, None),
    ] {
        let outcome = outcome(script).await;
        assert_eq!(code(outcome.clone()).as_deref(), blamed, "{outcome:?}");
    }
}

#[tokio::test]
async fn t8_a_failure_after_the_mail_is_unknown() {
    for (what, dot) in
        [("hangs", Step::Hang), ("closes", Step::Close), ("answers with something else", Step::Say("what?"))]
    {
        let outcome = outcome(Script { dot, ..ACCEPTS }).await;
        assert!(matches!(outcome, AttemptOutcome::Unknown(_)), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn t8_an_unreachable_server_is_a_transient_failure() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let outcome = Smtp::try_new(&settings(port)).unwrap().send(&mail()).await;
    assert!(matches!(outcome, AttemptOutcome::TransientFailure(_)), "{outcome:?}");
}

#[tokio::test]
async fn t8_without_starttls_nothing_is_sent_where_the_settings_require_it() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (port, received) = serve(ACCEPTS).await;
    let settings = SmtpSettings { tls: SmtpTls::Starttls, ..settings(port) };
    let outcome = Smtp::try_new(&settings).unwrap().send(&mail()).await;
    assert!(matches!(&outcome, AttemptOutcome::ConfigurationFault(words) if words.contains("STARTTLS")), "{outcome:?}");
    assert_eq!(received.await.unwrap(), "");
}

#[test]
fn t8_a_password_is_never_sent_without_encryption_to_another_machine() {
    let settings = |host: &str| SmtpSettings {
        host: host.into(),
        tls: SmtpTls::None,
        username: "u".into(),
        password: Secret::from("p".to_owned()),
        ..SmtpSettings::default()
    };
    assert!(Smtp::try_new(&settings("mail.example.com")).is_err());
    for loopback in ["127.0.0.1", "localhost", "::1"] {
        assert!(Smtp::try_new(&settings(loopback)).is_ok(), "{loopback}");
    }
}

#[tokio::test]
async fn t8_a_refusal_that_the_settings_cause_is_told_from_one_of_the_mail() {
    let name = "504 5.5.2 <3f2a>: Helo command rejected: need fully-qualified hostname";
    for (what, script) in [
        ("the greeting", Script { banner: Step::Say("554 no mail from you"), ..ACCEPTS }),
        ("the host name", Script { rcpt: Step::Say(name), ..ACCEPTS }),
        ("no authentication", Script { mail: Step::Say("530 5.7.0 authentication required"), ..ACCEPTS }),
        ("a foreign sender", Script { mail: Step::Say("553 5.7.1 not owned by this user"), ..ACCEPTS }),
        ("Postfix does not relay", Script { rcpt: Step::Say("554 5.7.1 <a@b.c>: Relay access denied"), ..ACCEPTS }),
        ("Exim does not relay", Script { rcpt: Step::Say("550 relay not permitted"), ..ACCEPTS }),
        ("no reverse DNS", Script { rcpt: Step::Say("550 5.7.25 no PTR record"), ..ACCEPTS }),
        (
            "the sender's domain",
            Script { dot: Step::Say("550-5.7.26 unauthenticated\r\n550 5.7.26 sender"), ..ACCEPTS },
        ),
        ("Exchange does not relay", Script { rcpt: Step::Say("550 5.7.54 SMTP; Unable to relay"), ..ACCEPTS }),
    ] {
        let outcome = outcome(script).await;
        assert!(matches!(outcome, AttemptOutcome::ConfigurationFault(_)), "{what}: {outcome:?}");
    }
}

/// What a server repeats of a mail's addresses, and what it says of one recipient or of one mail.
#[tokio::test]
async fn t8_a_refusal_of_one_recipient_or_of_one_mail_is_permanent_whatever_their_address_is() {
    let at_rcpt = |line| Script { rcpt: Step::Say(line), ..ACCEPTS };
    let refuse = |to: &'static str, line| (to, at_rcpt(line));
    for (to, script) in [
        refuse("nobody@relay.example", "550 5.1.1 <nobody@relay.example>: Recipient address rejected: User unknown"),
        refuse("nobody@relay.example", "550 nobody@relay.example: no such user"),
        refuse("nobody@relay.example", "550 no mailbox at relay.example"),
        refuse("Relay@shop.example", "550 Unknown user: relay"),
        refuse("a.5.7.8@shop.example", "550 Unknown user a.5.7.8"),
        refuse("5.7.8@shop.example", "550 Unknown user 5.7.8 in shop.example"),
        refuse("vera@visitor.example", "550 mx.relay.example says: no such user"),
        refuse("vera@visitor.example", "550 5.1.10 this relay knows no such recipient"),
        refuse(
            "vera@visitor.example",
            "550 5.7.1 <vera@visitor.example>: Recipient address rejected: no mail from outside",
        ),
        refuse("vera@visitor.example", "550 5.7.129 RESOLVER.RST.RestrictedToRecipientsPermission"),
        (
            "vera@visitor.example",
            Script { dot: Step::Say("554 5.7.1 Message rejected due to content restrictions"), ..ACCEPTS },
        ),
        ("vera@visitor.example", Script { dot: Step::Say("552 5.7.0 blocked: potential security issue"), ..ACCEPTS }),
    ] {
        let (port, _mail) = serve(script).await;
        let mail = Mail { to: to.into(), ..mail() };
        let outcome = Smtp::try_new(&settings(port)).unwrap().send(&mail).await;
        assert!(is_permanent(&outcome), "{to}: {outcome:?}");
    }
}

#[test]
fn t8_a_host_name_without_a_dot_is_warned_of() {
    let named = |helo_name: &str| SmtpSettings { helo_name: helo_name.into(), ..settings(25) };
    assert!(Smtp::try_new(&named("3f2a")).unwrap().warning().unwrap().contains("helo_name"));
    assert_eq!(Smtp::try_new(&named("mail.shop.example")).unwrap().warning(), None);
}

#[tokio::test]
async fn t8_a_server_that_scans_a_mail_for_longer_than_a_step_is_waited_for() {
    let dot = Step::SayAfter(Duration::from_millis(900), "250 scanned");
    assert_eq!(outcome(Script { dot, ..ACCEPTS }).await, AttemptOutcome::Accepted("250 scanned".into()));
}

#[tokio::test]
async fn t8_a_connection_that_ends_before_the_end_of_the_mail_has_not_delivered_it() {
    let (port, _mail) = serve(Script { dies_amid_the_mail: true, ..ACCEPTS }).await;
    let large = Mail { bytes: format!("{}\r\n", "x".repeat(998)).repeat(32 * 1024).into_bytes(), ..mail() };
    let outcome = Smtp::try_new(&settings(port)).unwrap().send(&large).await;
    assert!(matches!(outcome, AttemptOutcome::TransientFailure(_)), "{outcome:?}");
}

/// An address that answers nothing: its backlog is full. The sockets keep it so.
async fn silent() -> (std::net::SocketAddr, tokio::net::TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
        waiting.push(stream.unwrap());
    }
    (address, listener, waiting)
}

#[tokio::test]
async fn t8_every_address_of_the_mail_server_is_tried_with_its_own_share_of_the_time() {
    let (port, _mail) = serve(ACCEPTS).await;
    let (address, _listener, _waiting) = silent().await;
    let answers = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let mut smtp = Smtp::try_new(&settings(port)).unwrap();
    smtp.resolver = std::sync::Arc::new(move |_, _| Box::pin(async move { Ok(vec![address, answers]) }));
    let outcome = smtp.send(&mail()).await;
    assert!(matches!(outcome, AttemptOutcome::Accepted(_)), "{outcome:?}");
    let mut smtp = Smtp::try_new(&settings(port)).unwrap();
    smtp.resolver = std::sync::Arc::new(move |_, _| Box::pin(async move { Ok(vec![address, address]) }));
    let outcome = smtp.send(&mail()).await;
    assert!(
        matches!(&outcome, AttemptOutcome::TransientFailure(words) if words.matches("no answer").count() == 2),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn t8_a_mail_larger_than_the_announced_size_is_not_sent() {
    for (ehlo, max_bytes) in [
        ("250-test\r\n250-SIZE 1000000\r\n250 8BITMIME", Some(1_000_000)),
        ("250-test\r\n250 size 600000", Some(600_000)),
        ("250-test\r\n250 SIZE 0", None),
        ("250 test", None),
    ] {
        let (port, _mail) = serve(Script { ehlo, ..ACCEPTS }).await;
        let large = Mail { bytes: "line\r\n".repeat(200_000).into_bytes(), ..mail() };
        match (Smtp::try_new(&settings(port)).unwrap().send(&large).await, max_bytes) {
            (AttemptOutcome::TooLarge { max_bytes, .. }, Some(expected)) => assert_eq!(max_bytes, expected),
            (AttemptOutcome::Accepted(_), None) => {}
            (outcome, _) => panic!("{ehlo:?}: {outcome:?}"),
        }
    }
    let refused = outcome(Script { dot: Step::Say("552 5.3.4 too big"), ..ACCEPTS }).await;
    assert!(matches!(refused, AttemptOutcome::TooLarge { .. }), "{refused:?}");
}

#[test]
fn s8_any_size_that_a_mail_server_announces_is_read() {
    const PIECES: &[&str] = &["SIZE", "size", " ", "0", "1", "18446744073709551616", "-", "+", "\t"];
    frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 8)).for_each(|line| {
        let size = announced_size(line);
        assert!(
            size.is_none_or(|size| size > 0 && line.trim().to_uppercase().starts_with("SIZE")),
            "{line:?}: {size:?}"
        );
    });
}

/// Serves one connection after the other with these scripts; the last one serves all that follow. Counts them.
async fn serve_in_turn(scripts: &'static [Script]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, accepted) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = accepted.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let script = scripts[number.min(scripts.len() - 1)];
            tokio::spawn(async move { converse(BufReader::new(stream), script).await });
        }
    });
    (port, accepted)
}

#[tokio::test]
async fn t8_a_connection_sends_one_mail_after_the_other_up_to_its_maximum() {
    let (port, accepted) = serve_in_turn(&[ACCEPTS]).await;
    let smtp = Smtp::try_new(&SmtpSettings { mails_per_connection: 3, ..settings(port) }).unwrap();
    for connections in [1, 1, 1, 2, 2, 2, 3] {
        assert!(matches!(smtp.clone().send(&mail()).await, AttemptOutcome::Accepted(_)));
        assert_eq!(accepted.load(Ordering::Relaxed), connections);
    }
}

#[tokio::test]
async fn t8_mails_at_the_same_time_have_connections_of_their_own() {
    let (port, accepted) = serve_in_turn(&[ACCEPTS]).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    for _ in 0..3 {
        let mail = mail();
        let outcomes = futures::future::join_all((0..4).map(|_| smtp.send(&mail))).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, AttemptOutcome::Accepted(_))), "{outcomes:?}");
    }
    assert!(accepted.load(Ordering::Relaxed) <= 4, "{accepted:?}");
}

#[tokio::test]
async fn t8_a_mail_on_a_connection_that_the_server_closed_while_it_was_idle_is_sent_at_once_on_another_one() {
    // The first connection takes one mail: it answers the next MAIL in none of the ways of one that goes on.
    static CLOSES: [Script; 2] = [Script { mail: Step::OnceThen("250 ok", None), ..ACCEPTS }, ACCEPTS];
    static SAYS_SO: [Script; 2] =
        [Script { mail: Step::OnceThen("250 ok", Some("421 4.4.2 idle for too long")), ..ACCEPTS }, ACCEPTS];
    for scripts in [&CLOSES, &SAYS_SO] {
        let (port, accepted) = serve_in_turn(scripts).await;
        let smtp = Smtp::try_new(&settings(port)).unwrap();
        for _ in 0..2 {
            let outcome = smtp.send(&mail()).await;
            assert!(matches!(outcome, AttemptOutcome::Accepted(_)), "{outcome:?}");
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn t8_a_connection_goes_on_after_a_refusal_and_not_after_an_unknown_outcome() {
    let refused = Script { rcpt: Step::OnceThen("550 5.1.1 unknown user", Some("250 ok")), ..ACCEPTS };
    let (port, accepted) = serve_in_turn(Box::leak(Box::new([refused]))).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    assert!(is_permanent(&smtp.send(&mail()).await));
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Accepted(_)));
    assert_eq!(accepted.load(Ordering::Relaxed), 1);

    let unknown = Script { dot: Step::Say("what?"), ..ACCEPTS };
    let (port, accepted) = serve_in_turn(Box::leak(Box::new([unknown, ACCEPTS]))).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Unknown(_)));
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Accepted(_)));
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn t8_what_a_server_says_to_mail_on_a_kept_connection_means_nothing_for_the_mail() {
    static TIMED_OUT: [Script; 2] =
        [Script { mail: Step::OnceThen("250 ok", Some("451 4.4.2 timeout waiting for data")), ..ACCEPTS }, ACCEPTS];
    static HAD_ENOUGH: [Script; 2] =
        [Script { mail: Step::OnceThen("250 ok", Some("452 4.5.3 too many messages")), ..ACCEPTS }, ACCEPTS];
    static REFUSES: [Script; 2] =
        [Script { mail: Step::OnceThen("250 ok", Some("554 5.7.0 session ends")), ..ACCEPTS }, ACCEPTS];
    for scripts in [&TIMED_OUT, &HAD_ENOUGH, &REFUSES] {
        let (port, accepted) = serve_in_turn(scripts).await;
        let smtp = Smtp::try_new(&settings(port)).unwrap();
        for _ in 0..2 {
            let outcome = smtp.send(&mail()).await;
            assert!(matches!(outcome, AttemptOutcome::Accepted(_)), "{outcome:?}");
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn t8_after_a_fault_of_the_settings_the_next_mail_has_a_new_connection() {
    static REPAIRED: [Script; 2] = [Script { rcpt: Step::Say("554 5.7.1 Relay access denied"), ..ACCEPTS }, ACCEPTS];
    let (port, accepted) = serve_in_turn(&REPAIRED).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::ConfigurationFault(_)));
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Accepted(_)));
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn t8_refused_mails_count_towards_the_maximum_of_a_connection() {
    static REFUSES: [Script; 1] = [Script { rcpt: Step::Say("550 5.1.1 unknown user"), ..ACCEPTS }];
    let (port, accepted) = serve_in_turn(&REFUSES).await;
    let smtp = Smtp::try_new(&SmtpSettings { mails_per_connection: 2, ..settings(port) }).unwrap();
    for connections in [1, 1, 2, 2, 3] {
        assert!(is_permanent(&smtp.send(&mail()).await));
        assert_eq!(accepted.load(Ordering::Relaxed), connections);
    }
}

#[tokio::test]
async fn t8_a_connection_of_a_server_that_answers_a_refused_mail_twice_is_not_kept() {
    static TWICE: [Script; 2] =
        [Script { dot: Step::Say("554 5.6.0 no\r\n554 5.6.0 and no again"), ..ACCEPTS }, ACCEPTS];
    let (port, accepted) = serve_in_turn(&TWICE).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    assert!(is_permanent(&smtp.send(&mail()).await));
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Accepted(_)));
    assert_eq!(accepted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn t8_a_large_mail_takes_the_place_of_a_kept_connection() {
    let (port, accepted) = serve_in_turn(&[ACCEPTS]).await;
    let smtp = Smtp::try_new(&settings(port)).unwrap();
    let (small, large) = (mail(), Mail { bytes: "line\r\n".repeat(100_000).into_bytes(), ..mail() });
    for (mail, connections) in [(&small, 1), (&large, 2), (&large, 3), (&small, 3)] {
        let outcome = smtp.send(mail).await;
        assert!(matches!(outcome, AttemptOutcome::Accepted(_)), "{outcome:?}");
        assert_eq!(accepted.load(Ordering::Relaxed), connections);
    }
    // One is kept: of two mails at the same time the other one has a new connection.
    let outcomes = futures::future::join_all([smtp.send(&small), smtp.send(&small)]).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, AttemptOutcome::Accepted(_))), "{outcomes:?}");
    assert_eq!(accepted.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn t8_a_server_whose_responses_are_out_of_step_gets_no_mail() {
    let outcome = outcome(Script { data: Step::Say("250 ok"), ..ACCEPTS }).await;
    assert!(matches!(&outcome, AttemptOutcome::TransientFailure(words) if words.contains("DATA")), "{outcome:?}");
}

#[tokio::test]
async fn t8_an_idle_connection_is_closed_after_a_time() {
    let (port, received) = serve(ACCEPTS).await;
    let smtp = Smtp::try_new(&SmtpSettings { idle_timeout: Duration::from_millis(50), ..settings(port) }).unwrap();
    assert!(matches!(smtp.send(&mail()).await, AttemptOutcome::Accepted(_)));
    // The server's side ends with the connection.
    let mail = tokio::time::timeout(Duration::from_secs(10), received).await.unwrap().unwrap();
    assert!(mail.starts_with("Subject: x"), "{mail}");
    drop(smtp);
}
