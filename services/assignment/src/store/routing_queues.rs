//! The queues of an account in which conversations wait: which there are, and how long they are.

use std::collections::BTreeSet;

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

use crate::domain::{Queue, QueueLength, Waiting};

/// Finds the queues in which conversations wait by their first rows, however many wait: each policy and each team is one step in an index,
/// and so is each pair of them. A scalar subquery is not made a join, which would read all rows.
const QUEUES: &str = "WITH RECURSIVE policies (policy_id) AS (
        SELECT (SELECT policy_id FROM routing_queue WHERE account_id = $1 AND state = 1 AND policy_id IS NOT NULL
            ORDER BY policy_id LIMIT 1)
        UNION ALL
        SELECT (SELECT next.policy_id FROM routing_queue AS next WHERE next.account_id = $1 AND next.state = 1
            AND next.policy_id > policies.policy_id ORDER BY next.policy_id LIMIT 1)
        FROM policies WHERE policies.policy_id IS NOT NULL
    ), teams (team_id) AS (
        SELECT (SELECT team_id FROM routing_queue WHERE account_id = $1 AND state = 1 AND team_id IS NOT NULL
            ORDER BY team_id LIMIT 1)
        UNION ALL
        SELECT (SELECT next.team_id FROM routing_queue AS next WHERE next.account_id = $1 AND next.state = 1
            AND next.team_id IS NOT NULL AND next.team_id > teams.team_id ORDER BY next.team_id LIMIT 1)
        FROM teams WHERE teams.team_id IS NOT NULL
    )
    SELECT policies.policy_id AS policy_id, teams.team_id AS team_id FROM policies CROSS JOIN teams
    WHERE (SELECT 1 FROM routing_queue AS head WHERE head.account_id = $1 AND head.state = 1
        AND head.policy_id = policies.policy_id AND head.team_id = teams.team_id LIMIT 1) IS NOT NULL
    UNION ALL
    SELECT policies.policy_id, NULL FROM policies
    WHERE (SELECT 1 FROM routing_queue AS head WHERE head.account_id = $1 AND head.state = 1
        AND head.policy_id = policies.policy_id AND head.team_id IS NULL
        ORDER BY head.policy_id, head.team_id, head.waiting_since LIMIT 1) IS NOT NULL
    UNION ALL
    SELECT NULL, teams.team_id FROM teams
    WHERE (SELECT 1 FROM routing_queue AS head WHERE head.account_id = $1 AND head.state = 1
        AND head.policy_id IS NULL AND head.team_id = teams.team_id LIMIT 1) IS NOT NULL
    UNION ALL
    SELECT NULL, NULL
    WHERE (SELECT 1 FROM routing_queue AS head WHERE head.account_id = $1 AND head.state = 1
        AND head.policy_id IS NULL AND head.team_id IS NULL
        ORDER BY head.policy_id, head.team_id, head.waiting_since LIMIT 1) IS NOT NULL";

/// Counts the conversations of each queue that wait, and those that have waited longer than one of them, from an index: first those that wait,
/// then those for which a place is reserved.
const LENGTHS: &str = "SELECT policy_id, team_id, count(*) AS waiting, count(CASE WHEN waiting_since < $2
        OR (waiting_since = $2 AND conversation_id < $3) THEN 1 END) AS ahead
    FROM routing_queue WHERE account_id = $1 AND state = 1 GROUP BY policy_id, team_id
    UNION ALL
    SELECT policy_id, team_id, count(*), count(CASE WHEN waiting_since < $2
        OR (waiting_since = $2 AND conversation_id < $3) THEN 1 END)
    FROM routing_queue WHERE account_id = $1 AND state = 2 GROUP BY policy_id, team_id";

/// Returns the queues in which conversations wait.
pub(crate) async fn list<C: ConnectionTrait>(conn: &C, account: AccountId) -> Result<BTreeSet<Queue>, DbErr> {
    let queues = Statement::from_sql_and_values(conn.get_database_backend(), QUEUES, [account.0.into()]);
    conn.query_all_raw(queues).await?.iter().map(queue).collect()
}

/// Returns the lengths of the queues, as one of their conversations sees them. A queue may be in the list twice: its length is their sum.
pub(crate) async fn list_lengths<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    this: &Waiting,
) -> Result<Vec<(Queue, QueueLength)>, DbErr> {
    let values: [Value; 3] = [account.0.into(), this.since.0.into(), this.conversation.into()];
    let lengths = Statement::from_sql_and_values(conn.get_database_backend(), LENGTHS, values);
    conn.query_all_raw(lengths).await?.iter().map(length).collect()
}

fn queue(row: &QueryResult) -> Result<Queue, DbErr> {
    Ok(Queue { policy: row.try_get("", "policy_id")?, team: row.try_get("", "team_id")? })
}

fn length(row: &QueryResult) -> Result<(Queue, QueueLength), DbErr> {
    let length = QueueLength { waiting: row.try_get("", "waiting")?, ahead: row.try_get("", "ahead")? };
    Ok((queue(row)?, length))
}
