//! The workload: accounts with agents, bots and channels; chats from the first message to the mail; watchers.

mod account;
mod attachments;
mod calls;
mod chat;
mod routing;
mod watcher;

pub use account::{Account, AccountKind, BOT_TEXTS};
pub use calls::{chat_entry_digest, entry_digest};
pub use chat::{Script, run_chats};
pub use watcher::{WatchKind, Watchers};
