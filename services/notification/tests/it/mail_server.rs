//! A mail server that accepts each mail and then answers as a test says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// A mail server on the loopback address.
pub struct MailServer {
    pub port: u16,
    mails: Arc<AtomicUsize>,
}

impl MailServer {
    /// Answers the n-th mail with `answers[n]`; without one, closes the connection instead.
    pub async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = Arc::new(AtomicUsize::new(0));
        let received = mails.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                converse(BufReader::new(stream), answers, &received).await;
            }
        });
        Self { port, mails }
    }

    /// Number of mails received.
    pub fn mails(&self) -> usize {
        self.mails.load(Ordering::SeqCst)
    }
}

async fn converse(mut stream: BufReader<TcpStream>, answers: &[&str], mails: &AtomicUsize) {
    stream.get_mut().write_all(b"220 test\r\n").await.unwrap();
    let (mut line, mut in_mail) = (String::new(), false);
    loop {
        line.clear();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let answer = match line.trim_end() {
            "." if in_mail => {
                in_mail = false;
                match answers.get(mails.fetch_add(1, Ordering::SeqCst)) {
                    Some(answer) => answer,
                    None => return,
                }
            }
            _ if in_mail => continue,
            "DATA" => {
                in_mail = true;
                "354 go on"
            }
            _ => "250 ok",
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}
