//! I14: the owners of a conversation form one line; of concurrent takeovers one wins.

use std::collections::HashMap;

use super::{Read, Verdict, number, text};
use crate::state::Fact;

pub(super) fn check(read: &Read<'_>, verdict: &mut Verdict) {
    if read.state().events.iter().any(|event| matches!(event.fact, Fact::Assignee { .. })) {
        verdict.evaluates(&["I14"]);
    }
    let mut owners: HashMap<(&str, i64), String> = HashMap::new();
    for conversation in &read.state().conversations {
        let id = conversation.id.as_str();
        let (mut owner, mut at) = (String::new(), 0);
        for event in read.events(id) {
            let (epoch, from, to) = match &event.fact {
                Fact::Started { owner, .. } => (1, None, owner.clone()),
                Fact::Assignee { epoch, from, to, .. } => (*epoch, Some(from), to.clone()),
                Fact::HandedOff { epoch, .. } => (*epoch, None, String::new()),
                Fact::Reopened { epoch, by } => (*epoch, None, by.clone()),
                _ => continue,
            };
            if epoch != at + 1 {
                verdict.violated("I14", format!("{id}: epoch {epoch} follows {at}"));
            }
            if let Some(from) = from.filter(|from| **from != owner) {
                verdict.violated("I14", format!("{id}: epoch {epoch} starts from {from:?}, the owner was {owner:?}"));
            }
            (owner, at) = (to, epoch);
            owners.insert((id, epoch), owner.clone());
        }
        if (at, &owner) != (conversation.epoch, &conversation.assignee) {
            let row = (conversation.epoch, &conversation.assignee);
            verdict.violated("I14", format!("{id}: the row has {row:?}, the events {:?}", (at, &owner)));
        }
    }
    let mut winners: HashMap<(&str, i64), &str> = HashMap::new();
    for op in read.ops.iter().filter(|op| op.first.call == "TakeOverConversation") {
        let Some(answer) = op.answers.first() else { continue };
        let (key, epoch) = (op.first.key.as_str(), number(answer, "epoch"));
        let owner = text(answer, "owner");
        if owners.get(&(key, epoch)).is_none_or(|is| is != owner) {
            verdict.violated("I14", format!("{key}: epoch {epoch} was acknowledged to {owner}, and is not theirs"));
        }
        if *winners.entry((key, epoch)).or_insert(owner) != owner {
            verdict.violated("I14", format!("{key}: two were told to own epoch {epoch}"));
        }
    }
}
