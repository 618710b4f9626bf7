//! I17: every reader of public events receives each event of its account at least once, and those of an aggregate in the order of their versions
//! where that is promised. I20: it receives none of another account.

use std::collections::HashMap;

use super::{Index, Verdict};
use crate::final_state::Reader;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    for reader in &index.state().readers {
        let places: Places<'_> =
            reader.received.iter().map(|receipt| (receipt.event.as_str(), receipt.place)).collect();
        missing(index, reader, &places, verdict);
        order(index, reader, &places, verdict);
        for failure in &reader.failures {
            verdict.violated("I17", format!("{}: {failure}", reader.name));
        }
        for receipt in reader.received.iter().filter(|receipt| receipt.account != reader.account) {
            let what = format!("the event {} of {}", receipt.event, receipt.account);
            verdict.violated("I20", format!("{}: {} received {what}", reader.name, reader.account));
        }
    }
}

/// The place of each event that the reader received.
type Places<'a> = HashMap<&'a str, u64>;

fn missing(index: &Index<'_>, reader: &Reader, places: &Places<'_>, verdict: &mut Verdict) {
    let expected = index.state().events.iter().filter(|event| reader.expects(event));
    for event in expected.filter(|event| !places.contains_key(event.id.as_str())) {
        let what = format!("version {} ({}) was never received", event.version, event.kind);
        verdict.violated("I17", format!("{}: {}: {what}", reader.name, event.aggregate));
    }
}

/// Of an aggregate that is older than the reader, the first events may come in any order.
fn order(index: &Index<'_>, reader: &Reader, places: &Places<'_>, verdict: &mut Verdict) {
    for (aggregate, events) in &index.aggregates {
        if !events.first().is_some_and(|first| first.version == 1 && reader.expects(first)) {
            continue;
        }
        let (mut last_place, mut last_version) = (0, 0);
        for event in events {
            let Some(place) = places.get(event.id.as_str()) else { continue };
            if *place < last_place {
                let what = format!("version {} was received first, before version {last_version}", event.version);
                verdict.violated("I17", format!("{}: {aggregate}: {what}", reader.name));
            } else {
                (last_place, last_version) = (*place, event.version);
            }
        }
    }
}
