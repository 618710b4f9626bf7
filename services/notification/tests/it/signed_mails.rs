//! Mails that are signed with DKIM: rules T5, T9.

use frontdesk_notification::{DkimKeySettings, NotificationSettings};
use frontdesk_proto::notification::v1::{DeliveryStatus, TranscriptPart};
use frontdesk_testkit::{Mode, on_both_modes};

use crate::chat::Chat;

on_both_modes!(t5_t9_a_sender_with_a_key_signs_its_mails_and_their_previews);

/// The private key of RFC 8463, appendix A.2.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";

async fn t5_t9_a_sender_with_a_key_signs_its_mails_and_their_previews(mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dkim.pem");
    std::fs::write(&path, KEY).unwrap();
    let key = DkimKeySettings {
        sender: "acme.example".into(),
        selector: "frontdesk1".into(),
        key_path: path.to_string_lossy().into_owned(),
    };
    let settings = NotificationSettings { dkim_keys: vec![key], ..NotificationSettings::default() };
    let chat = Chat::closed_with(mode, settings).await;
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let mail = chat.fixture.mail(&delivery.id);
    let signature = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=acme.example; s=frontdesk1;";
    assert!(mail.starts_with(signature), "{mail}");
    assert_eq!(chat.previewed_part(TranscriptPart::Mail).await, mail);
    // The mail with the code of the sender came from the installation's address, which has no key.
    let signed = chat.fixture.mailbox().iter().filter(|(_, mail)| mail.contains("DKIM-Signature")).count();
    assert_eq!((signed, chat.fixture.mailbox().len()), (1, 2));
}
