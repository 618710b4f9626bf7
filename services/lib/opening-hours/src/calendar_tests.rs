//! Cases that people meet: rule A4.

use jiff::Timestamp;

use crate::{DateException, Schedule, State, TimeRange, WeeklyRange};

const MONDAY: i32 = 1;
const SATURDAY: i32 = 6;
const SUNDAY: i32 = 7;

fn range(start: &str, end: &str) -> TimeRange {
    let minute = |time: &str| {
        let (hour, minute) = time.split_once(':').unwrap();
        hour.parse::<i32>().unwrap() * 60 + minute.parse::<i32>().unwrap()
    };
    TimeRange { start: minute(start), end: minute(end) }
}

/// The same range on these weekdays.
fn weekly(days: std::ops::RangeInclusive<i32>, start: &str, end: &str) -> Vec<WeeklyRange> {
    days.map(|weekday| WeeklyRange { weekday, range: range(start, end) }).collect()
}

fn schedule(time_zone: &str, weekly_ranges: Vec<WeeklyRange>) -> Schedule {
    Schedule { time_zone: time_zone.into(), weekly_ranges, exceptions: Vec::new() }
}

fn exception(date: &str, ranges: Vec<TimeRange>) -> DateException {
    DateException { date: date.into(), name: String::new(), ranges }
}

/// What the schedule says at an instant; the next change as text, empty for never.
fn at(schedule: &Schedule, instant: &str) -> (bool, String) {
    let State { open, next_change } = schedule.compile().unwrap().at(instant.parse().unwrap());
    (open, next_change.map(|change| change.to_string()).unwrap_or_default())
}

fn says(schedule: &Schedule, instant: &str, open: bool, next_change: &str) {
    assert_eq!(at(schedule, instant), (open, next_change.to_owned()), "at {instant}");
}

#[test]
fn a4_a_week_of_working_hours_opens_and_closes_in_its_zone() {
    let office = schedule("Europe/Rome", weekly(MONDAY..=5, "09:00", "18:00"));
    // Friday, in winter and in summer.
    says(&office, "2026-01-16T07:59:59Z", false, "2026-01-16T08:00:00Z");
    says(&office, "2026-01-16T08:00:00Z", true, "2026-01-16T17:00:00Z");
    says(&office, "2026-07-17T08:00:00Z", true, "2026-07-17T16:00:00Z");
    says(&office, "2026-01-16T17:00:00Z", false, "2026-01-19T08:00:00Z");
}

#[test]
fn a4_a_range_past_midnight_and_one_that_continues_it_are_one() {
    let night = schedule("UTC", weekly(MONDAY..=MONDAY, "22:00", "02:00"));
    says(&night, "2026-01-12T21:00:00Z", false, "2026-01-12T22:00:00Z");
    says(&night, "2026-01-13T01:59:00Z", true, "2026-01-13T02:00:00Z");
    let mut ranges = weekly(MONDAY..=MONDAY, "22:00", "24:00");
    ranges.extend(weekly(2..=2, "00:00", "06:00"));
    ranges.extend(weekly(2..=2, "05:00", "07:00"));
    says(&schedule("UTC", ranges), "2026-01-12T23:00:00Z", true, "2026-01-13T07:00:00Z");
    // From Sunday into Monday, and a whole day.
    let sunday = schedule("UTC", weekly(SUNDAY..=SUNDAY, "09:00", "09:00"));
    says(&sunday, "2026-01-12T00:00:00Z", true, "2026-01-12T09:00:00Z");
}

#[test]
fn a4_an_exception_replaces_the_ranges_that_begin_on_its_date() {
    let mut shop = schedule("Europe/Rome", weekly(MONDAY..=SATURDAY, "20:00", "02:00"));
    shop.exceptions = vec![
        exception("2026-12-25", Vec::new()),
        exception("2026-12-31", vec![range("12:00", "14:00"), range("22:00", "06:00")]),
    ];
    // Christmas is a Friday: the evening before goes on after midnight, and no range begins.
    says(&shop, "2026-12-24T23:30:00Z", true, "2026-12-25T01:00:00Z");
    says(&shop, "2026-12-25T01:00:00Z", false, "2026-12-26T19:00:00Z");
    says(&shop, "2026-12-31T00:00:00Z", true, "2026-12-31T01:00:00Z");
    says(&shop, "2026-12-31T12:00:00Z", true, "2026-12-31T13:00:00Z");
    says(&shop, "2026-12-31T23:00:00Z", true, "2027-01-01T05:00:00Z");
    // The week before Christmas is as every week.
    says(&shop, "2026-12-18T23:30:00Z", true, "2026-12-19T01:00:00Z");
}

#[test]
fn a4_what_never_changes_has_no_next_change_unless_an_exception_brings_one() {
    let never = schedule("Europe/Rome", Vec::new());
    says(&never, "2026-01-01T00:00:00Z", false, "");
    for (start, end) in [("00:00", "24:00"), ("09:00", "09:00")] {
        let always = schedule("Europe/Rome", weekly(MONDAY..=SUNDAY, start, end));
        for instant in ["2026-01-01T00:00:00Z", "2026-03-29T00:59:00Z", "2026-10-25T00:30:00Z"] {
            says(&always, instant, true, "");
        }
    }
    let mut always = schedule("UTC", weekly(MONDAY..=SUNDAY, "00:00", "24:00"));
    always.exceptions = vec![exception("2031-05-01", Vec::new()), exception("2025-05-01", Vec::new())];
    says(&always, "2026-01-01T00:00:00Z", true, "2031-05-01T00:00:00Z");
    says(&always, "2031-05-01T00:00:00Z", false, "2031-05-02T00:00:00Z");
    let mut never = schedule("UTC", Vec::new());
    never.exceptions = vec![exception("2031-05-01", vec![range("10:00", "11:00")])];
    says(&never, "2026-01-01T00:00:00Z", false, "2031-05-01T10:00:00Z");
    says(&never, "2031-05-01T11:00:00Z", false, "");
    // Weeks of closed days in a row.
    let mut holidays = schedule("UTC", weekly(MONDAY..=SUNDAY, "10:00", "11:00"));
    holidays.exceptions = (1..=30).map(|day| exception(&format!("2026-06-{day:02}"), Vec::new())).collect();
    says(&holidays, "2026-05-31T11:00:00Z", false, "2026-07-01T10:00:00Z");
}

#[test]
fn a4_a_time_that_clocks_skip_is_the_instant_of_the_change() {
    // On 29 March 2026 clocks in Rome go from 02:00 to 03:00, at 01:00 UTC.
    let zone = "Europe/Rome";
    let begins_within = schedule(zone, weekly(SUNDAY..=SUNDAY, "02:30", "05:00"));
    says(&begins_within, "2026-03-29T00:59:59Z", false, "2026-03-29T01:00:00Z");
    says(&begins_within, "2026-03-29T01:00:00Z", true, "2026-03-29T03:00:00Z");
    let ends_within = schedule(zone, weekly(SUNDAY..=SUNDAY, "01:00", "02:30"));
    says(&ends_within, "2026-03-29T00:30:00Z", true, "2026-03-29T01:00:00Z");
    let skipped = schedule(zone, weekly(SUNDAY..=SUNDAY, "02:10", "02:20"));
    says(&skipped, "2026-03-29T00:00:00Z", false, "2026-04-05T00:10:00Z");
}

#[test]
fn a4_a_time_that_clocks_show_twice_is_the_first_of_the_two_instants() {
    // On 25 October 2026 clocks in Rome go from 03:00 back to 02:00, at 01:00 UTC.
    let zone = "Europe/Rome";
    let begins_within = schedule(zone, weekly(SUNDAY..=SUNDAY, "02:30", "05:00"));
    says(&begins_within, "2026-10-25T00:29:00Z", false, "2026-10-25T00:30:00Z");
    says(&begins_within, "2026-10-25T01:10:00Z", true, "2026-10-25T04:00:00Z");
    let ends_within = schedule(zone, weekly(SUNDAY..=SUNDAY, "01:00", "02:30"));
    says(&ends_within, "2026-10-25T00:00:00Z", true, "2026-10-25T00:30:00Z");
    says(&ends_within, "2026-10-25T01:10:00Z", false, "2026-11-01T00:00:00Z");
    let until_three = schedule(zone, weekly(SUNDAY..=SUNDAY, "02:00", "03:00"));
    says(&until_three, "2026-10-25T00:00:00Z", true, "2026-10-25T02:00:00Z");
}

#[test]
fn a4_a_date_that_a_zone_skipped_has_no_opening_hours() {
    // Apia went from 29 December 2011 to the 31st, at 10:00 UTC.
    let apia = schedule("Pacific/Apia", weekly(MONDAY..=SUNDAY, "09:00", "17:00"));
    says(&apia, "2011-12-30T03:00:00Z", false, "2011-12-30T19:00:00Z");
    let night = schedule("Pacific/Apia", weekly(4..=4, "22:00", "04:00"));
    says(&night, "2011-12-30T09:00:00Z", true, "2011-12-30T10:00:00Z");
}

#[test]
fn a4_every_problem_of_a_schedule_is_named() {
    let mut wrong = schedule("Mars/Olympus", weekly(8..=8, "09:00", "18:00"));
    wrong.weekly_ranges.push(WeeklyRange { weekday: i32::MIN, range: TimeRange { start: -1, end: 0 } });
    wrong.exceptions = vec![
        exception("2026-02-30", Vec::new()),
        exception("2026-12-25", vec![TimeRange { start: 1440, end: 1441 }]),
        exception("2026-12-25", Vec::new()),
    ];
    let problems = wrong.compile().unwrap_err();
    let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "time_zone",
        "weekly_ranges[0].weekday",
        "weekly_ranges[1].weekday",
        "weekly_ranges[1].start_minute",
        "weekly_ranges[1].end_minute",
        "exceptions[0].date",
        "exceptions[1].ranges[0].start_minute",
        "exceptions[1].ranges[0].end_minute",
        "exceptions[2].date",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn a4_the_ends_of_time_have_a_state() {
    let calendar = schedule("Europe/Rome", weekly(MONDAY..=SUNDAY, "09:00", "18:00")).compile().unwrap();
    for instant in [Timestamp::MIN, Timestamp::MAX] {
        calendar.at(instant);
    }
}

#[test]
fn a_stored_schedule_is_read_again() {
    let mut stored = schedule("Europe/Rome", weekly(MONDAY..=SUNDAY, "09:00", "18:00"));
    stored.exceptions = vec![exception("2026-12-25", vec![range("10:00", "12:00")])];
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), stored);
}
