//! Mails to agents, and their preferences: rule N4.

use std::time::Duration;

use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    actor::v1::{Actor, ActorKind},
    assignment::v1::{Agent, GetAgentRequest, GetAgentResponse},
    event::v1::{AssigneeChanged, CommentPosted},
    notification::v1::{
        Delivery, DeliveryKind, DeliveryStatus, GetNotificationPreferencesRequest, NotificationPreferences,
        SetNotificationPreferencesRequest,
    },
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason};
use tonic::{Request, Status};
use uuid::Uuid;

use crate::{
    chat::recipient_and_text,
    fixture::{Account, Fixture, agent},
};

on_both_modes!(
    n4_an_agent_is_mailed_a_link_when_a_comment_mentions_them,
    n4_what_follows_within_ten_minutes_is_in_one_further_mail,
    n4_an_assignment_is_mailed_unless_the_agent_made_it,
    n4_an_agent_sets_what_they_are_mailed,
    n4_twenty_mentions_at_once_are_in_two_mails_at_most_and_counted_once,
    n4_an_agent_without_an_address_or_deactivated_is_mailed_nothing,
    n4_without_an_inbox_agents_are_mailed_nothing,
);

async fn start(mode: Mode) -> Fixture {
    let settings =
        NotificationSettings { inbox_url: "https://inbox.example/{conversation_id}".into(), ..Default::default() };
    let fixture = Fixture::start_with(mode, settings).await;
    fixture.service.fake.on(|request: Request<GetAgentRequest>| {
        let id = request.get_ref().agent_id.clone();
        let email = format!("{id}@team.example");
        Ok(GetAgentResponse { agent: Some(Agent { id, email, ..Agent::default() }) })
    });
    fixture
}

fn by(agent: &str) -> Option<Actor> {
    Some(Actor { kind: ActorKind::Agent.into(), id: agent.into(), name: "secret name".into() })
}

async fn mention(fixture: &Fixture, conversation: Uuid, author: &str, mentioned: &[&str]) {
    let posted = CommentPosted {
        conversation_id: conversation.to_string(),
        sequence: 1,
        author: by(author),
        mentioned_agent_ids: mentioned.iter().map(|id| (*id).to_owned()).collect(),
    };
    fixture.service.publish("conversation", fixture.account.id, &posted).await;
    fixture.service.settled().await;
}

async fn assign(fixture: &Fixture, conversation: Uuid, to: &str, by_agent: &str) {
    let changed = AssigneeChanged {
        conversation_id: conversation.to_string(),
        epoch: 2,
        new_owner: by(to),
        by: by(by_agent),
        ..AssigneeChanged::default()
    };
    fixture.service.publish("conversation", fixture.account.id, &changed).await;
    fixture.service.settled().await;
}

/// The deliveries to agents, newest first.
async fn notices(account: &Account) -> Vec<Delivery> {
    let all = account.list_deliveries().await;
    all.into_iter().filter(|delivery| delivery.kind() == DeliveryKind::AgentNotice).collect()
}

async fn set(account: &Account, mentions: Option<bool>, assignments: Option<bool>) -> NotificationPreferences {
    let request = SetNotificationPreferencesRequest { mentions, assignments };
    account.preferences().set_notification_preferences(request).await.unwrap().into_inner().preferences.unwrap()
}

async fn n4_an_agent_is_mailed_a_link_when_a_comment_mentions_them(mode: Mode) {
    let fixture = start(mode).await;
    let (conversation, ada, bob) = (new_id(), fixture.account.agent_id.clone(), new_id().to_string());
    // Bob mentions Ada and himself.
    mention(&fixture, conversation, &bob, &[&ada, &bob]).await;
    let queued = notices(&fixture.account).await;
    assert_eq!(queued.len(), 1, "nobody is mailed what they did");
    let sent = fixture.account.wait_for_status(&queued[0].id, DeliveryStatus::Sent).await;
    assert_eq!((sent.conversation_id.as_str(), sent.contact_id.as_str()), ("", ""));
    let mail = fixture.mail(&sent.id);
    let (recipient, text) = recipient_and_text(&mail);
    assert_eq!(recipient, format!("{ada}@team.example"));
    assert!(text.contains(&format!("<https://inbox.example/{conversation}>")), "{text}");
    assert!(text.contains("A comment mentions you.") && !text.contains("assigned"), "{text}");
    assert!(!mail.contains("secret"), "{mail}");
}

async fn n4_what_follows_within_ten_minutes_is_in_one_further_mail(mode: Mode) {
    let fixture = start(mode).await;
    let (conversation, ada, bob) = (new_id(), fixture.account.agent_id.clone(), new_id().to_string());
    mention(&fixture, conversation, &bob, &[&ada]).await;
    let first = notices(&fixture.account).await.swap_remove(0);
    fixture.account.wait_for_status(&first.id, DeliveryStatus::Sent).await;
    for _ in 0..2 {
        mention(&fixture, conversation, &bob, &[&ada]).await;
    }
    assign(&fixture, conversation, &ada, &bob).await;
    let waiting = notices(&fixture.account).await;
    assert_eq!(waiting.len(), 2, "the second mail waits");
    assert_eq!(waiting[0].status(), DeliveryStatus::Queued);
    // Of another conversation the first is mailed at once.
    mention(&fixture, new_id(), &bob, &[&ada]).await;
    let other = notices(&fixture.account).await.swap_remove(0);
    fixture.account.wait_for_status(&other.id, DeliveryStatus::Sent).await;
    fixture.service.clock.advance(Duration::from_secs(601)).unwrap();
    fixture.account.wait_for_status(&waiting[0].id, DeliveryStatus::Sent).await;
    let text = recipient_and_text(&fixture.mail(&waiting[0].id)).1;
    assert!(text.contains("2 comments mention you.") && text.contains("was assigned to you."), "{text}");
}

async fn n4_an_assignment_is_mailed_unless_the_agent_made_it(mode: Mode) {
    let fixture = start(mode).await;
    let (ada, bob) = (fixture.account.agent_id.clone(), new_id().to_string());
    assign(&fixture, new_id(), &ada, &ada).await;
    assert!(notices(&fixture.account).await.is_empty(), "a conversation that they took");
    assign(&fixture, new_id(), &ada, &bob).await;
    let queued = notices(&fixture.account).await;
    assert_eq!(queued.len(), 1);
    fixture.account.wait_for_status(&queued[0].id, DeliveryStatus::Sent).await;
}

async fn n4_an_agent_sets_what_they_are_mailed(mode: Mode) {
    let fixture = start(mode).await;
    let (ada, bob) = (fixture.account.agent_id.clone(), new_id().to_string());
    let get = async || {
        let request = GetNotificationPreferencesRequest {};
        let mut preferences = fixture.account.preferences();
        preferences.get_notification_preferences(request).await.unwrap().into_inner().preferences.unwrap()
    };
    let of = |mentions, assignments| NotificationPreferences { mentions, assignments };
    assert_eq!(get().await, of(true, true));
    for _ in 0..2 {
        assert_eq!(set(&fixture.account, Some(false), None).await, of(false, true), "again changes nothing");
    }
    assert_eq!(get().await, of(false, true));
    mention(&fixture, new_id(), &bob, &[&ada]).await;
    assert!(notices(&fixture.account).await.is_empty());
    assert_eq!(set(&fixture.account, Some(true), Some(false)).await, of(true, false));
    assign(&fixture, new_id(), &ada, &bob).await;
    assert!(notices(&fixture.account).await.is_empty());
    mention(&fixture, new_id(), &bob, &[&ada]).await;
    assert_eq!(notices(&fixture.account).await.len(), 1);
    // They are those of one agent of one account.
    assert_eq!(set(&fixture.colleagues(), None, None).await, of(true, true));

    fixture.service.fake.on(|request: Request<GetAgentRequest>| Ok(agent(&request.get_ref().agent_id, false)));
    let request = SetNotificationPreferencesRequest::default();
    let refused = fixture.account.preferences().set_notification_preferences(request).await.unwrap_err();
    assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
}

async fn n4_twenty_mentions_at_once_are_in_two_mails_at_most_and_counted_once(mode: Mode) {
    let fixture = start(mode).await;
    let (conversation, ada, bob) = (new_id(), fixture.account.agent_id.clone(), new_id().to_string());
    let events: Vec<CommentPosted> = (1..=20)
        .map(|sequence| CommentPosted {
            conversation_id: conversation.to_string(),
            sequence,
            author: by(&bob),
            mentioned_agent_ids: vec![ada.clone()],
        })
        .collect();
    let publish = |event| fixture.service.publish("conversation", fixture.account.id, event);
    futures::future::join_all(events.iter().map(publish)).await;
    fixture.service.settled().await;
    let queued = notices(&fixture.account).await;
    assert!((1..=2).contains(&queued.len()), "{queued:?}");
    fixture.service.clock.advance(Duration::from_secs(601)).unwrap();
    let mut mentions = 0;
    for delivery in queued {
        fixture.account.wait_for_status(&delivery.id, DeliveryStatus::Sent).await;
        let text = recipient_and_text(&fixture.mail(&delivery.id)).1;
        let line = text.lines().find(|line| line.contains("you.")).unwrap().to_owned();
        mentions += line.split(' ').next().unwrap().parse::<i32>().unwrap_or(1);
    }
    assert_eq!(mentions, 20);
}

async fn n4_an_agent_without_an_address_or_deactivated_is_mailed_nothing(mode: Mode) {
    let fixture = start(mode).await;
    let (ada, bob) = (fixture.account.agent_id.clone(), new_id().to_string());
    for answer in 0..3 {
        fixture.service.fake.on(move |request: Request<GetAgentRequest>| match answer {
            0 => Ok(agent(&request.get_ref().agent_id, true)),
            1 => Ok(agent(&request.get_ref().agent_id, false)),
            _ => Err::<GetAgentResponse, _>(Status::not_found("no such agent")),
        });
        mention(&fixture, new_id(), &bob, &[&ada]).await;
        let delivery = notices(&fixture.account).await.swap_remove(0);
        let failed = fixture.account.wait_for_status(&delivery.id, DeliveryStatus::Failed).await;
        assert!(failed.failure.contains("address"), "{failed:?}");
    }
    assert!(fixture.mailbox().is_empty());
}

async fn n4_without_an_inbox_agents_are_mailed_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let ada = fixture.account.agent_id.clone();
    mention(&fixture, new_id(), &new_id().to_string(), &[&ada]).await;
    assign(&fixture, new_id(), &ada, &new_id().to_string()).await;
    assert!(notices(&fixture.account).await.is_empty());
}
