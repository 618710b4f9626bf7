//! A gRPC server that faces the internet: which connections it accepts, and what happens to every call before a handler sees it.
//!
//! [`serve`] puts the two halves together. `listener` accepts connections: how many, the handshake, TLS, control frames.
//! `admission` is the middleware before every method ([`CallLayer`]): overload, authentication, rates, permission, deadlines, the
//! request body, permits, the audit log.

mod admission;
mod listener;
mod serve;

pub use admission::{Admission, AuditLayer, CallLayer, CallService, LimitError, LimitSettings};
pub use listener::PeerInfo;
pub use serve::{GrpcServices, ServerSettings, serve};
