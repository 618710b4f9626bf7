//! A gRPC server that faces the internet: which connections it accepts, and what happens to every call before a handler sees it.
//!
//! [`serve`] puts the two halves together. `listener` accepts connections: how many, the handshake, TLS, control frames.
//! `admission` is the middleware before every method ([`CallLayer`]): overload, authentication, rates, permission, deadlines, the
//! request body, permits, the audit log. `web` is the second listener, for browsers: gRPC-Web and CORS before the same middleware.

mod admission;
mod http2;
mod listener;
mod reflection;
mod serve;
mod web;

pub use admission::{Admission, AuditLayer, CallLayer, CallService, LimitError, LimitSettings};
pub use listener::PeerInfo;
pub use serve::{GrpcServices, ServerSettings, serve};
pub use web::{AllowedOrigins, OriginError, WebListener};
