//! Connections within one process, for services that call each other there.

use std::{io, sync::Arc};

use tokio::{
    io::DuplexStream,
    sync::mpsc::{self, Receiver, Sender},
};

/// Size of a connection's buffer in each direction, in bytes.
const BUFFER_SIZE: usize = 64 * 1024;
/// Maximum number of connections that wait to be accepted.
const BACKLOG: usize = 64;

/// The server's end of a new connection.
pub struct InProcessConnection {
    /// Name of the service that connected.
    pub service: Arc<str>,
    /// Its bytes.
    pub stream: DuplexStream,
}

/// Connects to the server of this process. Clones share it.
#[derive(Clone)]
pub struct InProcessConnector(Sender<InProcessConnection>);

/// Accepts the connections of its [`InProcessConnector`].
pub struct InProcessListener(Receiver<InProcessConnection>);

impl InProcessConnector {
    /// A connector and its listener.
    pub fn new() -> (Self, InProcessListener) {
        let (connector, listener) = mpsc::channel(BACKLOG);
        (Self(connector), InProcessListener(listener))
    }

    /// Connects as the named service; fails when the listener is gone.
    pub async fn connect(&self, service: &Arc<str>) -> io::Result<DuplexStream> {
        let (client, server) = tokio::io::duplex(BUFFER_SIZE);
        let connection = InProcessConnection { service: service.clone(), stream: server };
        self.0.send(connection).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(client)
    }
}

impl InProcessListener {
    /// The next connection. None: every connector is gone.
    pub async fn accept(&mut self) -> Option<InProcessConnection> {
        self.0.recv().await
    }
}
