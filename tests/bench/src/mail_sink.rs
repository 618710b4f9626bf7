//! The mail server of P6: it takes every mail at once and keeps none.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Arguments of the mail sink.
#[derive(Debug, clap::Args)]
pub struct SinkArguments {
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
}

/// Serves until the process is killed.
pub async fn serve(arguments: SinkArguments) {
    let listener = TcpListener::bind(arguments.listen).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that disconnects ends its connection.
        tokio::spawn(async move { converse(stream).await.unwrap_or_default() });
    }
}

async fn converse(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default() {
            b"DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                while line != b".\r\n" {
                    line.clear();
                    if stream.read_until(b'\n', &mut line).await? == 0 {
                        return Ok(());
                    }
                }
                b"250 2.0.0 taken\r\n"
            }
            b"QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => b"250 sink\r\n",
        };
        stream.write_all(answer).await?;
    }
}
