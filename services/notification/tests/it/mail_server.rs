//! A mail server that accepts each mail and then answers as a test says.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A mail server on the loopback address.
pub struct MailServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    /// Answers the n-th mail with `answers[n]`; without one, closes the connection instead.
    pub async fn start(answers: &'static [&'static str]) -> Self {
        Self::start_with("250 ok", answers).await
    }

    /// The same, with this response to EHLO.
    pub async fn start_with(ehlo: &'static str, answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let received = mails.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                converse(BufReader::new(stream), ehlo, answers, &received).await;
            }
        });
        Self { port, mails }
    }

    /// Number of mails received.
    pub fn mails(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// The mail received last.
    pub fn last_mail(&self) -> String {
        self.mails.lock().unwrap().last().unwrap().clone()
    }
}

async fn converse(mut stream: BufReader<TcpStream>, ehlo: &str, answers: &[&str], mails: &Mutex<Vec<String>>) {
    stream.get_mut().write_all(b"220 test\r\n").await.unwrap();
    let (mut line, mut mail, mut in_mail) = (String::new(), String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let answer = match line.trim_end() {
            "." if in_mail => {
                in_mail = false;
                let number = {
                    let mut mails = mails.lock().unwrap();
                    mails.push(std::mem::take(&mut mail));
                    mails.len() - 1
                };
                match answers.get(number) {
                    Some(answer) => answer,
                    None => return,
                }
            }
            _ if in_mail => {
                // A dot at the beginning of a line is doubled on the way (RFC 5321, 4.5.2).
                mail.push_str(line.strip_prefix('.').unwrap_or(&line));
                continue;
            }
            "DATA" => {
                in_mail = true;
                "354 go on"
            }
            greeting if greeting.starts_with("EHLO") => ehlo,
            _ => "250 ok",
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}
