//! What the assignment service knows of conversations that wait: its rows, and a log of their changes. While the log exists, triggers
//! write it: each change of a row at the commit of its transaction, which then holds the account's lock. So the numbers of the log are
//! in the order of the decisions, and what is rolled back is not in it.

use sea_orm::DbErr;
use serde::{Deserialize, Serialize};

use super::{Databases, read::id};
use crate::cluster::{Failure, Service};

/// Creates the log in the database of the assignment service. It begins with the agents who exist.
pub const LOG: &str = "
    CREATE TABLE routing_log (
        n BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at BIGINT NOT NULL,
        account_id UUID NOT NULL,
        relation TEXT NOT NULL,
        operation TEXT NOT NULL,
        content TEXT NOT NULL
    );
    CREATE FUNCTION log_routing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE changed RECORD;
    BEGIN
        IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
        INSERT INTO public.routing_log (at, account_id, relation, operation, content)
        VALUES ((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, changed.account_id, TG_TABLE_NAME, TG_OP,
            to_jsonb(changed)::text);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER routing_log AFTER INSERT OR UPDATE OR DELETE ON routing_queue
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_routing();
    CREATE CONSTRAINT TRIGGER routing_log AFTER INSERT OR UPDATE OR DELETE ON conversation_owners
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_routing();
    CREATE CONSTRAINT TRIGGER routing_log AFTER INSERT OR UPDATE ON agents
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_routing();
    CREATE CONSTRAINT TRIGGER routing_log AFTER INSERT OR UPDATE ON agent_statuses
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_routing();
    INSERT INTO routing_log (at, account_id, relation, operation, content)
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, account_id, 'agents', 'INSERT', to_jsonb(agents)::text
    FROM agents;";

/// Removes the log.
pub const NO_LOG: &str = "DROP FUNCTION log_routing() CASCADE; DROP TABLE routing_log;";

/// What the assignment service knows of conversations that wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// Rows of `routing_queue`.
    pub queue: Vec<Queued>,
    /// Rows of `conversation_owners`.
    pub owners: Vec<OwnerRow>,
    /// First steps of the policies that are always open.
    pub policies: Vec<FirstStep>,
    /// The log, in the order of the decisions. Empty: there was none.
    pub changes: Vec<Change>,
}

/// State of a row of `routing_queue`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueState {
    /// The conversation waits.
    Waiting,
    /// A place is reserved for it.
    Reserved,
    /// It left routing, or its wait is over.
    #[default]
    Left,
}

/// A row of `routing_queue`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Id of the conversation.
    pub conversation: String,
    /// Ownership epoch in which it is unassigned.
    pub epoch: i64,
    /// Id of the policy; empty: the default one. That of the team follows where a bot named one.
    pub policy: String,
    /// Ids of the owner of its contact and of its last owner, as far as there are any.
    pub owners: String,
    /// Since when it waits.
    pub since: i64,
    /// Its state.
    pub state: QueueState,
    /// Id of the agent at whom the place is reserved, or empty.
    pub agent: String,
}

/// A row of `conversation_owners`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnerRow {
    /// Id of the conversation.
    pub conversation: String,
    /// Id of the agent who owns it, or empty.
    pub agent: String,
    /// Ownership epoch.
    pub epoch: i64,
    /// Whether it is open.
    pub open: bool,
}

/// The agents who may get a conversation of a policy at once. Those of teams and of later steps may come to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FirstStep {
    /// Id of the policy.
    pub policy: String,
    /// Ids of the agents whom it names.
    pub agents: Vec<String>,
    /// Whether all agents may.
    pub anybody: bool,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Time of the commit.
    pub at: i64,
    /// What changed.
    pub what: Changed,
}

/// What a change led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Changed {
    /// A row of the queue was inserted or changed.
    Queued(Queued),
    /// A row of the queue was removed.
    Dequeued {
        /// Id of the conversation.
        conversation: String,
    },
    /// The owner or the status of a conversation changed.
    Owned(OwnerRow),
    /// An agent was created or changed.
    Agent {
        /// Id of the agent.
        agent: String,
        /// Whether the agent is active.
        active: bool,
        /// Maximum number of open conversations. None: unlimited.
        capacity: Option<i64>,
    },
    /// The status of an agent changed.
    Status {
        /// Id of the agent.
        agent: String,
        /// Whether the agent is set available.
        available: bool,
        /// Time of the last heartbeat.
        heard_at: i64,
    },
}

#[derive(Deserialize)]
struct QueueRow {
    conversation_id: String,
    epoch: i64,
    policy_id: Option<String>,
    team_id: Option<String>,
    contact_owner_id: Option<String>,
    last_owner_id: Option<String>,
    waiting_since: i64,
    state: i32,
    agent_id: Option<String>,
}

#[derive(Deserialize)]
struct ConversationOwner {
    conversation_id: String,
    agent_id: Option<String>,
    epoch: i64,
    open: bool,
}

#[derive(Deserialize)]
struct AgentRow {
    id: String,
    active: bool,
    capacity: Option<i64>,
}

#[derive(Deserialize)]
struct StatusRow {
    agent_id: String,
    chosen: i32,
    heartbeat_at: Option<i64>,
}

#[derive(Deserialize)]
struct PolicyRow {
    id: String,
    /// A JSON object.
    rules: String,
    deleted_at: Option<i64>,
}

#[derive(Deserialize)]
struct Rules {
    steps: Vec<Step>,
    opening_hours: Option<String>,
}

#[derive(Deserialize)]
struct Step {
    agents: Vec<String>,
    anybody: bool,
}

impl From<QueueRow> for Queued {
    fn from(row: QueueRow) -> Self {
        Self {
            conversation: row.conversation_id,
            epoch: row.epoch,
            policy: joined(row.policy_id, row.team_id),
            owners: joined(row.contact_owner_id, row.last_owner_id),
            since: row.waiting_since,
            state: match row.state {
                1 => QueueState::Waiting,
                2 => QueueState::Reserved,
                _ => QueueState::Left,
            },
            agent: row.agent_id.unwrap_or_default(),
        }
    }
}

fn joined(one: Option<String>, other: Option<String>) -> String {
    one.into_iter().chain(other.map(|other| format!("/{other}"))).collect()
}

impl From<ConversationOwner> for OwnerRow {
    fn from(row: ConversationOwner) -> Self {
        let agent = row.agent_id.unwrap_or_default();
        Self { conversation: row.conversation_id, agent, epoch: row.epoch, open: row.open }
    }
}

/// Reads the queue and the owners of conversations of these accounts.
pub(super) async fn read_rows(databases: &Databases, ids: &str) -> Result<Routing, DbErr> {
    let sql = |table: &str| format!("SELECT * FROM {table} WHERE account_id IN ({ids})");
    let mut routing = Routing::default();
    for row in databases.rows(Service::Assignment, &sql("routing_queue")).await? {
        let optional = |column: &str| id(&row, column).map(|id| Some(id).filter(|id| !id.is_empty()));
        routing.queue.push(Queued::from(QueueRow {
            conversation_id: id(&row, "conversation_id")?,
            epoch: row.try_get("", "epoch")?,
            policy_id: optional("policy_id")?,
            team_id: optional("team_id")?,
            contact_owner_id: optional("contact_owner_id")?,
            last_owner_id: optional("last_owner_id")?,
            waiting_since: row.try_get("", "waiting_since")?,
            state: row.try_get("", "state")?,
            agent_id: optional("agent_id")?,
        }));
    }
    for row in databases.rows(Service::Assignment, &sql("conversation_owners")).await? {
        routing.owners.push(OwnerRow {
            conversation: id(&row, "conversation_id")?,
            agent: id(&row, "agent_id")?,
            epoch: row.try_get("", "epoch")?,
            open: row.try_get("", "open")?,
        });
    }
    Ok(routing)
}

/// Reads the policies of these accounts, and the log, if there is one. `clock_offset`: how far the installation's clock was advanced before
/// the log was created, in microseconds.
pub(super) async fn read_log(
    databases: &Databases,
    ids: &str,
    clock_offset: i64,
    routing: &mut Routing,
) -> Result<(), Failure> {
    let policies =
        format!("SELECT to_jsonb(live)::text AS content FROM routing_policies AS live WHERE account_id IN ({ids})");
    for row in databases.rows(Service::Assignment, &policies).await? {
        routing.policies.extend(first_step(serde_json::from_str(&row.try_get::<String>("", "content")?)?)?);
    }
    let exists = "SELECT (to_regclass('public.routing_log') IS NOT NULL)::int::bigint";
    if databases.number(Service::Assignment, exists).await? == 1 {
        let log =
            format!("SELECT at, relation, operation, content FROM routing_log WHERE account_id IN ({ids}) ORDER BY n");
        for row in databases.rows(Service::Assignment, &log).await? {
            let at = row.try_get::<i64>("", "at")? + clock_offset;
            let (relation, operation): (String, String) = (row.try_get("", "relation")?, row.try_get("", "operation")?);
            let content: String = row.try_get("", "content")?;
            routing.changes.push(Change { at, what: changed(&relation, &operation, &content)? });
        }
    }
    Ok(())
}

fn first_step(row: PolicyRow) -> Result<Option<FirstStep>, Failure> {
    let rules: Rules = serde_json::from_str(&row.rules)?;
    if row.deleted_at.is_some() || rules.opening_hours.is_some() {
        return Ok(None);
    }
    let first = rules.steps.into_iter().next();
    Ok(first.map(|step| FirstStep { policy: row.id, agents: step.agents, anybody: step.anybody }))
}

fn changed(relation: &str, operation: &str, content: &str) -> Result<Changed, Failure> {
    Ok(match relation {
        "routing_queue" => {
            let row = Queued::from(serde_json::from_str::<QueueRow>(content)?);
            if operation == "DELETE" {
                Changed::Dequeued { conversation: row.conversation }
            } else {
                Changed::Queued(row)
            }
        }
        "conversation_owners" => {
            let row = OwnerRow::from(serde_json::from_str::<ConversationOwner>(content)?);
            Changed::Owned(OwnerRow { open: row.open && operation != "DELETE", ..row })
        }
        "agents" => {
            let AgentRow { id, active, capacity } = serde_json::from_str(content)?;
            Changed::Agent { agent: id, active, capacity }
        }
        "agent_statuses" => {
            let StatusRow { agent_id, chosen, heartbeat_at } = serde_json::from_str(content)?;
            Changed::Status { agent: agent_id, available: chosen == 1, heard_at: heartbeat_at.unwrap_or(0) }
        }
        other => return Err(format!("the log has a change of {other}").into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_log_are_read_from_the_columns_of_the_tables() {
        let reserved = r#"{"account_id": "x", "conversation_id": "c", "epoch": 1, "policy_id": null, "team_id": "t",
            "contact_owner_id": null, "last_owner_id": null, "waiting_since": 7, "state": 2, "agent_id": "a", "check_at": 9}"#;
        let row = Queued {
            conversation: "c".into(),
            epoch: 1,
            policy: "/t".into(),
            since: 7,
            state: QueueState::Reserved,
            agent: "a".into(),
            ..Queued::default()
        };
        assert_eq!(changed("routing_queue", "UPDATE", reserved).unwrap(), Changed::Queued(row));
        let gone = Changed::Dequeued { conversation: "c".into() };
        assert_eq!(changed("routing_queue", "DELETE", reserved).unwrap(), gone);
        let agent = Changed::Agent { agent: "a".into(), active: true, capacity: None };
        assert_eq!(changed("agents", "INSERT", r#"{"id": "a", "active": true, "capacity": null}"#).unwrap(), agent);
        let status = Changed::Status { agent: "a".into(), available: false, heard_at: 0 };
        let away = r#"{"agent_id": "a", "chosen": 2, "heartbeat_at": null}"#;
        assert_eq!(changed("agent_statuses", "UPDATE", away).unwrap(), status);
    }

    #[test]
    fn a_policy_with_opening_hours_has_no_first_step_that_is_always_open() {
        let rules = |hours: &str| {
            format!(
                r#"{{"steps": [{{"agents": ["a"], "teams": [], "contact_owner": false, "anybody": false, "widen_after": null}}],
                    "strategy": "ROUND_ROBIN", "only_available": true, "opening_hours": {hours}, "outside": "WAIT"}}"#
            )
        };
        let row = |hours: &str| PolicyRow { id: "p".into(), rules: rules(hours), deleted_at: None };
        let step = FirstStep { policy: "p".into(), agents: vec!["a".into()], anybody: false };
        assert_eq!(first_step(row("null")).unwrap(), Some(step));
        assert_eq!(first_step(row(r#""h""#)).unwrap(), None);
    }
}
