//! How our gRPC servers and clients behave: what a connection must be, the gate that every call passes, limits, refusals with
//! their details, pages, live streams, TLS, and calls to our other services.

mod audited;
mod client;
mod connections;
mod deadline;
mod frames;
mod gate;
mod limits;
mod open_stream;
mod pages;
mod refusal;
mod replicas;
mod request;
mod server;
mod tls;
mod watch;

pub use audited::Audited;
pub use client::{Peer, refused_with};
pub use connections::{Arrivals, ConnectedBy, Connection, WithinProcess};
pub use gate::{Gate, GateLayer};
pub use limits::{LimitSettings, NoRoom};
pub use pages::{Page, Pages};
pub use refusal::{Field, Refusal};
pub use replicas::{PeerError, Replicas};
pub use request::{caller, open, parse_id, parse_optional_id};
pub use server::{Served, ServerSettings, serve};
pub use tls::{Tls, TlsError, TlsSettings};
pub use watch::{Followed, Reads, follow};
