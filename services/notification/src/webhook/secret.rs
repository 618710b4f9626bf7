//! The secrets that sign requests, in the form of Standard Webhooks. They are derived from the installation's secret and stored nowhere.

use aws_lc_rs::hmac;
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use frontdesk_auth::InstallationSecret;
use frontdesk_clock::Time;

use crate::domain::{SecretVersion, WebhookEndpoint};

/// A secret of an endpoint.
pub(crate) struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Returns a secret of an endpoint. None: the installation's secret that it is derived from is not in use any more.
    pub(crate) fn derive(
        installation: &InstallationSecret,
        endpoint: &WebhookEndpoint,
        secret: &SecretVersion,
    ) -> Option<Self> {
        let derived = installation.derive(&secret.source, endpoint.account, endpoint.id, secret.number)?;
        URL_SAFE_NO_PAD.decode(derived).ok().map(Self)
    }

    /// Returns it as receivers take it.
    pub(crate) fn to_text(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.0))
    }

    /// Returns the signature of a request.
    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(context.sign()))
    }

    /// Returns the header `webhook-signature`: a signature of each secret that is valid now. None: there is none.
    pub(crate) fn signatures(
        installation: &InstallationSecret,
        endpoint: &WebhookEndpoint,
        id: &str,
        now: Time,
        body: &str,
    ) -> Option<String> {
        let timestamp = now.to_proto().seconds;
        let secrets = endpoint.valid_secrets(now).filter_map(|secret| Self::derive(installation, endpoint, secret));
        let signatures: Vec<String> = secrets.map(|secret| secret.sign(id, timestamp, body)).collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_a_signature_is_that_of_the_libraries_of_standard_webhooks() {
        // A vector of their own tests.
        let secret = WebhookSecret(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        assert_eq!(secret.to_text(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
