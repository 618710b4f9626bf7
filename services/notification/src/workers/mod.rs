//! What runs by itself.

mod deliveries;

pub(crate) use deliveries::deliver;
