//! Values of templates with named fields.

use std::sync::Arc;

use minijinja::{
    Value,
    value::{Enumerator, Object},
};

/// A value with these fields. Unlike a map it is one allocation, and a field is found by its name without a comparison of values: of a long
/// transcript there are tens of thousands.
#[derive(Debug)]
struct Fields<const N: usize>([(&'static str, Value); N]);

impl<const N: usize> Object for Fields<N> {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(name, _)| Value::from(*name)).collect())
    }
}

/// Returns a value with these fields.
pub(super) fn fields<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    Value::from_object(Fields(fields))
}
