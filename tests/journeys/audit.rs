//! The audit log: every administrative call leaves one record, or is refused.

use std::{collections::BTreeSet, time::Duration};

use frontdesk::{Service, connect_databases};
use frontdesk_audit::Record;
use frontdesk_auth::{AccessMap, CallerKind};
use frontdesk_db::Db;
use frontdesk_proto::{
    assignment::v1::{
        CreateAgentRequest, DeactivateAgentRequest, ListAgentsRequest, UpdateAgentRequest,
        roster_service_client::RosterServiceClient,
    },
    conversation::v1::{
        CreateChannelRequest, NoGreeter, channel_service_client::ChannelServiceClient, create_channel_request::Greeter,
    },
    notification::v1::{CreateSenderRequest, VerifySenderRequest, sender_service_client::SenderServiceClient},
};
use frontdesk_tests::{Account, Mode, TestSuite, call_raw, new_id, reason, request_id};
use sea_orm::ConnectionTrait;
use tonic::{Code, Request};
use uuid::Uuid;

use crate::distributed::{frontdesk, text_of};

const HOUR: Duration = Duration::from_secs(3600);

async fn databases(suite: &TestSuite) -> Vec<Db> {
    let all = connect_databases(&suite.settings, &Service::ALL, &suite.clock).await.unwrap();
    all.into_iter().map(|(_, db)| db).collect()
}

/// Records of the account in all services, oldest first.
async fn records(databases: &[Db], account: &Account) -> Vec<Record> {
    let mut records = Vec::new();
    for db in databases {
        records.extend(frontdesk_audit::list(db, account.id, HOUR, 1_000).await.unwrap());
    }
    records.sort_by_key(|record| record.id);
    records
}

/// Actor, method and outcome of each record.
fn outcomes(records: &[Record]) -> Vec<(&str, &str, &str)> {
    records
        .iter()
        .map(|record| {
            let method = record.method.rsplit('/').next().unwrap();
            (record.actor.as_str(), method, record.outcome.as_deref().unwrap_or("?"))
        })
        .collect()
}

fn agent(id: Uuid) -> CreateAgentRequest {
    CreateAgentRequest {
        agent_id: id.to_string(),
        name: "CANARY Lovelace".into(),
        handle: format!("canary{}", &id.simple().to_string()[20..]),
        email: "canary@example.com".into(),
        request_id: request_id(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_administrative_call_leaves_one_record_with_its_outcome_and_no_content() {
    let suite = TestSuite::start().await;
    let (account, other) = (suite.account().await, suite.account().await);
    let mut roster = RosterServiceClient::new(account.admin());
    let create = CreateAgentRequest { agent_id: String::new(), ..agent(new_id()) };
    let id = roster.create_agent(create.clone()).await.unwrap().into_inner().agent.unwrap().id;
    roster.list_agents(ListAgentsRequest::default()).await.unwrap();
    // Refusals for a field, for a state, and for a missing permission are recorded too.
    let nameless = CreateAgentRequest { name: String::new(), agent_id: "CANARY, not an id".into(), ..create.clone() };
    let taken = CreateAgentRequest { email: String::new(), request_id: request_id(), ..create };
    assert_eq!(roster.create_agent(nameless).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(reason(&roster.create_agent(taken).await.unwrap_err()), "HANDLE_TAKEN");
    let unprivileged = account.with_claims(CallerKind::Agent, &id, |_| {});
    let deactivate = DeactivateAgentRequest { agent_id: id.clone() };
    let refused = RosterServiceClient::new(unprivileged).deactivate_agent(deactivate.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let anonymous =
        RosterServiceClient::new(account.without_token()).deactivate_agent(deactivate.clone()).await.unwrap_err();
    assert_eq!(anonymous.code(), Code::Unauthenticated);
    let path = "/frontdesk.assignment.v1.RosterService/UpdateAgent";
    assert_eq!(
        call_raw(&account.admin(), path, Request::new(vec![0xff; 40])).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let absent = RosterServiceClient::new(other.admin()).deactivate_agent(deactivate).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);

    let databases = databases(&suite).await;
    let (ours, theirs) = (records(&databases, &account).await, records(&databases, &other).await);
    let by_agent = format!("agent:{id}");
    let expected = [
        ("admin:administrator", "CreateAgent", "OK"),
        ("admin:administrator", "CreateAgent", "INVALID_ARGUMENT INVALID_FIELDS"),
        ("admin:administrator", "CreateAgent", "ALREADY_EXISTS HANDLE_TAKEN"),
        (by_agent.as_str(), "DeactivateAgent", "PERMISSION_DENIED NOT_PERMITTED"),
        ("admin:administrator", "UpdateAgent", "INVALID_ARGUMENT INVALID_FIELDS"),
    ];
    assert_eq!(outcomes(&ours), expected);
    assert_eq!(ours[0].resources["agent_id"].to_string(), id, "the record holds the id of the new agent");
    assert_eq!(ours[0].method, "frontdesk.assignment.v1.RosterService/CreateAgent");
    assert_eq!(outcomes(&theirs), [("admin:administrator", "DeactivateAgent", "NOT_FOUND NOT_FOUND")]);
    assert!(!format!("{ours:?}").to_lowercase().contains("canary"), "{ours:?}");
}

#[tokio::test]
async fn every_service_keeps_its_own_audit_records_and_none_holds_a_mailed_code() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let channel = CreateChannelRequest {
        name: "CANARY".into(),
        website_url: "https://canary.example/".into(),
        greeter: Some(Greeter::NoGreeter(NoGreeter {})),
        request_id: request_id(),
        ..Default::default()
    };
    let channel = ChannelServiceClient::new(account.admin()).create_channel(channel).await.unwrap().into_inner();
    let mut senders = SenderServiceClient::new(account.admin());
    let sender = CreateSenderRequest {
        email: "canary@shop.example".into(),
        display_name: "CANARY".into(),
        request_id: request_id(),
    };
    let sender = senders.create_sender(sender).await.unwrap().into_inner().sender.unwrap();
    let wrong = VerifySenderRequest { sender_id: sender.id.clone(), code: "00000000".into() };
    assert_eq!(reason(&senders.verify_sender(wrong).await.unwrap_err()), "CODE_WRONG");
    account.bot().await;

    let databases = databases(&suite).await;
    let all = records(&databases, &account).await;
    let admin = "admin:administrator";
    let expected = [
        (admin, "CreateChannel", "OK"),
        (admin, "CreateSender", "OK"),
        (admin, "VerifySender", "FAILED_PRECONDITION CODE_WRONG"),
        (admin, "CreateBot", "OK"),
    ];
    assert_eq!(outcomes(&all), expected);
    assert_eq!(all[0].resources["channel_id"].to_string(), channel.channel.unwrap().id);
    assert_eq!(all[2].resources["sender_id"].to_string(), sender.id);
    let text = format!("{all:?}").to_lowercase();
    assert!(!text.contains("canary") && !text.contains("00000000\""), "{text}");
    let kept: Vec<usize> = futures::future::join_all(
        databases.iter().map(|db| async { frontdesk_audit::list(db, account.id, HOUR, 10).await.unwrap().len() }),
    )
    .await;
    assert_eq!(kept, [1, 0, 1, 2], "conversation, assignment, bot-session, notification");
}

#[tokio::test]
async fn a_call_that_cannot_be_recorded_is_refused_and_changes_nothing() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let databases = databases(&suite).await;
    let mut roster = RosterServiceClient::new(account.admin());
    let id = new_id();
    roster.create_agent(agent(id)).await.unwrap();
    let tx = databases[1].begin().await.unwrap();
    tx.conn().execute_unprepared("DROP TABLE audit_records").await.unwrap();
    tx.commit().await.unwrap();

    let update = UpdateAgentRequest { agent_id: id.to_string(), name: Some("Other".into()), ..Default::default() };
    for status in [
        roster.create_agent(agent(new_id())).await.unwrap_err(),
        roster.update_agent(update).await.unwrap_err(),
        roster.deactivate_agent(DeactivateAgentRequest { agent_id: id.to_string() }).await.unwrap_err(),
    ] {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "UNAVAILABLE"), "{status:?}");
    }
    let agents = roster.list_agents(ListAgentsRequest::default()).await.unwrap().into_inner().agents;
    assert_eq!((agents.len(), agents[0].name.as_str(), agents[0].deactivate_time), (1, "CANARY Lovelace", None));
    // A caller without the permission does not learn of the failure.
    let visitor = RosterServiceClient::new(account.visitor("v"))
        .deactivate_agent(DeactivateAgentRequest { agent_id: id.to_string() })
        .await
        .unwrap_err();
    assert_eq!(visitor.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn the_audit_command_lists_records_of_all_services_newest_first() {
    let suite = TestSuite::start_on(Mode::Embedded, |_| {}).await;
    let account = suite.account().await;
    let (ada, _) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    suite.account().await.agent("Eve").await;
    let id = account.id.to_string();
    let of = |more: &[&str]| {
        [&["audit", "--account", id.as_str()], more].concat().iter().map(|word| word.to_string()).collect::<Vec<_>>()
    };
    let run = async |more: &[&str]| {
        let words = of(more);
        frontdesk(&suite.settings, &words.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    let listed = run(&["--json"]).await;
    assert!(listed.status.success(), "{}", text_of(&listed));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(listed.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed_records: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (text("service"), text("method"), text("outcome"))
        })
        .collect();
    let expected = [
        ("conversation", "frontdesk.conversation.v1.ChannelService/CreateChannel", "OK"),
        ("assignment", "frontdesk.assignment.v1.RosterService/CreateAgent", "OK"),
    ];
    assert_eq!(listed_records, expected);
    assert_eq!(
        (&lines[0]["resources"]["channel_id"], &lines[1]["resources"]["agent_id"]),
        (&channel.into(), &ada.to_string().into())
    );

    let one = text_of(&run(&["--limit", "1"]).await);
    assert!(one.contains("CreateChannel  OK") && !one.contains("CreateAgent"), "{one}");
    let none = text_of(&frontdesk(&suite.settings, &["audit", "--account", &Uuid::nil().to_string()]).await);
    assert!(none.contains("There are no records"), "{none}");
    let mut elsewhere = suite.settings.clone();
    elsewhere.data_folder = suite.folder.path().join("absent");
    let absent = frontdesk(&elsewhere, &["audit", "--account", &id]).await;
    assert!(!absent.status.success() && text_of(&absent).contains("there is no database"), "{}", text_of(&absent));
    assert!(!elsewhere.data_folder.exists());
}

#[test]
fn administrative_methods_are_audited_and_no_others() {
    let access = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
    let audited: BTreeSet<&str> = access
        .iter()
        .filter(|(_, access)| access.audited())
        .map(|(path, _)| path.trim_start_matches("/frontdesk."))
        .collect();
    let expected = BTreeSet::from([
        "assignment.v1.AvailabilityService/SetAgentAvailability",
        "assignment.v1.OpeningHoursService/CreateOpeningHours",
        "assignment.v1.OpeningHoursService/DeleteOpeningHours",
        "assignment.v1.OpeningHoursService/UndeleteOpeningHours",
        "assignment.v1.OpeningHoursService/UpdateOpeningHours",
        "assignment.v1.RosterService/CreateAgent",
        "assignment.v1.RosterService/DeactivateAgent",
        "assignment.v1.RosterService/ReactivateAgent",
        "assignment.v1.RosterService/UpdateAgent",
        "assignment.v1.RoutingPolicyService/CreateRoutingPolicy",
        "assignment.v1.RoutingPolicyService/DeleteRoutingPolicy",
        "assignment.v1.RoutingPolicyService/UndeleteRoutingPolicy",
        "assignment.v1.RoutingPolicyService/UpdateRoutingPolicy",
        "assignment.v1.TeamService/AddTeamMembers",
        "assignment.v1.TeamService/CreateTeam",
        "assignment.v1.TeamService/DeleteTeam",
        "assignment.v1.TeamService/RemoveTeamMembers",
        "assignment.v1.TeamService/UndeleteTeam",
        "assignment.v1.TeamService/UpdateTeam",
        "botsession.v1.BotService/CreateBot",
        "botsession.v1.BotService/DeleteBot",
        "botsession.v1.BotService/UndeleteBot",
        "botsession.v1.BotService/UpdateBot",
        "conversation.v1.AccountJobService/CancelAccountEnd",
        "conversation.v1.AccountJobService/CreateAccountExportLink",
        "conversation.v1.AccountJobService/EndAccount",
        "conversation.v1.ChannelService/CreateChannel",
        "conversation.v1.ChannelService/DeleteChannel",
        "conversation.v1.ChannelService/RotateVisitorKey",
        "conversation.v1.ChannelService/UndeleteChannel",
        "conversation.v1.ChannelService/UpdateChannel",
        "conversation.v1.ContactJobService/CreateContactExportLink",
        "conversation.v1.ContactJobService/EraseContact",
        "conversation.v1.ContactJobService/ExportContact",
        "conversation.v1.ContactService/MergeContacts",
        "conversation.v1.ConversationService/StartConversation",
        "conversation.v1.SettingsService/UpdateSettings",
        "dev.v1.ClockService/AdvanceTime",
        "notification.v1.SenderService/CreateSender",
        "notification.v1.SenderService/DeleteSender",
        "notification.v1.SenderService/SetFallbackSender",
        "notification.v1.SenderService/UpdateSender",
        "notification.v1.SenderService/VerifySender",
        "notification.v1.SuppressionService/CreateSuppression",
        "notification.v1.SuppressionService/DeleteSuppression",
        "notification.v1.SuppressionService/ReportBounce",
        "notification.v1.TemplateService/DeleteTranscriptTemplate",
        "notification.v1.TemplateService/UpdateTranscriptTemplate",
        "notification.v1beta1.WebhookService/CreateWebhookEndpoint",
        "notification.v1beta1.WebhookService/DeleteWebhookEndpoint",
        "notification.v1beta1.WebhookService/ReplayWebhookDeliveries",
        "notification.v1beta1.WebhookService/ReplayWebhookDelivery",
        "notification.v1beta1.WebhookService/RotateWebhookSecret",
        "notification.v1beta1.WebhookService/TestWebhookEndpoint",
        "notification.v1beta1.WebhookService/UpdateWebhookEndpoint",
    ]);
    assert_eq!(audited, expected);
    // Methods with these permissions are for administrators. A new one must be audited.
    for (path, access) in access.iter() {
        let of_administrators = [
            "channels.write",
            "bots.write",
            "roster.write",
            "senders.write",
            "opening_hours.write",
            "routing.write",
            "settings.write",
            "contacts.erase",
            "contacts.export",
            "suppressions.write",
            "templates.write",
            "webhooks.write",
        ];
        assert!(access.audited() || !of_administrators.contains(&access.permission()), "{path} is not audited");
    }
}
