//! Who is calling and what they may: tokens, certificates, callers, roles, and the access that each method declares.
//!
//! [`Identity`] turns a token into a [`Caller`], [`AccessMap`] holds what the protos declare, [`Keyring`] is the
//! installation's own secret, [`Keys`] the development key.

mod access;
mod caller;
mod certificate;
mod identity;
mod issuer;
mod jwks;
mod keyring;
mod keys;
mod roles;
mod token;
mod visitors;

pub use access::{Access, AccessMap, UndeclaredMethod};
pub use caller::{AccountId, Actor, Caller, Kind, NotAllowed};
pub use certificate::{service_of, within_its_time};
pub use identity::{Identity, IdentityError, IdentitySettings};
pub use issuer::{ClaimNames, IssuerSettings};
pub use keyring::{Keyring, WeakSecret};
pub use keys::Keys;
pub use roles::{Roles, UnknownPermission};
pub use token::{Claims, TokenError};
pub use visitors::ScopedKeys;

/// Metadata in which a service says for which account it acts (rule S5).
pub const ACCOUNT_HEADER: &str = "x-frontdesk-account";
/// Metadata in which a service says for whom it acts, as `kind:id` (rule S5).
pub const ACTOR_HEADER: &str = "x-frontdesk-actor";
