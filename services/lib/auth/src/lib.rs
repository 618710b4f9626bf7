//! Who is calling and what they may do: tokens, certificates, callers, roles, and the access that each method declares.
//!
//! Start reading at [`Identity`], which turns a token into a [`Caller`]. [`AccessMap`] holds what the protos declare,
//! [`InstallationSecret`] signs and derives what an installation hands out, [`DevelopmentKey`] mints tokens in development.

mod access;
mod anonymous_visitor;
mod caller;
mod certificate;
mod claims;
mod development_key;
#[cfg(test)]
mod fuzz;
mod identity;
mod inspect_issuer;
mod installation_secret;
mod issuer;
mod jwks;
mod roles;
mod settings;
mod token;
mod visitor_token;

pub use access::{Access, AccessMap, UndeclaredMethod};
pub use anonymous_visitor::{AnonymousToken, AnonymousVisitor};
pub use caller::{Actor, Caller, CallerKind, NotAllowed};
pub use certificate::{check_validity, host_name, not_after, service_name};
pub use development_key::DevelopmentKey;
pub use identity::Identity;
pub use inspect_issuer::{IssuerKeys, inspect_issuer};
pub use installation_secret::{InstallationSecret, WeakSecret};
pub use roles::{Roles, UnknownPermission};
pub use settings::{ClaimNames, IdentityError, IdentitySettings, IssuerSettings};
pub use token::{Claims, TokenError};
pub use visitor_token::VisitorKeyStore;

/// Metadata in which a service names the account that it acts for (rule S5).
pub const ACCOUNT_HEADER: &str = "x-frontdesk-account";
/// Metadata in which a service names the actor that it acts for, as `kind:id` (rule S5).
pub const ACTOR_HEADER: &str = "x-frontdesk-actor";
