//! Calls to other services: [`Peer`] adds the caller, the account and actor, the deadline and the trace; [`Balancer`] finds the replicas
//! of a service, picks one for each call, and retries with another.

mod balancer;
mod peer;

pub use balancer::{Balancer, PeerError};
pub use peer::{CallContext, Peer};
