//! Ids of another account, in every field of every method.

use std::collections::BTreeSet;

use frontdesk_tests::{
    TestSuite, call_raw,
    fixture::{Declared, Fixture, dotted, methods, strings, with},
    new_id, request_id,
};
use prost_reflect::{DynamicMessage, ReflectMessage, Value, prost::Message};
use tonic::Code;

use super::{
    NOT_RESOURCES,
    comparable::{Comparable, comparable},
    is_id,
};

/// Fields whose unknown ids are accepted: filters that match nothing, and ids that the calling service
/// has checked.
const NOT_LOOKED_UP: &[&str] = &[
    // Copies by id; the calling service has checked them.
    "ApplyAgent.agent_id",
    "ApplyBot.bot_id",
    // The calling service has checked the chat.
    "MailAddressCode.conversation_id",
    // The calling service has checked the agent, the routing policy or the team.
    "ChangeAssignee.agent_id",
    "ChangeAssignees.changes.agent_id",
    "HandOffConversation.agent_id",
    "HandOffConversation.routing_policy_id",
    "HandOffConversation.team_id",
    // The message goes without it.
    "PostBotMessage.insert_ids",
    // The response has an outcome for each.
    "ChangeAssignees.changes.conversation_id",
    "CloseIdleConversations.conversations.account_id",
    "CloseIdleConversations.conversations.bot_session_id",
    "CloseIdleConversations.conversations.conversation_id",
    // The response leaves them out.
    "CreateAttachmentLinks.attachment_ids",
    "GetQueuePlaces.conversation_ids",
    // Chosen by the account; the same id in another account is another agent.
    "CreateAgent.agent_id",
    // The response has a problem for it.
    "ValidateFlow.flow.steps.branch.cases.conditions.opening_hours.opening_hours_id",
    "ValidateFlow.flow.steps.hand_off.agent_id",
    "ValidateFlow.flow.steps.hand_off.routing_policy_id",
    "ValidateFlow.flow.steps.hand_off.team_id",
    "ValidateFlow.flow.steps.say.insert_ids",
    "WatchInbox.inbox.assignees.agent_id",
    "WatchInbox.inbox.assignees.bot_id",
    "WatchInbox.inbox.assignees.team_id",
    "WatchInbox.inbox.channel_ids",
    "WatchInbox.inbox.contact_ids",
    // Agents who are no members stay so.
    "RemoveTeamMembers.agent_ids",
    // Filters.
    "ListAgentStatuses.team_id",
    "ListAgents.team_id",
    "ListAssignments.conversation_id",
    "ListAttachments.contact_id",
    "ListBotSessions.bot_id",
    "ListBotSessions.conversation_id",
    "ListChats.channel_id",
    "ListConversations.assignees.agent_id",
    "ListConversations.assignees.bot_id",
    "ListConversations.assignees.team_id",
    "ListConversations.channel_ids",
    "ListConversations.contact_ids",
    "ListDeliveries.contact_id",
    "ListDeliveries.conversation_id",
    "ListTeams.agent_id",
    "ListTickets.contact_id",
    "ListTickets.conversation_id",
    "ListTranscriptDecisions.conversation_id",
    "SearchConversations.channel_ids",
    "SearchConversations.contact_ids",
    "SubscribeAssignmentEvents.filter.aggregate_ids",
    "SubscribeBotSessionEvents.filter.aggregate_ids",
    "SubscribeConversationEvents.filter.aggregate_ids",
    "SubscribeNotificationEvents.filter.aggregate_ids",
    "WatchDeliveries.conversation_id",
];

/// Whether the call changes the conversation that it names, when the id in another field is accepted.
fn writes_to_a_chat(method: &Declared, field: &str) -> bool {
    let reads = ["Get", "List", "Watch", "Subscribe", "Search", "Explain", "Preview"]
        .iter()
        .any(|word| method.method.name().starts_with(word));
    let of_open = !["TranscriptService", "ContactService"].contains(&method.method.parent_service().name());
    // Each of its changes names a conversation.
    let names_one = method.method.name() == "ChangeAssignees"
        || method.method.input().get_field_by_name("conversation_id").is_some();
    !reads && of_open && names_one && field != "conversation_id"
}

/// The methods: reads first, then writes, then those whose names begin with one of `last`.
fn in_order(last: &[&str]) -> Vec<Declared> {
    let mut methods = methods();
    methods.retain(|method| method.method.name() != "AdvanceTime");
    methods.sort_by_key(|method| {
        let name = method.method.name();
        let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        match () {
            // The account has no other call after it.
            () if name == "EndAccount" => 3,
            () if begins(last) => 2,
            () if begins(&["Get", "List", "Watch", "Subscribe", "Search", "Explain", "Preview", "Validate"]) => 0,
            () => 1,
        }
    });
    methods
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_s3_an_id_of_another_account_is_answered_like_an_unknown_one() {
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(Fixture::new(one, "ourword"), Fixture::new(two, "theirword"));
    let (mut compared, mut silent) = (0_usize, BTreeSet::new());
    // `CreateAgent` comes last: an account may create an agent with the id of another account's agent, and then owns that
    // id. So do the calls that write the copies of agents and bots.
    for method in &in_order(&["CreateAgent", "ApplyAgent", "ApplyBot"]) {
        for principal in &method.principals {
            let caller = ours.caller(*principal);
            let ask = async |message: &DynamicMessage| {
                let answer = call_raw(&caller, &method.path, ours.call(*principal, &message.encode_to_vec())).await;
                let bytes = answer.as_ref().map_or_else(|status| format!("{status:?}").into_bytes(), Vec::clone);
                let leaked = String::from_utf8_lossy(&bytes).contains("theirword");
                assert!(!leaked, "{} reveals another account to {principal:?}: {answer:?}", method.path);
                comparable(method, &ours, answer)
            };
            let requests = ours.requests(&method.method);
            let mut covered = BTreeSet::new();
            let ids = requests
                .iter()
                .enumerate()
                .flat_map(|(choice, request)| strings(request).into_iter().map(move |field_path| (choice, field_path)));
            for (choice, field_path) in ids {
                let name = field_path.last().unwrap().name();
                if !is_id(name) || NOT_RESOURCES.contains(&name) || !covered.insert(dotted(&field_path)) {
                    continue;
                }
                let of_theirs = theirs
                    .ids
                    .get(name)
                    .or_else(|| theirs.ids.get(name.strip_suffix('s')?))
                    .unwrap_or_else(|| panic!("{name} is an id: add one to the ids in tests/suite/fixture.rs"));
                let mut foreign = vec![("another account's", of_theirs)];
                if name == "chat_id" {
                    foreign.push(("another visitor's", &ours.another.id));
                }
                for (whose, id) in foreign {
                    // Each call has its own request id, as unrelated callers have.
                    let fresh = async |id: &str| {
                        let mut message = ours.requests(&method.method).swap_remove(choice);
                        if writes_to_a_chat(method, name) {
                            message = ours.with_new_chat(message).await;
                        }
                        with(&message, &field_path, &Value::String(id.to_owned()))
                    };
                    let at = format!("{} {} as {principal:?}, {whose}", method.path, dotted(&field_path));
                    let of_another = ask(&fresh(id).await).await;
                    let absent = ask(&fresh(&new_id().to_string()).await).await;
                    assert_eq!(of_another, absent, "{at}");
                    assert!(
                        of_another.code != Code::Internal && of_another.code != Code::Unknown,
                        "{at}: {of_another:?}"
                    );
                    if of_another.code == Code::Ok {
                        silent.insert(format!("{}.{}", method.method.name(), dotted(&field_path)));
                    }
                    compared += 1;
                }
            }
        }
    }
    println!("{compared} ids of other accounts are answered like unknown ones");
    let expected: BTreeSet<String> = NOT_LOOKED_UP.iter().map(|at| (*at).to_owned()).collect();
    assert_eq!(silent, expected, "fields whose unknown ids are accepted");

    // Ids of the own account are found, and one account's request ids do not collide with another's.
    let mut own = 0_usize;
    for method in &in_order(&["Delete", "Deactivate"]) {
        for principal in &method.principals {
            let shared = request_id();
            let mut answers = Vec::new();
            for fixture in [&ours, &theirs] {
                let mut message = fixture.request(&method.method);
                if let Some(field) = message.descriptor().get_field_by_name("request_id") {
                    message.set_field(&field, Value::String(shared.clone()));
                }
                let answer = call_raw(
                    &fixture.caller(*principal),
                    &method.path,
                    fixture.call(*principal, &message.encode_to_vec()),
                )
                .await;
                let answer = comparable(method, fixture, answer);
                let at = format!("{} as {principal:?} in {}: {answer:?}", method.path, fixture.word);
                assert_ne!(answer.code, Code::NotFound, "{at}");
                assert_ne!(answer.reason, "REQUEST_ID_REUSED", "{at}");
                if ["Get", "List", "Watch", "Subscribe", "Search"]
                    .iter()
                    .any(|word| method.method.name().starts_with(word))
                {
                    assert_eq!(answer.code, Code::Ok, "{at}");
                }
                answers.push(answer);
                own += 1;
            }
            let end = |answer: &Comparable| (answer.code, answer.reason.clone());
            assert_eq!(end(&answers[0]), end(&answers[1]), "{} as {principal:?}", method.path);
        }
    }
    println!("{own} calls with the caller's own ids");
}
