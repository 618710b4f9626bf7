//! The rules: what is decided at a close, how a delivery goes on after an attempt, which addresses mail may come from and go
//! to, and what of a thread a transcript shows. No I/O, no clock.

mod address;
mod decision;
mod delivery;
mod excerpt;
mod sender;
mod text;
mod transcript;

pub(crate) use address::{mail_address, mailbox};
pub(crate) use decision::{Facts, Skip, decide, explain};
pub(crate) use delivery::{AttemptOutcome, Changed, Delivery, Kind, Pauses, State};
pub(crate) use excerpt::Excerpt;
pub(crate) use sender::Sender;
pub(crate) use text::{body_lines, one_line, server_words, shown_address};
pub(crate) use transcript::{Author, Content, Line, Transcript, link, zone};
