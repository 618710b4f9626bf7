//! What one reader receives.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use frontdesk_clock::Clock;

use crate::final_state::{Event, Reader, Receipt};

/// The notes of a reader. Clones share them.
#[derive(Clone)]
pub(super) struct Notes(Arc<Inner>);

struct Inner {
    clock: Clock,
    noted: Mutex<Noted>,
}

struct Noted {
    /// Without its receipts.
    reader: Reader,
    receipts: BTreeMap<String, Receipt>,
}

impl Notes {
    /// Empty notes of a reader that began at `since`.
    pub(super) fn new(name: &str, account: &str, since: i64, clock: &Clock) -> Self {
        let reader = Reader { name: name.to_owned(), account: account.to_owned(), since, ..Reader::default() };
        let noted = Mutex::new(Noted { reader, receipts: BTreeMap::new() });
        Self(Arc::new(Inner { clock: clock.clone(), noted }))
    }

    /// Notes an event that came after all others.
    pub(super) fn receive(&self, event: &str, account: &str) {
        let mut noted = self.lock();
        let place = noted.receipts.len() as u64 + 1;
        self.add(&mut noted, event, account, place);
    }

    /// Notes an event with its place in the order that is promised. Of several places the first counts.
    pub(super) fn receive_at(&self, place: u64, event: &str, account: &str) {
        self.add(&mut self.lock(), event, account, place);
    }

    fn add(&self, noted: &mut Noted, event: &str, account: &str, place: u64) {
        if let Some(receipt) = noted.receipts.get_mut(event) {
            receipt.place = receipt.place.min(place);
            noted.reader.repeats += 1;
            return;
        }
        let (id, account, at) = (event.to_owned(), account.to_owned(), self.0.clock.now().0);
        noted.receipts.insert(event.to_owned(), Receipt { event: id, account, place, at });
    }

    /// Notes what the reader could not take.
    pub(super) fn fail(&self, about: String) {
        self.lock().reader.failures.push(about);
    }

    /// Whether all of these events that are for the reader were received.
    pub(super) fn are_complete(&self, events: &[Event]) -> bool {
        let noted = self.lock();
        let mut expected = events.iter().filter(|event| noted.reader.expects(event));
        expected.all(|event| noted.receipts.contains_key(&event.id))
    }

    /// All that the reader has received so far.
    pub(super) fn reader(&self) -> Reader {
        let noted = self.lock();
        Reader { received: noted.receipts.values().cloned().collect(), ..noted.reader.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
