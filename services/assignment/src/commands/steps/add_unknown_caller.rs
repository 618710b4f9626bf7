//! Adding a calling agent to the roster whom it lacks (setting `assignment.create_agents_at_first_call`).

use frontdesk_auth::{Caller, CallerKind};
use uuid::Uuid;

use super::shown_name;
use crate::{
    App,
    domain::{Agent, Capacity},
    error::AssignmentError,
    store::{self, agents::WriteError},
};

/// Maximum number of characters of a handle that is made from a name: the end of an id follows it within the 40 of a handle.
const MAX_LENGTH: usize = 31;

/// Number of characters of an id in such a handle.
const ID_LENGTH: usize = 8;

/// Adds a calling agent whom the roster lacks, if the settings say so: their token says who they are. One who was deactivated is known, and stays
/// so. Of several calls at once, one adds them.
pub(crate) async fn add_unknown_caller(app: &App, caller: &Caller) -> Result<(), AssignmentError> {
    let is_agent = app.creates_agents && caller.kind == CallerKind::Agent;
    let Some(id) = caller.agent_id().filter(|_| is_agent) else { return Ok(()) };
    let read = app.db.read_for(caller.account).await?;
    let known = store::agents::find(&read.conn(), caller.account, id).await?;
    drop(read);
    if known.is_some() {
        return Ok(());
    }
    let name = shown_name(caller);
    for handle in handles(&name, id) {
        // A statement that an index refuses ends its transaction.
        let mut tx = app.db.begin_for(caller.account).await?;
        let now = tx.now().await?;
        let agent = Agent {
            id,
            account: caller.account,
            name: if name.is_empty() { handle.clone() } else { name.clone() },
            handle,
            email: String::new(),
            capacity: Capacity::default(),
            version: 1,
            created_at: now,
            updated_at: now,
            deactivated_at: None,
        };
        match store::agents::insert(&tx, &agent).await {
            Ok(()) => {
                store::events::append_agent_created(&mut tx, &agent).await?;
                tx.commit().await?;
                return Ok(());
            }
            Err(WriteError::IdTaken) => return Ok(()),
            Err(WriteError::HandleTaken) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Handles to be tried, in this order: one like the name, the same with the end of the id, and the id. The beginning of an id may be a time,
/// which ids that were made together share.
fn handles(name: &str, id: Uuid) -> [String; 3] {
    let id = id.simple().to_string();
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let like: String = words.collect::<Vec<_>>().join(".").chars().take(MAX_LENGTH).collect();
    let like = like.trim_end_matches('.');
    let like = if like.is_empty() { "agent" } else { like };
    [like.to_owned(), format!("{like}-{}", &id[id.len() - ID_LENGTH..]), id]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::handles;

    #[test]
    fn a_handle_is_like_the_name_and_otherwise_has_the_id() {
        let id = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
        for (name, like) in [
            ("Ada Lovelace", "ada.lovelace"),
            (" O'Neil -- X ", "o.neil.x"),
            ("Zoë", "zo"),
            ("", "agent"),
            ("李", "agent"),
        ] {
            assert_eq!(handles(name, id)[..2], [like.to_owned(), format!("{like}-89abcdef")], "{name}");
        }
        let long = handles(&"ab ".repeat(99), id);
        assert!(long.iter().all(|handle| handle.len() <= 40) && !long[0].ends_with('.'), "{long:?}");
        assert_eq!(long[2], "0123456789abcdef0123456789abcdef");
    }
}
