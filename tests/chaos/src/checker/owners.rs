//! I14: each change of the owner follows the previous one, and of concurrent takeovers one wins.

use std::collections::HashMap;

use super::{Index, Verdict, number, text};
use crate::final_state::Fact;

pub(super) fn check(index: &Index<'_>, verdict: &mut Verdict) {
    if index.state().events.iter().any(|event| matches!(event.fact, Fact::Assignee { .. })) {
        verdict.evaluates(&["I14"]);
    }
    let mut owners: HashMap<(&str, i64), String> = HashMap::new();
    for conversation in &index.state().conversations {
        let id = conversation.id.as_str();
        let (mut owner, mut at) = (String::new(), 0);
        for event in index.events(id) {
            let (epoch, from, to) = match &event.fact {
                Fact::Started { owner, .. } => (1, None, owner.clone()),
                Fact::Assignee { epoch, from, to, .. } => (*epoch, Some(from), to.clone()),
                Fact::HandedOff { epoch, .. } => (*epoch, None, String::new()),
                Fact::Reopened { epoch, by, .. } => (*epoch, None, by.clone()),
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
    for op in index.ops.iter().filter(|op| op.first.call == "TakeOverConversation") {
        let Some(response) = op.responses.first() else { continue };
        let (key, epoch) = (op.first.key.as_str(), number(response, "epoch"));
        let owner = text(response, "owner");
        if owners.get(&(key, epoch)).is_none_or(|is| is != owner) {
            verdict.violated("I14", format!("{key}: epoch {epoch} was acknowledged to {owner}, who does not own it"));
        }
        if *winners.entry((key, epoch)).or_insert(owner) != owner {
            verdict.violated("I14", format!("{key}: epoch {epoch} was acknowledged to two owners"));
        }
    }
}
