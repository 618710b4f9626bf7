//! Background tasks of the service.

mod attempt_counter;
mod deliveries;
mod delivery_counter;
mod forget_mails;
mod forget_webhooks;
mod measurements;
mod next_turns;
mod recording;
mod running;
mod webhooks;

pub(crate) use attempt_counter::AttemptCounter;
pub(crate) use deliveries::deliver;
pub(crate) use delivery_counter::DeliveryCounter;
pub(crate) use forget_mails::forget_mails;
pub(crate) use forget_webhooks::forget_webhooks;
pub(crate) use measurements::measure_deliveries;
pub(crate) use webhooks::deliver_webhooks;
