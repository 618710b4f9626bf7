//! Rule A4: the evaluation agrees, for random schedules and every minute of a year, with one that walks from minute to minute.
//!
//! The naive evaluation paints the minutes of a calendar without a zone, and follows the clocks of a zone over it: the latest time that
//! they have shown so far is the minute that counts.

use std::{collections::BTreeMap, iter::successors, sync::LazyLock};

use frontdesk_fuzz::{bytes, check};
use jiff::{Timestamp, civil::Date};

use crate::{DateException, Schedule, TimeRange, WeeklyRange};

const DAY: usize = 1_440;
/// Number of days before and after a year for which minutes are painted.
const MARGIN: usize = 25;
/// Zones with odd rules, and a year of each.
const ZONES: [(&str, i16); 6] = [
    ("Europe/Rome", 2026),
    ("America/New_York", 2026),
    ("Australia/Lord_Howe", 2026),
    ("Asia/Kathmandu", 2026),
    ("Africa/Casablanca", 2026),
    ("Pacific/Apia", 2011),
];

/// A year as the clocks of a zone show it.
struct Year {
    zone: &'static str,
    /// Midnight of the first date, [`MARGIN`] days before the year, and its instant.
    first: Date,
    begin: i64,
    /// For each minute from `begin` on, the latest minute after `first` that clocks have shown.
    latest: Vec<usize>,
    /// The minutes at which clocks change.
    changes: Vec<usize>,
}

static YEARS: LazyLock<Vec<Year>> = LazyLock::new(|| ZONES.map(|(zone, year)| follow(zone, year)).into());

fn follow(zone: &'static str, year: i16) -> Year {
    let clocks = frontdesk_time_zone::parse(zone).unwrap();
    let new_year = Date::new(year, 1, 1).unwrap();
    let first = (0..MARGIN).fold(new_year, |date, _| date.yesterday().unwrap());
    let begin = clocks.to_timestamp(first.at(0, 0, 0, 0)).unwrap().as_second();
    let (mut latest, mut changes, mut before) = (Vec::new(), Vec::new(), None);
    let dates = successors(Some(first), |date| date.tomorrow().ok()).take(366 + 3 * MARGIN);
    let midnights: BTreeMap<Date, usize> = dates.enumerate().map(|(number, date)| (date, number * DAY)).collect();
    let mut midnight = (first, 0);
    for minute in 0..(366 + MARGIN) * DAY {
        let instant = Timestamp::from_second(begin + 60 * i64::try_from(minute).unwrap()).unwrap();
        let shown = clocks.to_datetime(instant);
        let time = usize::try_from(shown.hour()).unwrap() * 60 + usize::try_from(shown.minute()).unwrap();
        if shown.date() != midnight.0 {
            midnight = (shown.date(), midnights[&shown.date()]);
        }
        let shown = midnight.1 + time;
        if before.is_some_and(|before: usize| before + 1 != shown) {
            changes.push(minute);
        }
        before = Some(shown);
        latest.push(latest.last().copied().unwrap_or(0).max(shown));
    }
    Year { zone, first, begin, latest, changes }
}

impl Year {
    fn instant(&self, minute: usize) -> Timestamp {
        Timestamp::from_second(self.begin + 60 * i64::try_from(minute).unwrap()).unwrap()
    }

    /// For each minute from `begin` on, whether it is open.
    fn open_minutes(&self, schedule: &Schedule) -> Vec<bool> {
        let days = 366 + 3 * MARGIN;
        let mut painted = vec![false; (days + 2) * DAY];
        for (number, date) in successors(Some(self.first), |date| date.tomorrow().ok()).take(days).enumerate() {
            let text = date.to_string();
            let exception = schedule.exceptions.iter().find(|exception| exception.date == text);
            let weekday = i32::from(date.weekday().to_monday_one_offset());
            let weekly = schedule.weekly_ranges.iter().filter(|weekly| weekly.weekday == weekday);
            let ranges: Vec<TimeRange> = match exception {
                Some(exception) => exception.ranges.clone(),
                None => weekly.map(|weekly| weekly.range).collect(),
            };
            for TimeRange { start, end } in ranges {
                let end = if end <= start { end + 1_440 } else { end };
                let place = |minute: i32| number * DAY + usize::try_from(minute).unwrap();
                painted[place(start)..place(end)].fill(true);
            }
        }
        self.latest.iter().map(|minute| painted[*minute]).collect()
    }
}

/// A schedule, and further choices, from random bytes. Without bytes it gets zeros.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    /// A number below `end`.
    fn below(&mut self, end: i32) -> i32 {
        let (bytes, rest) = self.0.split_at(self.0.len().min(2));
        self.0 = rest;
        bytes.iter().fold(0, |number, byte| number * 256 + i32::from(*byte)) % end
    }

    /// Often times around midnight, and those at which clocks change.
    fn range(&mut self) -> TimeRange {
        let minute = |choices: &mut Self| match choices.below(4) {
            0 => choices.below(240),
            1 => 60 * choices.below(24),
            2 => 1_320 + choices.below(120),
            _ => choices.below(1_440),
        };
        let (start, end) = (minute(self), minute(self));
        TimeRange { start, end: if end == 0 { 1_440 } else { end } }
    }

    fn schedule(&mut self, year: &Year) -> Schedule {
        let count = [0, 1, 3, 7, 14][usize::try_from(self.below(5)).unwrap()];
        let weekly_ranges = (0..count).map(|_| WeeklyRange { weekday: 1 + self.below(7), range: self.range() });
        let weekly_ranges = weekly_ranges.collect();
        let mut exceptions = BTreeMap::new();
        for _ in 0..self.below(6) {
            // Near a change of the clocks, or anywhere in the year.
            let minute = match self.below(2) {
                0 if !year.changes.is_empty() => {
                    let change = usize::try_from(self.below(i32::try_from(year.changes.len()).unwrap())).unwrap();
                    year.latest[year.changes[change]] + usize::try_from(self.below(3)).unwrap() * DAY - DAY
                }
                _ => usize::try_from(self.below(380)).unwrap() * DAY,
            };
            let date = successors(Some(year.first), |date| date.tomorrow().ok()).nth(minute / DAY).unwrap();
            let ranges: Vec<TimeRange> = (0..self.below(3)).map(|_| self.range()).collect();
            exceptions.insert(date, ranges);
        }
        let exceptions = exceptions.into_iter();
        let exception =
            |(date, ranges): (Date, _)| DateException { date: date.to_string(), name: String::new(), ranges };
        Schedule { time_zone: year.zone.into(), weekly_ranges, exceptions: exceptions.map(exception).collect() }
    }
}

#[test]
fn a4_the_state_and_its_next_change_are_those_of_a_walk_from_minute_to_minute() {
    LazyLock::force(&YEARS);
    check!().with_generator(bytes(120)).for_each(|bytes| {
        let mut choices = Choices(bytes);
        let year = &YEARS[usize::try_from(choices.below(6)).unwrap()];
        let schedule = choices.schedule(year);
        let calendar = schedule.compile().unwrap();
        let open = year.open_minutes(&schedule);
        let turns: Vec<usize> = (1..open.len()).filter(|minute| open[*minute] != open[minute - 1]).collect();
        // Days around changes of the clocks, some turns of the rest of the year, and some minutes.
        let near = |turn: &&usize| year.changes.iter().any(|change| turn.abs_diff(*change) < 3 * DAY);
        let some = turns.iter().step_by(1 + turns.len() / 20);
        let mut minutes: Vec<usize> =
            turns.iter().filter(near).chain(some).flat_map(|turn| [turn - 1, *turn]).collect();
        minutes.extend(year.changes.iter().flat_map(|change| [change - 1, *change, change + 1]));
        minutes.extend((0..10).map(|_| usize::try_from(choices.below(380)).unwrap() * DAY + 17));
        // Before that, a range of the days before the first one may go on.
        for minute in minutes.into_iter().filter(|minute| *minute > 3 * DAY) {
            let state = calendar.at(year.instant(minute));
            let place = format!("minute {minute} ({}) of {schedule:?}", year.instant(minute));
            assert_eq!(state.open, open[minute], "{place}");
            match turns.iter().find(|turn| **turn > minute) {
                Some(turn) => assert_eq!(state.next_change, Some(year.instant(*turn)), "{place}"),
                // Not within the minutes that were walked.
                None => {
                    let beyond = |change: Timestamp| change >= year.instant(open.len());
                    assert!(state.next_change.is_none_or(beyond), "{place}: {:?}", state.next_change);
                }
            }
        }
    });
}
