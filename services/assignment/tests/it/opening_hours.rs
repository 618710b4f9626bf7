//! `OpeningHoursService`: rules A2, A4, C12, S2.

use std::collections::HashSet;

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{
        CreateOpeningHoursRequest, DateException, DeactivateAgentRequest, DeleteOpeningHoursRequest,
        GetOpeningHoursRequest, ListOpeningHoursRequest, OpeningHours, OpeningSchedule, TimeRange,
        UndeleteOpeningHoursRequest, UpdateOpeningHoursRequest, Weekday, WeeklyRange,
        opening_hours_service_client::OpeningHoursServiceClient,
    },
    event::v1::OpeningHoursChanged,
};
use frontdesk_testkit::{Calls, Mode, new_id};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::fixture::{Fixture, account, rejection};

frontdesk_testkit::on_both_modes! {
    a4_opening_hours_are_created_read_and_edited_as_a_whole,
    a4_a_schedule_that_cannot_be_evaluated_is_refused_with_all_that_is_wrong,
    a4_deleted_opening_hours_are_kept_and_come_back,
    a4_opening_hours_are_listed_by_name_in_pages_that_end_before_they_are_too_large,
    c12_twenty_creations_with_one_request_id_make_one,
    c12_a_repeated_edit_succeeds_with_its_old_etag_and_a_stale_one_is_rejected,
    c12_twenty_edits_of_one_etag_at_once_and_one_is_made,
    a2_an_agent_who_is_not_active_changes_no_opening_hours,
    s2_opening_hours_of_another_account_are_not_found,
}

type Service = OpeningHoursServiceClient<Calls>;

fn as_admin(service: &Fixture, account: AccountId) -> Service {
    OpeningHoursServiceClient::new(service.calls(account, CallerKind::Admin, "root"))
}

/// Calls of an agent whose role lets them change opening hours.
fn as_agent(service: &Fixture, account: AccountId, agent: &str) -> Service {
    let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = vec!["opening_hours.write".into()];
    OpeningHoursServiceClient::new(service.calls_with(account, CallerKind::Agent, agent, permit))
}

fn weekly(weekday: Weekday, start_minute: i32, end_minute: i32) -> WeeklyRange {
    WeeklyRange { weekday: weekday.into(), start_minute, end_minute }
}

fn exception(date: &str, ranges: Vec<TimeRange>) -> DateException {
    DateException { date: date.into(), name: "A holiday".into(), ranges }
}

fn schedule() -> OpeningSchedule {
    OpeningSchedule {
        time_zone: "Europe/Rome".into(),
        weekly_ranges: vec![weekly(Weekday::Monday, 540, 1_080), weekly(Weekday::Friday, 1_320, 120)],
        exceptions: vec![
            exception("2026-12-25", Vec::new()),
            exception("2026-12-31", vec![TimeRange { start_minute: 0, end_minute: 1_440 }]),
        ],
    }
}

fn new_hours(name: &str, request_id: &str) -> CreateOpeningHoursRequest {
    CreateOpeningHoursRequest { name: name.into(), schedule: Some(schedule()), request_id: request_id.into() }
}

async fn created(service: &Fixture, account: AccountId, name: &str) -> OpeningHours {
    let response = as_admin(service, account).create_opening_hours(new_hours(name, name)).await.unwrap();
    response.into_inner().opening_hours.unwrap()
}

async fn now(service: &Fixture, account: AccountId, hours: &OpeningHours) -> OpeningHours {
    let request = GetOpeningHoursRequest { opening_hours_id: hours.id.clone() };
    as_admin(service, account).get_opening_hours(request).await.unwrap().into_inner().opening_hours.unwrap()
}

fn rename(hours: &OpeningHours, name: &str, etag: &str) -> UpdateOpeningHoursRequest {
    UpdateOpeningHoursRequest {
        opening_hours_id: hours.id.clone(),
        name: Some(name.into()),
        etag: etag.into(),
        ..UpdateOpeningHoursRequest::default()
    }
}

async fn updated(service: &Fixture, account: AccountId, request: UpdateOpeningHoursRequest) -> OpeningHours {
    let response = as_admin(service, account).update_opening_hours(request).await.unwrap();
    response.into_inner().opening_hours.unwrap()
}

async fn events(service: &Fixture) -> usize {
    service.appended::<OpeningHoursChanged>().await.len()
}

async fn a4_opening_hours_are_created_read_and_edited_as_a_whole(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    let expected = OpeningHours {
        id: hours.id.clone(),
        name: "Office".into(),
        schedule: Some(schedule()),
        create_time: hours.create_time,
        update_time: hours.create_time,
        delete_time: None,
        version: 1,
        etag: hours.etag.clone(),
    };
    assert_eq!(hours, expected);
    assert_eq!(now(&service, here, &hours).await, hours);
    let other = OpeningSchedule { weekly_ranges: Vec::new(), exceptions: Vec::new(), ..schedule() };
    let request = UpdateOpeningHoursRequest {
        opening_hours_id: hours.id.clone(),
        schedule: Some(other.clone()),
        ..UpdateOpeningHoursRequest::default()
    };
    let edited = updated(&service, here, request).await;
    assert_eq!((edited.schedule.as_ref(), edited.name.as_str(), edited.version), (Some(&other), "Office", 2));
    assert!(edited.etag != hours.etag);
    assert_eq!(updated(&service, here, rename(&hours, "Shop", "")).await.schedule, Some(other));
    let event = OpeningHoursChanged { opening_hours_id: hours.id.clone() };
    assert_eq!(service.appended::<OpeningHoursChanged>().await, vec![event; 3]);
    // Another service reads them, as the conversation service does.
    let mut by_service = OpeningHoursServiceClient::new(service.calls(here, CallerKind::Service, "conversation"));
    let mut request = Request::new(GetOpeningHoursRequest { opening_hours_id: hours.id });
    request.metadata_mut().insert("x-frontdesk-account", here.to_string().parse().unwrap());
    request.metadata_mut().insert("x-frontdesk-actor", "service:conversation".parse().unwrap());
    assert!(by_service.get_opening_hours(request).await.is_ok());
}

async fn a4_a_schedule_that_cannot_be_evaluated_is_refused_with_all_that_is_wrong(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let refused = async |schedule: Option<OpeningSchedule>| {
        let request = CreateOpeningHoursRequest { schedule, ..new_hours("Office", "1") };
        let status = as_admin(&service, here).create_opening_hours(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let fields = status.get_details_bad_request().unwrap().field_violations;
        fields.into_iter().map(|field| field.field).collect::<Vec<_>>()
    };
    assert_eq!(refused(None).await, ["schedule"]);
    let beyond_the_rules = OpeningSchedule {
        time_zone: String::new(),
        weekly_ranges: vec![weekly(Weekday::Unspecified, 1_440, 0)],
        exceptions: vec![exception("Christmas", Vec::new())],
    };
    let fields: HashSet<String> = refused(Some(beyond_the_rules)).await.into_iter().collect();
    let expected = [
        "schedule.time_zone",
        "schedule.weekly_ranges[0].weekday",
        "schedule.weekly_ranges[0].start_minute",
        "schedule.weekly_ranges[0].end_minute",
        "schedule.exceptions[0].date",
    ];
    assert_eq!(fields, expected.map(str::to_owned).into());
    let without_meaning = OpeningSchedule {
        time_zone: "Mars/Olympus".into(),
        exceptions: vec![
            exception("2026-02-30", Vec::new()),
            exception("2026-12-25", Vec::new()),
            exception("2026-12-25", Vec::new()),
        ],
        ..schedule()
    };
    let fields = refused(Some(without_meaning)).await;
    assert_eq!(fields, ["schedule.time_zone", "schedule.exceptions[0].date", "schedule.exceptions[2].date"]);
    assert_eq!(events(&service).await, 0);
}

async fn a4_deleted_opening_hours_are_kept_and_come_back(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    let mut calls = as_admin(&service, here);
    let delete = DeleteOpeningHoursRequest { opening_hours_id: hours.id.clone() };
    let deleted = calls.delete_opening_hours(delete.clone()).await.unwrap().into_inner().opening_hours.unwrap();
    assert!(deleted.delete_time.is_some() && deleted.version == 2 && deleted.schedule == hours.schedule);
    let again = calls.delete_opening_hours(delete).await.unwrap().into_inner().opening_hours.unwrap();
    assert_eq!(again, deleted, "a repeat changes nothing");
    assert_eq!(now(&service, here, &hours).await, deleted);
    let refused = calls.update_opening_hours(rename(&hours, "Shop", "")).await.unwrap_err();
    assert_eq!(rejection(&refused), (Code::FailedPrecondition, "OPENING_HOURS_DELETED".into()));
    let mut listed = async |show_deleted| {
        let request = ListOpeningHoursRequest { show_deleted, ..ListOpeningHoursRequest::default() };
        calls.list_opening_hours(request).await.unwrap().into_inner().opening_hours.len()
    };
    assert_eq!((listed(false).await, listed(true).await), (0, 1));
    let undelete = UndeleteOpeningHoursRequest { opening_hours_id: hours.id.clone() };
    let mut calls = as_admin(&service, here);
    for _ in 0..2 {
        let open = calls.undelete_opening_hours(undelete.clone()).await.unwrap().into_inner().opening_hours.unwrap();
        assert!(open.delete_time.is_none() && open.version == 3, "{open:?}");
    }
    assert_eq!(events(&service).await, 3);
}

async fn a4_opening_hours_are_listed_by_name_in_pages_that_end_before_they_are_too_large(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    // About 160 KiB each.
    let exceptions = (0..200).map(|day| DateException {
        name: "\u{1F384}".repeat(200),
        ..exception(&format!("20{:02}-{:02}-01", 27 + day / 12, 1 + day % 12), Vec::new())
    });
    let large = OpeningSchedule { exceptions: exceptions.collect(), ..schedule() };
    for name in ["j", "b", "h", "d", "f", "e", "g", "c", "i", "a"] {
        let request = CreateOpeningHoursRequest { schedule: Some(large.clone()), ..new_hours(name, name) };
        as_admin(&service, here).create_opening_hours(request).await.unwrap();
    }
    let (mut names, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = ListOpeningHoursRequest { page_token, ..ListOpeningHoursRequest::default() };
        let page = as_admin(&service, here).list_opening_hours(request).await.unwrap().into_inner();
        names.extend(page.opening_hours.into_iter().map(|hours| hours.name));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    assert!(pages > 1, "{pages}");
}

async fn c12_twenty_creations_with_one_request_id_make_one(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let mut creations = JoinSet::new();
    for _ in 0..20 {
        let mut calls = as_admin(&service, here);
        creations.spawn(async move { calls.create_opening_hours(new_hours("Office", "once")).await });
    }
    let made = creations.join_all().await.into_iter().map(|answer| answer.unwrap().into_inner().opening_hours.unwrap());
    let ids: HashSet<String> = made.map(|hours| hours.id).collect();
    assert_eq!((ids.len(), events(&service).await), (1, 1));
    let other = as_admin(&service, here).create_opening_hours(new_hours("Shop", "once")).await.unwrap_err();
    assert_eq!(rejection(&other), (Code::FailedPrecondition, "REQUEST_ID_REUSED".into()));
}

async fn c12_a_repeated_edit_succeeds_with_its_old_etag_and_a_stale_one_is_rejected(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    assert_eq!(updated(&service, here, rename(&hours, "Office", "0")).await, hours);
    let renamed = updated(&service, here, rename(&hours, "Shop", &hours.etag)).await;
    assert_eq!(updated(&service, here, rename(&hours, "Shop", &hours.etag)).await, renamed);
    let stale = as_admin(&service, here).update_opening_hours(rename(&hours, "Store", &hours.etag)).await.unwrap_err();
    assert_eq!(rejection(&stale), (Code::Aborted, "ETAG_MISMATCH".into()));
    assert_eq!(events(&service).await, 2);
}

async fn c12_twenty_edits_of_one_etag_at_once_and_one_is_made(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    let mut edits = JoinSet::new();
    for number in 0..20 {
        let (mut calls, request) = (as_admin(&service, here), rename(&hours, &format!("Office {number}"), &hours.etag));
        edits.spawn(async move { calls.update_opening_hours(request).await });
    }
    let (made, rejected): (Vec<_>, Vec<_>) = edits.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((made.len(), rejected.len(), events(&service).await), (1, 19, 2));
    for rejected in rejected {
        assert_eq!(rejection(&rejected.unwrap_err()), (Code::Aborted, "ETAG_MISMATCH".into()));
    }
}

async fn a2_an_agent_who_is_not_active_changes_no_opening_hours(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    let (ada, gone) = (service.agent(here, "ada").await, service.agent(here, "gone").await);
    service.roster(here).deactivate_agent(DeactivateAgentRequest { agent_id: gone.id.clone() }).await.unwrap();
    let stranger: Uuid = new_id();
    let opening_hours_id = hours.id.clone();
    for (agent, reason) in [(gone.id, "AGENT_DEACTIVATED"), (stranger.to_string(), "NOT_ON_ROSTER")] {
        let mut calls = as_agent(&service, here, &agent);
        let delete = DeleteOpeningHoursRequest { opening_hours_id: opening_hours_id.clone() };
        let undelete = UndeleteOpeningHoursRequest { opening_hours_id: opening_hours_id.clone() };
        let refused: [Result<(), Status>; 4] = [
            calls.create_opening_hours(new_hours("Mine", "1")).await.map(drop),
            calls.update_opening_hours(rename(&hours, "Mine", "")).await.map(drop),
            calls.delete_opening_hours(delete).await.map(drop),
            calls.undelete_opening_hours(undelete).await.map(drop),
        ];
        for refused in refused {
            assert_eq!(rejection(&refused.unwrap_err()), (Code::FailedPrecondition, reason.into()));
        }
    }
    as_agent(&service, here, &ada.id).update_opening_hours(rename(&hours, "Ours", "")).await.unwrap();
    assert_eq!(events(&service).await, 2);
}

async fn s2_opening_hours_of_another_account_are_not_found(mode: Mode) {
    let service = Fixture::start(mode).await;
    let here = account();
    let hours = created(&service, here, "Office").await;
    let mut elsewhere = as_admin(&service, account());
    let opening_hours_id = hours.id.clone();
    let get = GetOpeningHoursRequest { opening_hours_id: opening_hours_id.clone() };
    let delete = DeleteOpeningHoursRequest { opening_hours_id: opening_hours_id.clone() };
    let undelete = UndeleteOpeningHoursRequest { opening_hours_id };
    let refused: [Result<(), Status>; 4] = [
        elsewhere.get_opening_hours(get).await.map(drop),
        elsewhere.update_opening_hours(rename(&hours, "Theirs", "")).await.map(drop),
        elsewhere.delete_opening_hours(delete).await.map(drop),
        elsewhere.undelete_opening_hours(undelete).await.map(drop),
    ];
    for refused in refused {
        assert_eq!(rejection(&refused.unwrap_err()), (Code::NotFound, "NOT_FOUND".into()));
    }
    let listed = elsewhere.list_opening_hours(ListOpeningHoursRequest::default()).await.unwrap().into_inner();
    assert!(listed.opening_hours.is_empty());
    assert_eq!(now(&service, here, &hours).await, hours);
}
