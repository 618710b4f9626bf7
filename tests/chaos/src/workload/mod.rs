//! What callers do all day: accounts with people, bots and channels; chats from the first word to the mailbox; watchers.

mod calls;
mod chat;
mod shop;
mod watcher;

pub use calls::{entry_digest, line_digest};
pub use chat::{Script, play, play_all};
pub use shop::{BOT_TEXTS, Shop, ShopKind};
pub use watcher::{Watched, Watcher, Watchers};
