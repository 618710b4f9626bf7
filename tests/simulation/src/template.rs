//! The databases that every seed begins with: migrated, with an account, copied for each.

use std::{path::Path, time::Duration};

use frontdesk_auth::CallerKind;
use frontdesk_clock::Clock;
use frontdesk_db::AccountId;
use frontdesk_proto::{
    assignment::v1::{CreateAgentRequest, roster_service_client::RosterServiceClient},
    botsession::v1::{
        AskStep, CloseStep, CreateBotRequest, Flow, HandOffStep, SayStep, Step, bot_service_client::BotServiceClient,
        create_bot_request::Inactivity, step::Action,
    },
    conversation::v1::{
        CreateChannelRequest, NoGreeter, channel_service_client::ChannelServiceClient, create_channel_request::Greeter,
    },
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    Failure,
    process::{Calls, definitions},
    schedule::runtime,
    world::{BOT_TEXTS, FILES, NOTIFICATION, START, Setup, World, literal},
};

/// The account of all seeds.
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xACC));
/// Number of agents.
const AGENTS: u128 = 3;
/// Inactivity timeout of the bots.
const TIMEOUT: prost_types::Duration = prost_types::Duration { seconds: 60, nanos: 0 };
/// The account was created this long before a seed begins.
const AGE: Duration = Duration::from_secs(24 * 3600);

/// The databases that every seed begins with.
pub struct Template {
    folder: TempDir,
    pub(crate) setup: Setup,
}

impl Template {
    /// Creates them, in memory where the system has a folder for that.
    pub fn create() -> Result<Self, Failure> {
        let folder = scratch()?;
        let setup = runtime()?.block_on(set_up(folder.path()))?;
        Ok(Self { folder, setup })
    }

    /// A copy in a folder of its own.
    pub(crate) fn copy(&self) -> Result<TempDir, Failure> {
        let copy = scratch()?;
        for file in FILES {
            std::fs::copy(self.folder.path().join(file), copy.path().join(file))?;
        }
        Ok(copy)
    }
}

/// A temporary folder. On Linux it is in memory: the simulation loses no power, so nothing has to reach a disk.
fn scratch() -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

async fn set_up(folder: &Path) -> Result<Setup, Failure> {
    let clock = Clock::standing(u64::MAX, START.minus(AGE));
    let agents = (0..AGENTS).map(|number| Uuid::from_u128(0xA6E0 + number).to_string()).collect();
    let setup = Setup { account: ACCOUNT, agents, channels: Vec::new() };
    let mut world = World::open(folder, clock, setup, None).await?;
    for (definition, db) in definitions().iter().zip(&world.databases) {
        definition.migrate(db).await?;
    }
    let admin = world.calls(CallerKind::Admin, "administrator");
    for (number, agent) in world.setup.agents.iter().enumerate() {
        let agent = CreateAgentRequest {
            agent_id: agent.clone(),
            name: format!("Agent {number}"),
            handle: format!("agent{number}"),
            request_id: format!("agent-{number}"),
            ..Default::default()
        };
        RosterServiceClient::new(admin.clone()).create_agent(agent).await?;
    }
    create_sender(&world).await?;
    let hand_off = HandOffStep { text: BOT_TEXTS[2].into(), reason: "asked for people".into(), ..Default::default() };
    let last_steps = [Action::HandOff(hand_off), Action::Close(CloseStep { text: BOT_TEXTS[3].into() })];
    let mut channels = vec![create_channel(&admin, "no-bot", Greeter::NoGreeter(NoGreeter {})).await?];
    for (number, last) in last_steps.into_iter().enumerate() {
        let name = format!("bot-{number}");
        let bot = create_bot(&admin, &name, last).await?;
        channels.push(create_channel(&admin, &name, Greeter::BotId(bot)).await?);
    }
    if !world.drain().await? {
        return Err("the services do not become quiescent".into());
    }
    // The files are complete without their write-ahead logs.
    for db in world.all_databases() {
        db.purge_deleted_rows().await?;
    }
    Ok(Setup { channels, ..world.setup.clone() })
}

/// A sender address that is verified. Its code would be in a mail.
async fn create_sender(world: &World) -> Result<(), Failure> {
    let (id, account) = (literal(Uuid::from_u128(0x5E4D)), literal(ACCOUNT.0));
    let sql = format!(
        "INSERT INTO senders (id, account_id, address, display_name, verified, fallback, code_expires_at, code_tries, \
         created_at, updated_at, version) VALUES ({id}, {account}, 'team@shop.example', 'Shop', TRUE, TRUE, 0, 0, 0, 0, 1)"
    );
    world.execute(NOTIFICATION, &sql).await
}

/// A bot that says hello, asks a question, and ends with this step.
async fn create_bot(admin: &Calls, name: &str, last: Action) -> Result<String, Failure> {
    let step = |id: &str, action| Step { id: id.into(), action: Some(action), ..Default::default() };
    let ask = AskStep { text: BOT_TEXTS[1].into(), property: "topic".into(), ..Default::default() };
    let hello = Action::Say(SayStep { text: BOT_TEXTS[0].into(), ..Default::default() });
    let steps = vec![step("hello", hello), step("topic", Action::Ask(ask)), step("last", last)];
    let request = CreateBotRequest {
        name: name.to_owned(),
        inactivity: Some(Inactivity::InactivityTimeout(TIMEOUT)),
        flow: Some(Flow { steps }),
        request_id: name.to_owned(),
        ..Default::default()
    };
    let bot = BotServiceClient::new(admin.clone()).create_bot(request).await?.into_inner().bot;
    Ok(bot.ok_or("CreateBot answers without a bot")?.id)
}

async fn create_channel(admin: &Calls, name: &str, greeter: Greeter) -> Result<String, Failure> {
    let request = CreateChannelRequest {
        name: name.to_owned(),
        website_url: "https://shop.example".into(),
        greeter: Some(greeter),
        request_id: name.to_owned(),
        ..Default::default()
    };
    let channel = ChannelServiceClient::new(admin.clone()).create_channel(request).await?.into_inner().channel;
    Ok(channel.ok_or("CreateChannel answers without a channel")?.id)
}
