//! Background tasks of the service.

mod deliveries;

pub(crate) use deliveries::deliver;
