//! A right that was taken away is not in force any more when the call that took it is answered, also while no event arrives.

use frontdesk_proto::{
    assignment::v1::{DeactivateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{DeleteBotRequest, bot_service_client::BotServiceClient},
};
use frontdesk_test_servers::Nats;
use frontdesk_tests::{Account, Mode, TestSuite, reason, request_id};

/// Number of agents and of bots; with events alone some of them were always late.
const ROUNDS: usize = 30;

/// Deactivates agents and tries at once to post as them.
async fn deactivated_agents_write_nothing(account: &Account) {
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let mut roster = RosterServiceClient::new(account.admin());
    for round in 0..ROUNDS {
        let (id, agent) = account.agent(&format!("Hal {round}")).await;
        // In every other round the conversation service knows the agent already.
        if round % 2 == 0 {
            let other = account.start_chat(account.visitor(&request_id()), &channel).await;
            other.reply(&agent).await.unwrap();
        }
        roster.deactivate_agent(DeactivateAgentRequest { agent_id: id.to_string() }).await.unwrap();
        let refused = chat.reply(&agent).await.expect_err("a post of a deactivated agent");
        assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE", "round {round}");
    }
    let (_, colleague) = account.agent("Ada").await;
    assert_eq!(Account::conversation(&colleague, &chat.id).await.assignee, None);
}

/// Deletes bots and starts at once a chat on their channels.
async fn deleted_bots_begin_no_session(account: &Account) {
    let (_, agent) = account.agent("Bea").await;
    for round in 0..ROUNDS {
        let bot = account.bot().await;
        let channel = account.channel(Some(&bot)).await;
        let before = account.start_chat(account.visitor("before"), &channel).await;
        assert!(Account::conversation(&agent, &before.id).await.bot_session.is_some());
        let mut bots = BotServiceClient::new(account.admin());
        bots.delete_bot(DeleteBotRequest { bot_id: bot.id.clone() }).await.unwrap();
        let after = account.start_chat(account.visitor("after"), &channel).await;
        let conversation = Account::conversation(&agent, &after.id).await;
        assert_eq!((conversation.bot_session, conversation.assignee), (None, None), "round {round}");
    }
}

#[tokio::test]
async fn a2_c11_a_deactivated_agent_writes_nothing_from_the_answer_on() {
    let suite = TestSuite::start().await;
    deactivated_agents_write_nothing(&suite.account().await).await;
}

#[tokio::test]
async fn b1_a_deleted_bot_begins_no_session_from_the_answer_on() {
    let suite = TestSuite::start().await;
    deleted_bots_begin_no_session(&suite.account().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_b1_c11_a_removal_is_in_force_from_the_answer_on_while_the_broker_is_away() {
    let mut broker = Nats::start().await;
    let url = broker.url();
    let suite = TestSuite::start_on(Mode::Distributed, |settings| settings.bus.url = url).await;
    let account = suite.account().await;
    broker.kill().await;
    deactivated_agents_write_nothing(&account).await;
    deleted_bots_begin_no_session(&account).await;
}
