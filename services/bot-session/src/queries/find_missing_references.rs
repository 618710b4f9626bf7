//! What steps of a flow, or a hand-off of an engine, name and does not exist, or was deleted or deactivated.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::AccountId;
use futures::{StreamExt, TryStreamExt, stream};
use tonic::Status;

use crate::{
    App,
    assignment::{self, AgentState},
    conversation,
    domain::{FlowProblem, OpeningHours, Reference},
    error::BotSessionError,
};

/// Maximum number of questions to other services at the same time.
const CONCURRENT: usize = 8;

/// What is wrong with each of them.
const INACTIVE_AGENT: &str =
    "the agent is not in the roster, or was deactivated; create or reactivate them first, or leave the field empty";
const NO_POLICY: &str = "there is no such routing policy, or it was deleted; create or undelete it first, or leave the field empty for that \
                         of the channel";
const NO_TEAM: &str = "there is no such team, or it was deleted; create or undelete it first, or leave the field empty";
const NO_HOURS: &str = "there are no such opening hours, or they were deleted; create them first";
const NO_INSERT: &str = "there is no such insert, or it was deleted; create it first, or leave it out";

/// What the other services answered.
#[derive(Debug, Default)]
pub(crate) struct FoundReferences {
    /// A problem for each field that names an agent who is not in the roster, or was deactivated.
    pub(crate) inactive_agents: Vec<FlowProblem>,
    /// A problem for each field that names something else that does not exist, or was deleted.
    pub(crate) unknown: Vec<FlowProblem>,
    /// The opening hours that are named.
    pub(crate) opening_hours: Vec<OpeningHours>,
}

impl FoundReferences {
    /// All problems, those of agents first.
    pub(crate) fn problems(self) -> Vec<FlowProblem> {
        [self.inactive_agents, self.unknown].concat()
    }
}

/// What a service answered about one of them.
enum Answer {
    Usable,
    Hours(OpeningHours),
    Missing,
}

/// Asks about everything that is named, once for each. `references`: each with the path of its field.
pub(crate) async fn find_missing_references(
    app: &App,
    account: AccountId,
    references: Vec<(String, Reference)>,
) -> Result<FoundReferences, BotSessionError> {
    let distinct: BTreeSet<Reference> = references.iter().map(|(_, reference)| *reference).collect();
    let asked = stream::iter(distinct).map(async |reference| {
        let answer = ask(app, account, reference).await;
        answer.map(|answer| (reference, answer)).map_err(|status| {
            tracing::warn!(code = ?status.code(), message = status.message(), "a service did not answer about what a flow or a hand-off names");
            match reference {
                Reference::Insert(_) => BotSessionError::ConversationUnavailable,
                Reference::Agent(_)
                | Reference::RoutingPolicy(_)
                | Reference::Team(_)
                | Reference::OpeningHours(_) => BotSessionError::RosterUnavailable,
            }
        })
    });
    let answers: BTreeMap<Reference, Answer> = asked.buffer_unordered(CONCURRENT).try_collect().await?;
    let mut found = FoundReferences::default();
    for (field, reference) in references {
        if matches!(answers.get(&reference), Some(Answer::Missing)) {
            let (problems, description) = match reference {
                Reference::Agent(_) => (&mut found.inactive_agents, INACTIVE_AGENT),
                Reference::RoutingPolicy(_) => (&mut found.unknown, NO_POLICY),
                Reference::Team(_) => (&mut found.unknown, NO_TEAM),
                Reference::OpeningHours(_) => (&mut found.unknown, NO_HOURS),
                Reference::Insert(_) => (&mut found.unknown, NO_INSERT),
            };
            problems.push(FlowProblem { field, description: description.to_owned() });
        }
    }
    let hours = answers.into_values().filter_map(|answer| match answer {
        Answer::Hours(hours) => Some(hours),
        Answer::Usable | Answer::Missing => None,
    });
    found.opening_hours = hours.collect();
    Ok(found)
}

async fn ask(app: &App, account: AccountId, reference: Reference) -> Result<Answer, Status> {
    let usable = |is_usable: bool| if is_usable { Answer::Usable } else { Answer::Missing };
    Ok(match reference {
        Reference::Agent(agent) => {
            usable(assignment::get_agent_state(&app.assignment, account, agent).await? == AgentState::Active)
        }
        Reference::RoutingPolicy(policy) => {
            usable(assignment::has_routing_policy(&app.assignment, account, policy).await?)
        }
        Reference::Team(team) => usable(assignment::has_team(&app.assignment, account, team).await?),
        Reference::OpeningHours(id) => {
            let hours = assignment::find_opening_hours(&app.assignment, account, id).await?;
            hours.filter(|hours| !hours.deleted).map_or(Answer::Missing, Answer::Hours)
        }
        Reference::Insert(insert) => usable(conversation::has_insert(&app.conversation, account, insert).await?),
    })
}
