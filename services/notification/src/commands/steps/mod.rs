//! Steps that several commands share.

mod check_mail_limits;
mod save_delivery;

pub(super) use check_mail_limits::check_mail_limits;
pub(super) use save_delivery::save_delivery;
