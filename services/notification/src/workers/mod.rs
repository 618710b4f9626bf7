//! Background work.

mod deliveries;

pub(crate) use deliveries::deliver;
