//! Queues a mail with a new code to an address, from the installation's own address (rules T5, X1).

use frontdesk_clock::Time;
use frontdesk_db::Tx;
use rand::Rng;

use crate::{
    App,
    domain::Delivery,
    error::NotificationError,
    mail::{self, CodeMail, ComposeError, Envelope, OptionalHeaders},
    store,
};

/// Queues the mail of the delivery, which is composed then. Returns the code: only the mail holds it, and is deleted when it was sent;
/// the caller stores its hash. The mail is in the first language of `languages` that there is, else in the installation's.
pub(crate) async fn mail_code(
    app: &App,
    tx: &mut Tx,
    mut delivery: Delivery,
    to: &str,
    about: CodeMail,
    languages: &[&str],
    now: Time,
) -> Result<String, NotificationError> {
    let failed = |error: ComposeError| NotificationError::Internal(error.to_string());
    let language = mail::language(&[languages, &[app.settings.language.as_str()]].concat()).map_err(failed)?;
    let code = format!("{:08}", rand::rng().random_range(0..100_000_000_u32));
    let (from_name, from) = app.installation_sender.clone();
    let optional = OptionalHeaders { dkim: app.dkim.find(&from), ..OptionalHeaders::default() };
    let envelope = Envelope {
        delivery: delivery.id,
        message_id: mail::message_id(delivery.id, &from),
        date: now,
        from_name,
        from,
        to_name: String::new(),
        to: to.to_owned(),
        subject: about.subject(language).into(),
        optional,
    };
    let composed = mail::compose_code(&envelope, &code, about, language).map_err(failed)?;
    delivery.set_composed(composed.from, composed.to, composed.message_id, now);
    store::deliveries::insert(tx, &delivery).await?;
    store::deliveries::save_mail(tx, &delivery, composed.bytes).await?;
    tx.on_commit(app.wake());
    Ok(code)
}
