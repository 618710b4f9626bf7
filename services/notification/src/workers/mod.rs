//! Background tasks of the service.

mod deliveries;
mod forget_mails;

pub(crate) use deliveries::deliver;
pub(crate) use forget_mails::forget_mails;
