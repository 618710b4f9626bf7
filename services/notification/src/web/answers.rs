//! Room for the answers to links, of which each transcript has a part: who holds one link must not keep the readers of others waiting.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

/// Maximum number of links that a replica answers at the same time.
const MAX_ANSWERS: usize = 16;

/// Maximum number of those to links of one transcript: a person, their mail program, and what checks links for it.
const MAX_OF_ONE: usize = 3;

/// How long a request waits for one of those that are being answered to end.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Which room is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    OfAll,
    OfOne,
}

/// The answers in progress.
pub(crate) struct Answers {
    permits: Arc<Semaphore>,
    /// Number of those to links of each transcript, counted from the request on.
    of_each: Arc<Mutex<HashMap<Uuid, usize>>>,
}

/// The room of an answer, until it is dropped.
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
    _of_one: OfOne,
}

/// One of the answers to links of a transcript.
struct OfOne {
    transcript: Uuid,
    of_each: Arc<Mutex<HashMap<Uuid, usize>>>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_ANSWERS)), of_each: Arc::default() }
    }

    /// Waits for room for an answer to a link of this transcript, named by the id of its delivery or conversation.
    pub(super) async fn room(&self, transcript: Uuid) -> Result<Room, Full> {
        let of_one = OfOne::count(transcript, &self.of_each).ok_or(Full::OfOne)?;
        match timeout(MAX_WAIT, self.permits.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Room { _permit: permit, _of_one: of_one }),
            Ok(Err(_)) | Err(_) => Err(Full::OfAll),
        }
    }
}

impl OfOne {
    /// None: the transcript has its maximum.
    fn count(transcript: Uuid, of_each: &Arc<Mutex<HashMap<Uuid, usize>>>) -> Option<Self> {
        let mut counts = of_each.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(transcript).or_default();
        if *count >= MAX_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Self { transcript, of_each: of_each.clone() })
    }
}

impl Drop for OfOne {
    fn drop(&mut self) {
        let mut counts = self.of_each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(self.transcript) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn s4_the_links_of_one_transcript_leave_room_for_others() {
        let (answers, one) = (Answers::new(), Uuid::from_u128(1));
        let mut held = Vec::new();
        for _ in 0..MAX_OF_ONE {
            held.push(answers.room(one).await.unwrap());
        }
        assert_eq!(answers.room(one).await.err(), Some(Full::OfOne));
        for other in 2..=6 {
            assert!(answers.room(Uuid::from_u128(other)).await.is_ok());
        }
        held.pop();
        held.push(answers.room(one).await.unwrap());
        held.clear();
        assert!(answers.of_each.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn s4_of_all_answers_at_most_their_maximum_is_in_progress() {
        let answers = Answers::new();
        let mut held = Vec::new();
        for transcript in (0..).take(MAX_ANSWERS) {
            held.push(answers.room(Uuid::from_u128(transcript)).await.unwrap());
        }
        let next = Uuid::from_u128(100);
        assert_eq!(answers.room(next).await.err(), Some(Full::OfAll));
        assert_eq!(answers.of_each.lock().unwrap().len(), MAX_ANSWERS, "what waited in vain is not counted");
        held.pop();
        assert!(answers.room(next).await.is_ok());
    }
}
