//! Who is calling and what they may: tokens, callers, and the access that each method declares.
//!
//! [`Keys`] mint and verify tokens, [`AccessMap`] holds what the protos declare, [`Caller`] is who a handler sees.

mod access;
mod caller;
mod keys;
mod token;

pub use access::{Access, AccessMap, UndeclaredMethod};
pub use caller::{AccountId, Actor, Caller, Kind, NotAllowed};
pub use keys::Keys;
pub use token::{Claims, TokenError, permissions_of};

/// Metadata in which a service says for which account it acts (rule S5).
pub const ACCOUNT_HEADER: &str = "x-frontdesk-account";
/// Metadata in which a service says for whom it acts, as `kind:id` (rule S5).
pub const ACTOR_HEADER: &str = "x-frontdesk-actor";
