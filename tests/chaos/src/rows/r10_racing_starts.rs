//! R10: many starts of a chat by one visitor at once, of anonymous visitors and of known ones.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use futures::future::join_all;
use tonic::Code;

use super::{Context, Failure, FinishOptions, Row, Verdict};
use crate::{
    driver::{Caller, Driver, Outcome},
    report::percentile,
    workload::Account,
};

/// One start in this number has a first message.
const WITH_MESSAGE: usize = 50;
/// Maximum duration of a race: the bot's timeout, of a minute, must not close the chat meanwhile.
const MAX_RACE: Duration = Duration::from_secs(50);
/// Pause before a start that was refused because of overload is made again.
const START_AGAIN_AFTER: Duration = Duration::from_millis(100);

pub(super) async fn run(context: &mut Context) -> Result<(Row, Verdict), Failure> {
    let (races, starts) = context.size.pick((4, 50), (10, 500), (100, 500));
    let (driver, account) = (context.driver.clone(), context.accounts[0].clone());
    let mut chats: BTreeSet<String> = BTreeSet::new();
    let (mut split, mut unanswered, mut durations) = (0_usize, 0_usize, Vec::new());
    for race in 0..races {
        let visitor = match race % 2 {
            0 => account.create_anonymous_visitor(&format!("anonymous-{race}")).await?,
            _ => account.visitor(&format!("known-{race}"), true),
        };
        let began = Instant::now();
        let answers = join_all((0..starts).map(|number| start(&driver, &account, &visitor, number))).await;
        let duration = began.elapsed();
        if duration > MAX_RACE {
            return Err(format!("{starts} starts took {} s, near the timeout of the chat", duration.as_secs()).into());
        }
        durations.push(duration.as_secs_f64() * 1_000.0);
        unanswered += answers.iter().filter(|answer| answer.is_none()).count();
        let ids: BTreeSet<String> = answers.into_iter().flatten().collect();
        split += usize::from(ids.len() != 1);
        chats.extend(ids);
    }
    let (verdict, state) = context.finish(FinishOptions::default()).await?;
    let violations = verdict.of(&["I1", "I2", "I4", "I5", "I17", "I22"]);
    let mut sessions: HashMap<&str, usize> = HashMap::new();
    for session in &state.sessions {
        *sessions.entry(&session.conversation).or_default() += 1;
    }
    // The row's account has no other conversations.
    let conversations = state.conversations.len();
    let with_one_session = state.conversations.iter().filter(|one| sessions.get(one.id.as_str()) == Some(&1)).count();
    let known = state.conversations.iter().all(|one| chats.contains(&one.id));
    let each_is_one = conversations == races && with_one_session == races && state.sessions.len() == races && known;
    let wrong = split + conversations.abs_diff(races) + conversations.abs_diff(with_one_session);
    let row = Row::new(wrong, wrong == 0 && each_is_one && unanswered == 0 && violations == 0)
        .with("races", races)
        .with("starts", races * starts)
        .with("unanswered", unanswered)
        .with("conversations", conversations)
        .with("sessions", state.sessions.len())
        .with("race_ms_p50", percentile(&mut durations, 50.0));
    Ok((row, verdict))
}

/// Starts a chat of the visitor; returns its id. None: no answer, or a refusal that is not about overload.
async fn start(driver: &Driver, account: &Account, visitor: &Caller, number: usize) -> Option<String> {
    let until = Instant::now() + MAX_RACE;
    loop {
        // A refused message was not sent: the next attempt is another one.
        let text = if number.is_multiple_of(WITH_MESSAGE) { account.message_text() } else { String::new() };
        match driver.start_chat(visitor, &account.bot_channel, &text).await {
            Outcome::Refused(status) if status.code() == Code::ResourceExhausted && Instant::now() < until => {
                tokio::time::sleep(START_AGAIN_AFTER).await;
            }
            outcome => return outcome.ok(),
        }
    }
}
