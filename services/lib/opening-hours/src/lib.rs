//! Opening hours: whether something is open at an instant, and when that changes next.
//!
//! A [`Schedule`] is what people state: ranges of each week and dates that differ, in a time zone. [`Schedule::compile`] checks it, and
//! [`Calendar::at`] evaluates it. Both are pure: no clock is read, and the time zones are those of `frontdesk-time-zone`.
//!
//! A range belongs to the date on which it begins. An exception replaces the ranges that begin on its date, so one that began on the day
//! before goes on after midnight. Where clocks are set forward, a time that they skip is the instant of the change; where they are set
//! back, a time that they show twice is the first of the two instants. So each range begins once and ends once.

mod calendar;
#[cfg(test)]
mod calendar_tests;
#[cfg(test)]
mod naive_tests;
mod proto;
mod schedule;

pub use calendar::{Calendar, State};
pub use schedule::{DateException, Problem, Schedule, TimeRange, WeeklyRange};
