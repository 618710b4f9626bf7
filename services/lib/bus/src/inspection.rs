//! What a broker has, for its operator.

/// What a broker has, beside what Frontdesk creates there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInspection {
    /// Version of nats-server.
    pub version: String,
    /// Why the version cannot be used. None: it can.
    pub old_version: Option<String>,
    /// Whether JetStream is enabled.
    pub has_jet_stream: bool,
    /// Whether the password crosses a network without TLS.
    pub sends_password_unencrypted: bool,
    /// The streams, then the consumers.
    pub objects: Vec<BrokerObject>,
}

/// A stream or a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerObject {
    /// Which of the two.
    pub kind: ObjectKind,
    /// Its name at the broker.
    pub name: String,
    /// Its state.
    pub state: ObjectState,
}

/// What an object of the broker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A stream, of the events of one service.
    Stream,
    /// A durable consumer.
    Consumer,
}

/// The state of a stream or consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectState {
    /// As Frontdesk creates it.
    AsExpected,
    /// It does not exist.
    Missing,
    /// It has other settings; each in words.
    Different(Vec<String>),
    /// The broker did not say, or refused to.
    Unknown(String),
}

impl ObjectState {
    pub(crate) fn of_differences(differences: Vec<String>) -> Self {
        if differences.is_empty() { Self::AsExpected } else { Self::Different(differences) }
    }
}
