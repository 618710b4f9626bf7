//! Opening hours as people state them.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Calendar;

/// Number of minutes of a day on which no clock changes.
pub(crate) const MINUTES_OF_DAY: i32 = 24 * 60;

/// When something is open. Stored as JSON: add, never rename.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// IANA time zone of all dates and times of day.
    pub time_zone: String,
    /// Ranges of each week, in any order; they may overlap.
    pub weekly_ranges: Vec<WeeklyRange>,
    /// Dates that differ from their weekday, each once, in any order.
    pub exceptions: Vec<DateException>,
}

/// A range that begins on one weekday of each week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklyRange {
    /// The day on which it begins: 1 Monday to 7 Sunday.
    pub weekday: i32,
    /// The times of day.
    pub range: TimeRange,
}

/// A range of times of day, in minutes after midnight as clocks show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Its first minute: 0 to 1439.
    pub start: i32,
    /// The minute after its last one: 1 to 1440. Not after `start`: on the next day.
    pub end: i32,
}

/// A date on which other ranges begin than in each week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateException {
    /// Year, month and day: `2026-12-25`.
    pub date: String,
    /// Name of the date, for people. Empty: none.
    pub name: String,
    /// The ranges that begin on it. Empty: none does.
    pub ranges: Vec<TimeRange>,
}

/// What is wrong in a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field: `exceptions[2].date`.
    pub path: String,
    /// What the field must be.
    pub remedy: &'static str,
}

impl Schedule {
    /// The schedule in a form that can be evaluated, or all that is wrong in it.
    pub fn compile(&self) -> Result<Calendar, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut report = |path: String, remedy| problems.push(Problem { path, remedy });
        let zone = frontdesk_time_zone::parse(&self.time_zone);
        if zone.is_none() {
            report("time_zone".into(), "must be an IANA time zone such as Europe/Rome");
        }
        let mut weekly: [Vec<TimeRange>; 7] = Default::default();
        for (place, WeeklyRange { weekday, range }) in self.weekly_ranges.iter().enumerate() {
            let path = format!("weekly_ranges[{place}]");
            let day = usize::try_from(*weekday).ok().and_then(|day| day.checked_sub(1));
            match day.filter(|day| *day < weekly.len()) {
                Some(day) => weekly[day].push(*range),
                None => report(format!("{path}.weekday"), "must be a day of the week"),
            }
            check(*range, &path, &mut report);
        }
        let mut exceptions = BTreeMap::new();
        for (place, exception) in self.exceptions.iter().enumerate() {
            let path = format!("exceptions[{place}]");
            for (place, range) in exception.ranges.iter().enumerate() {
                check(*range, &format!("{path}.ranges[{place}]"), &mut report);
            }
            match exception.date.parse::<Date>() {
                Ok(date) if exceptions.insert(date, exception.ranges.clone()).is_none() => {}
                Ok(_) => report(format!("{path}.date"), "must not be in the list twice"),
                Err(_) => report(format!("{path}.date"), "must be a date of the calendar such as 2026-12-25"),
            }
        }
        match zone {
            Some(zone) if problems.is_empty() => Ok(Calendar::new(zone, weekly, exceptions)),
            _ => Err(problems),
        }
    }
}

fn check(range: TimeRange, path: &str, report: &mut impl FnMut(String, &'static str)) {
    if !(0..MINUTES_OF_DAY).contains(&range.start) {
        report(format!("{path}.start_minute"), "must be a minute of the day, 0 to 1439");
    }
    if !(1..=MINUTES_OF_DAY).contains(&range.end) {
        report(format!("{path}.end_minute"), "must be a minute of the day, 1 to 1440");
    }
}
