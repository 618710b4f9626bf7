//! `frontdesk dead-letters`: lists, shows and replays events that a consumer gave up. The server may run meanwhile.

use std::time::Duration;

use clap::Subcommand;
use frontdesk::{Service, Settings, connect, dev, require_databases};
use frontdesk_bus::{
    Bus, BusError, DeadLetter, delete_dead_letter, find_dead_letter, list_dead_letters, oldest_dead_letters,
};
use frontdesk_db::Db;
use tokio::time::Instant;
use uuid::Uuid;

use crate::Failure;

/// How long connecting to the broker may take.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

/// Both forms of the command: clap's own usage leaves out the second.
const REPLAY_USAGE: &str = "frontdesk dead-letters replay <SERVICE> <CONSUMER> <EVENT_ID>
       frontdesk dead-letters replay <SERVICE> --all";

#[derive(Subcommand)]
pub(crate) enum DeadLetters {
    /// Lists dead letters, newest first, at most 1,000 of each service.
    List {
        /// List those of this service only.
        #[arg(long)]
        service: Option<Service>,
    },
    /// Shows one dead letter with its event.
    Show(Selection),
    /// Hands one dead letter, or all of a service, to their consumers again, and deletes them.
    #[command(override_usage = REPLAY_USAGE)]
    Replay {
        /// The service of the consumer.
        service: Service,
        /// Name of the consumer, as the list shows it.
        #[arg(required_unless_present = "all", requires = "event_id")]
        consumer: Option<String>,
        /// Id of the event.
        event_id: Option<Uuid>,
        /// Replay all dead letters of the service.
        #[arg(long, conflicts_with = "consumer")]
        all: bool,
    },
}

#[derive(clap::Args)]
pub(crate) struct Selection {
    /// The service of the consumer.
    service: Service,
    /// Name of the consumer, as the list shows it.
    consumer: String,
    /// Id of the event.
    event_id: Uuid,
}

pub(crate) async fn run(settings: &Settings, command: DeadLetters) -> Result<(), Failure> {
    let services = match &command {
        DeadLetters::List { service: None } => Service::ALL.to_vec(),
        DeadLetters::List { service: Some(service) }
        | DeadLetters::Show(Selection { service, .. })
        | DeadLetters::Replay { service, .. } => vec![*service],
    };
    require_databases(settings, &services)?;
    let clock = dev::clock(settings)?;
    let (databases, bus) = connect(settings, &services, &clock).await?;
    match command {
        DeadLetters::List { .. } => list(&databases).await,
        DeadLetters::Show(Selection { consumer, event_id, .. }) => {
            for (_, db) in &databases {
                show(&get(db, &consumer, event_id).await?);
            }
            Ok(())
        }
        DeadLetters::Replay { consumer, event_id, .. } => {
            for (service, db) in &databases {
                match (&consumer, event_id) {
                    (Some(consumer), Some(event_id)) => {
                        let letter = get(db, consumer, event_id).await?;
                        replay(db, &bus, &letter, Instant::now() + BROKER_TIMEOUT).await?;
                    }
                    _ => replay_all(*service, db, &bus).await?,
                }
            }
            Ok(())
        }
    }
}

async fn get(db: &Db, consumer: &str, event_id: Uuid) -> Result<DeadLetter, Failure> {
    let letter = find_dead_letter(db, consumer, event_id).await?;
    letter.ok_or_else(|| {
        format!("{consumer} has no dead letter {event_id}; `frontdesk dead-letters list` lists the dead letters").into()
    })
}

async fn list(databases: &[(Service, Db)]) -> Result<(), Failure> {
    let mut none = true;
    for (service, db) in databases {
        for letter in list_dead_letters(db).await? {
            none = false;
            let DeadLetter { consumer, event_id, event, reason, attempts, created_at } = letter;
            let name = event.as_ref().and_then(|event| event.r#type.rsplit('.').next());
            let (time, name) = (created_at.to_utc().to_rfc3339(), name.unwrap_or("damaged"));
            println!("{}  {consumer}  {event_id}  {name}  {time}  {attempts} attempts  {reason}", service.name());
        }
    }
    if none {
        println!("There are no dead letters.");
    }
    Ok(())
}

fn show(letter: &DeadLetter) {
    println!("consumer       {}", letter.consumer);
    println!("given up       {}, after {} attempts", letter.created_at.to_utc().to_rfc3339(), letter.attempts);
    println!("reason         {}", letter.reason);
    println!("event          {}", letter.event_id);
    let Some(event) = &letter.event else {
        println!("The stored event is damaged.");
        return;
    };
    println!("type           {}", event.r#type);
    println!("source         {}", event.source);
    println!("account        {}", event.account_id);
    println!("aggregate      {} {}, version {}", event.aggregate_type, event.aggregate_id, event.version);
    let time = event.create_time.as_ref().map(|time| frontdesk_clock::Time::from_proto(time).to_utc().to_rfc3339());
    println!("made           {}", time.unwrap_or_default());
    println!("traceparent    {}", event.traceparent);
    // Events carry ids, numbers, kinds and reasons only, no text of a visitor.
    let bytes = event.data.as_ref().map(|data| data.value.as_slice()).unwrap_or_default();
    println!("protobuf, hex  {}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

/// Replays the dead letters of now, the oldest first. An event that is given up again meanwhile is newer, and stays. One that cannot be
/// replayed stays too, and those after it are replayed.
async fn replay_all(service: Service, db: &Db, bus: &Bus) -> Result<(), Failure> {
    let Some(newest) = list_dead_letters(db).await?.first().map(|letter| letter.created_at) else {
        println!("There are no dead letters of the {} service.", service.name());
        return Ok(());
    };
    let (mut kept, mut give_up) = (0, Instant::now() + BROKER_TIMEOUT);
    loop {
        let letters = oldest_dead_letters(db, newest, kept).await?;
        if letters.is_empty() {
            break;
        }
        for letter in letters {
            match replay(db, bus, &letter, give_up).await {
                Ok(()) => give_up = Instant::now() + BROKER_TIMEOUT,
                Err(error) => {
                    kept += 1;
                    println!("Kept event {} of {}: {error}", letter.event_id, letter.consumer);
                }
            }
        }
    }
    match kept {
        0 => Ok(()),
        1 => Err(format!("one dead letter of the {} service was not replayed", service.name()).into()),
        kept => Err(format!("{kept} dead letters of the {} service were not replayed", service.name()).into()),
    }
}

/// Replays one dead letter. A broker that cannot be reached is tried until `give_up`.
async fn replay(db: &Db, bus: &Bus, letter: &DeadLetter, give_up: Instant) -> Result<(), Failure> {
    let event = letter.event.as_ref().ok_or("the stored event is damaged")?;
    loop {
        match bus.replay(&letter.consumer, event).await {
            Ok(()) => break,
            Err(BusError::Broker(_)) if Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Only now: a kill in between replays it twice, and the consumer's handled mark ignores the second.
    delete_dead_letter(db, letter).await?;
    println!("Handed event {} to {} again.", letter.event_id, letter.consumer);
    Ok(())
}
