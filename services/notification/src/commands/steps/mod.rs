//! Steps that several commands share.

mod check_event_types;
mod check_mail_limits;
mod mail_code;
mod receiver_url;
mod require_active_caller;
mod save_delivery;
mod secret_text;
mod suppress;

pub(super) use check_event_types::check_event_types;
pub(super) use check_mail_limits::check_mail_limits;
pub(super) use mail_code::mail_code;
pub(super) use receiver_url::receiver_url;
pub(super) use require_active_caller::require_active_caller;
pub(super) use save_delivery::save_delivery;
pub(super) use secret_text::secret_text;
pub(super) use suppress::{Cause, suppress};
