//! UUIDv7 generation (RFC 9562, section 6.2, method 1): 48 bits of milliseconds, a 42-bit counter, 32 random bits.

use rand::{Rng, SeedableRng, rngs::StdRng};
use uuid::{Builder, Uuid};

/// Number of bits of the counter. It starts at a random number of 41 bits in each millisecond.
const COUNTER_BITS: u32 = 42;

pub(crate) struct IdGenerator {
    random: StdRng,
    /// The time of the newest id, in milliseconds.
    millis: u64,
    counter: u64,
}

impl IdGenerator {
    /// With random parts that differ in each process.
    pub(crate) fn from_os() -> Self {
        Self { random: StdRng::from_os_rng(), millis: 0, counter: 0 }
    }

    /// With random parts that follow from `seed`.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), millis: 0, counter: 0 }
    }

    /// The next id. `millis`: the time now, since 1970. When it is not after the time of the newest id, the counter rises.
    pub(crate) fn next_id(&mut self, millis: u64) -> Uuid {
        if millis > self.millis {
            self.millis = millis;
            self.reset_counter();
        } else {
            self.counter += 1;
            if self.counter >> COUNTER_BITS != 0 {
                self.millis += 1;
                self.reset_counter();
            }
        }
        Builder::from_unix_timestamp_millis(self.millis, &self.counter_and_random()).into_uuid()
    }

    fn reset_counter(&mut self) {
        self.counter = self.random.random::<u64>() >> (64 - (COUNTER_BITS - 1));
    }

    /// The 10 bytes after the time: 12 bits of the counter beside the version, 30 bits beside the variant, 32 random bits.
    fn counter_and_random(&mut self) -> [u8; 10] {
        let (high, low) = (self.counter >> 30, self.counter & 0x3FFF_FFFF);
        let bits = (u128::from(high) << 64) | (u128::from(low) << 32) | u128::from(self.random.random::<u32>());
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&bits.to_be_bytes()[6..]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_within_a_millisecond_and_when_time_goes_back() {
        let mut generator = IdGenerator::from_seed(1);
        let ids: Vec<Uuid> =
            [5, 5, 5, 3, 6, 6, 1].into_iter().map(|millis| generator.next_id(1_700_000_000_000 + millis)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    }

    #[test]
    fn a_full_counter_moves_on_to_the_next_millisecond() {
        let mut generator = IdGenerator::from_seed(1);
        let first = generator.next_id(1_000);
        generator.counter = (1 << COUNTER_BITS) - 1;
        let second = generator.next_id(1_000);
        assert!(first < second);
        assert_eq!(second.get_timestamp().unwrap().to_unix(), (1, 1_000_000));
    }
}
