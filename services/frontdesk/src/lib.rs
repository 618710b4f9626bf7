//! A process of Frontdesk: all services in one (`frontdesk serve all`), or one service in processes of its own (`frontdesk
//! serve conversation`).
//!
//! [`Server::open`] builds everything from [`Settings`], top to bottom; [`Server::serve`] runs it on a listener until the
//! shutdown. Tests do the same on port 0.

mod bounds;
mod check;
pub mod data_folder;
mod databases;
pub mod dev;
pub mod doctor;
mod error;
mod misspelt;
mod reflection;
mod server;
mod server_channel;
mod service;
mod settings;
mod web;

pub use bounds::OutOfBounds;
pub use databases::{connect, connect_databases, require_databases};
pub use error::{Listener, ServerError};
pub use server::Server;
pub use server_channel::ServerChannel;
pub use service::Service;
pub use settings::{Development, OpsSettings, PerService, Settings};
pub use web::{WebError, WebSettings};
