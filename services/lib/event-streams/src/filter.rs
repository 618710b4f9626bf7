//! Which events a stream sends.

use std::collections::HashSet;

use frontdesk_api::parse_id;
use frontdesk_proto::event::v1::{Event, EventFilter};
use tonic::Status;

/// The values of each field, one of which an event has; none: it may have any.
pub(crate) struct Filter {
    types: HashSet<String>,
    aggregate_types: HashSet<String>,
    aggregate_ids: HashSet<String>,
}

impl Filter {
    pub(crate) fn try_from_proto(filter: EventFilter) -> Result<Self, Status> {
        // Ids of events are in their canonical form.
        let canonical = |id: &String| parse_id("filter.aggregate_ids", id).map(|id| id.to_string());
        Ok(Self {
            aggregate_ids: filter.aggregate_ids.iter().map(canonical).collect::<Result<_, Status>>()?,
            types: filter.event_types.into_iter().collect(),
            aggregate_types: filter.aggregate_types.into_iter().collect(),
        })
    }

    /// Whether the event is sent.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        let has = |values: &HashSet<String>, value: &String| values.is_empty() || values.contains(value);
        has(&self.types, &event.r#type)
            && has(&self.aggregate_types, &event.aggregate_type)
            && has(&self.aggregate_ids, &event.aggregate_id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0xABC);

    fn event(event_type: &str, aggregate_type: &str, id: Uuid) -> Event {
        Event {
            r#type: event_type.into(),
            aggregate_type: aggregate_type.into(),
            aggregate_id: id.to_string(),
            ..Event::default()
        }
    }

    fn filter(types: &[&str], aggregate_types: &[&str], ids: &[String]) -> Filter {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Filter::try_from_proto(EventFilter {
            event_types: owned(types),
            aggregate_types: owned(aggregate_types),
            aggregate_ids: ids.to_vec(),
        })
        .unwrap()
    }

    #[test]
    fn an_event_matches_a_filter_when_it_matches_each_of_its_fields() {
        let (made, id) = (event("Made", "thing", ID), ID.to_string());
        let other_id = Uuid::nil().to_string();
        assert!(filter(&[], &[], &[]).matches(&made));
        assert!(filter(&["Moved", "Made"], &["thing"], &[other_id.clone(), id.to_uppercase()]).matches(&made));
        for one in [filter(&["Moved"], &[], &[]), filter(&[], &["part"], &[]), filter(&["Made"], &[], &[other_id])] {
            assert!(!one.matches(&made));
        }
    }
}
