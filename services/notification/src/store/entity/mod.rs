//! The rows.

pub(crate) mod decision;
pub(crate) mod delivery;
pub(crate) mod mail;
pub(crate) mod mail_account;
pub(crate) mod sender;
