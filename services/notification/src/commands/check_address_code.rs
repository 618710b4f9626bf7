//! Checks the code that a visitor entered (rule X1).

use frontdesk_auth::Caller;

use crate::{
    App,
    domain::{AddressCode, CodeOutcome},
    error::NotificationError,
    store,
};

/// Checks the code that was mailed to the address for the visitor on whose behalf the service calls.
pub(crate) async fn check_address_code(
    app: &App,
    caller: &Caller,
    email: &str,
    code: &str,
) -> Result<CodeOutcome, NotificationError> {
    let tx = app.db.begin_for(caller.account).await?;
    let subject = AddressCode::subject_of(&caller.actor.to_string(), email);
    let Some(mut mailed) = store::address_codes::find_for_update(&tx, caller.account, &subject).await? else {
        return Ok(CodeOutcome::Expired);
    };
    let now = tx.now().await?;
    let outcome = mailed.try_code(code, now);
    store::address_codes::save(&tx, &mailed).await?;
    // A wrong code is committed too: it uses up one try.
    tx.commit().await?;
    Ok(outcome)
}
