//! Erases what mails have of a contact (rule X2): recipients, subjects, composed texts, codes. Mails that were not sent are cancelled.

use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::{
    App,
    conversation::ErasedConversations,
    domain::{AddressCode, DeliveryKind, DeliveryStatus},
    error::NotificationError,
    store,
};

/// Maximum number of deliveries that one transaction erases.
const PART: u64 = 100;

/// The erasure of a contact, which the conversation service asks for when it has erased its part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContactErasure {
    pub(crate) account: AccountId,
    pub(crate) contact: Uuid,
    pub(crate) job: Uuid,
}

/// Erases, and confirms it. Returns false while a mail is being sent: ask again when its attempt has ended. A repeat changes nothing.
pub(crate) async fn erase_contact(
    app: &App,
    consumer: &str,
    erasure: ContactErasure,
) -> Result<bool, NotificationError> {
    let (mut after, mut is_complete) = (None, true);
    loop {
        let page = app.conversation.list_erased_conversations(erasure.account, erasure.job, after).await?;
        is_complete &= erase_deliveries(app, erasure.account, &page).await?;
        after = page.conversations.last().copied();
        if !page.has_more || after.is_none() {
            break;
        }
    }
    if !is_complete {
        return Ok(false);
    }
    app.db.purge_deleted_rows().await?;
    let mut tx = app.db.begin_for(erasure.account).await?;
    // By the job: it is confirmed once, whichever events ask for it.
    let asked = Event { id: erasure.job.to_string(), ..Event::default() };
    if frontdesk_outbox::mark_handled(&tx, consumer, &asked).await? {
        store::events::append_contact_erasure_confirmed(&mut tx, erasure.account, erasure.contact, erasure.job).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Returns false while a mail of these conversations, or to these contacts, is being sent.
async fn erase_deliveries(
    app: &App,
    account: AccountId,
    erased: &ErasedConversations,
) -> Result<bool, NotificationError> {
    let ErasedConversations { contacts, conversations, .. } = erased;
    loop {
        let tx = app.db.begin_for(account).await?;
        // A mail that is queued from now on finds the ids.
        store::mail_counts::lock(&tx, account).await?;
        let now = tx.now().await?;
        store::erased_ids::insert(&tx, account, contacts, now).await?;
        store::erased_ids::insert(&tx, account, conversations, now).await?;
        let part = store::deliveries::list_to_erase_for_update(&tx, account, conversations, contacts, PART).await?;
        let (sending, rest): (Vec<_>, Vec<_>) =
            part.into_iter().partition(|delivery| delivery.status == DeliveryStatus::Sending);
        let is_last = rest.is_empty();
        for mut delivery in rest {
            store::mail_counts::delete_retries_to(&tx, account, &delivery.recipient_email).await?;
            if delivery.kind == DeliveryKind::AddressVerification {
                // A hash that anyone can compare who knows the address and the visitor.
                let subject = AddressCode::subject_of(&delivery.requested_by, &delivery.recipient_email);
                store::address_codes::delete(&tx, account, &subject).await?;
            }
            delivery.erase();
            store::deliveries::save(&tx, &delivery).await?;
            store::deliveries::delete_mail(&tx, account, delivery.id).await?;
        }
        tx.commit().await?;
        if is_last {
            return Ok(sending.is_empty());
        }
    }
}
