//! The evaluation of a schedule.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter::successors,
};

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, TimeZone},
};

use crate::schedule::{MINUTES_OF_DAY, TimeRange};

/// Number of days after which a week without exceptions has shown everything that it repeats: two weeks, since the clocks may skip a
/// range in one of them, and the day into which the last range goes on.
const REPEATED_DAYS: usize = 15;
/// Number of days before the date of an instant on which a range can begin that goes on at that instant: one, and one more for a zone
/// that skips a day, as Pacific/Apia did.
const DAYS_BEFORE: usize = 2;

/// A schedule that can be evaluated.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// The ranges that begin on each weekday, from Monday on.
    weekly: [Vec<TimeRange>; 7],
    exceptions: BTreeMap<Date, Vec<TimeRange>>,
}

/// What a calendar says about an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it is open.
    pub open: bool,
    /// When that changes next. None: never.
    pub next_change: Option<Timestamp>,
}

/// One range on one date: open from `start`, closed from `end` on.
struct Opening {
    start: Timestamp,
    end: Timestamp,
}

impl Calendar {
    pub(crate) fn new(zone: TimeZone, weekly: [Vec<TimeRange>; 7], exceptions: BTreeMap<Date, Vec<TimeRange>>) -> Self {
        Self { zone, weekly, exceptions }
    }

    /// Whether it is open at this instant, and when that changes next.
    pub fn at(&self, instant: Timestamp) -> State {
        let open = self.is_open(instant);
        // A closed one changes where a range starts, an open one where a range ends that no other one covers. The dates come in their
        // order, and so do the starts. An end of a later date that comes before one of this date lies within a range of this date.
        let next_change = self.dates(self.date(instant)).into_iter().find_map(|date| {
            let openings = self.openings(date);
            let mut ends: Vec<Timestamp> =
                openings.map(|opening| if open { opening.end } else { opening.start }).collect();
            ends.sort_unstable();
            ends.into_iter().find(|end| *end > instant && self.is_open(*end) != open)
        });
        State { open, next_change }
    }

    fn is_open(&self, instant: Timestamp) -> bool {
        // Where clocks are set back over midnight, a range of the next date may have begun.
        let last = DAYS_BEFORE + 1;
        days(self.date(instant), last)
            .any(|date| self.openings(date).any(|Opening { start, end }| start <= instant && instant < end))
    }

    fn date(&self, instant: Timestamp) -> Date {
        self.zone.to_datetime(instant).date()
    }

    /// The dates on which a range may begin that brings the next change: those after `today` and after each later exception, until the
    /// week repeats itself.
    fn dates(&self, today: Date) -> BTreeSet<Date> {
        let first = first_day(today);
        let differing = self.exceptions.range(first..).map(|(date, _)| *date);
        std::iter::once(today).chain(differing).flat_map(|date| days(date, DAYS_BEFORE + REPEATED_DAYS)).collect()
    }

    /// The ranges that begin on this date, without those that the clocks skip.
    fn openings(&self, date: Date) -> impl Iterator<Item = Opening> {
        let weekday = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
        let ranges = self.exceptions.get(&date).unwrap_or(&self.weekly[weekday]);
        let openings = ranges.iter().filter_map(move |range| self.opening(date, *range));
        openings.filter(|opening| opening.start < opening.end)
    }

    /// None: it lies beyond the last date of the calendar.
    fn opening(&self, date: Date, TimeRange { start, end }: TimeRange) -> Option<Opening> {
        let last = if end <= start { date.tomorrow().ok()? } else { date };
        let instant = |date, minute| self.first_instant(datetime(date, minute)?);
        Some(Opening { start: instant(date, start)?, end: instant(last, end)? })
    }

    /// The first instant at which clocks show this time or a later one.
    fn first_instant(&self, time: DateTime) -> Option<Timestamp> {
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        let first = ambiguous.earlier().ok()?;
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => Some(first),
            // By the clock before the change it is too early: they show no such time before the change.
            AmbiguousOffset::Gap { .. } => {
                let changes = self.zone.following(first).map(|change| change.timestamp());
                changes.into_iter().find(|change| self.zone.to_datetime(*change) >= time)
            }
        }
    }
}

/// A minute of the date, of which the last one is the first one of the next date.
fn datetime(date: Date, minute: i32) -> Option<DateTime> {
    let date = if minute == MINUTES_OF_DAY { date.tomorrow().ok()? } else { date };
    let minute = minute % MINUTES_OF_DAY;
    let part = |number: i32| i8::try_from(number).ok();
    Some(date.at(part(minute / 60)?, part(minute % 60)?, 0, 0))
}

/// The first date on which a range can begin that goes on at this date.
fn first_day(date: Date) -> Date {
    (0..DAYS_BEFORE).fold(date, |date, _| date.yesterday().unwrap_or(date))
}

/// From [`first_day`] on, this date and more: up to `count` days after the first one.
fn days(date: Date, count: usize) -> impl Iterator<Item = Date> {
    successors(Some(first_day(date)), |date| date.tomorrow().ok()).take(count + 1)
}
