//! The names of actors in the history (rule A8).

use frontdesk_db::AccountId;
use sea_orm::{ConnectionTrait, DbErr};

use crate::{
    domain::{Actor, ActorNames},
    store,
};

/// Returns the names of these actors, as far as they are known.
pub(crate) async fn find_actor_names(
    conn: &impl ConnectionTrait,
    account: AccountId,
    actors: &[&Actor],
) -> Result<ActorNames, DbErr> {
    let agents = actors.iter().filter_map(|actor| actor.agent_id()).collect();
    let administrators = actors.iter().filter_map(|actor| actor.administrator()).map(str::to_owned).collect();
    Ok(ActorNames {
        agents: store::agents::list_names(conn, account, agents).await?,
        administrators: store::administrators::list_names(conn, account, administrators).await?,
    })
}
