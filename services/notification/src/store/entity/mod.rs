//! Rows of the tables.

pub(crate) mod delivery;
pub(crate) mod delivery_mail;
pub(crate) mod mail_account;
pub(crate) mod sender;
pub(crate) mod transcript_decision;
