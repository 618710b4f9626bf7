//! The mails themselves: from what is to be said to the bytes that a mail server gets.
//!
//! Everything is pure: the same delivery, date and content give the same bytes.

mod message;
mod templates;
mod transcript;
mod verification;

pub(crate) use message::{ComposeError, Composed, Envelope};
pub(crate) use transcript::{compose, json, render, room_for_lines, size_of};
pub(crate) use verification::compose as compose_verification;

#[cfg(test)]
mod tests;
