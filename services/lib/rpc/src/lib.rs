//! How our gRPC servers and clients behave: the gate that every call passes, refusals with their details, pages, live
//! streams, and calls to our other services.

mod audited;
mod client;
mod gate;
mod pages;
mod refusal;
mod replicas;
mod request;
mod server;
mod watch;

pub use audited::Audited;
pub use client::{Peer, refused_with};
pub use gate::{Gate, GateLayer};
pub use pages::{Page, Pages};
pub use refusal::{Field, Refusal};
pub use replicas::{PeerError, Replicas};
pub use request::{caller, open, parse_id, parse_optional_id};
pub use server::{Served, ServerSettings, serve};
pub use watch::{Followed, Reads, follow};
