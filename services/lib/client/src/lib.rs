//! Calls to other services: [`Peer`] says who calls and for whom, by when and in which trace; [`Balancer`] finds the replicas of a
//! service, picks one for each call, and retries with another.

mod balancer;
mod peer;

pub use balancer::{Balancer, PeerError};
pub use peer::{CallContext, Peer};
