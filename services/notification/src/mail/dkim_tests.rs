use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};

use super::*;

/// The private key of RFC 8463, appendix A.2.
const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";

/// The message of RFC 8463, appendix A.3.
const MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\
    \r\n\
    We lost the game.  Are you hungry yet?\r\n\
    \r\n\
    Joe.\r\n";

/// The key in a file, as OpenSSL writes it.
fn key_file(folder: &std::path::Path) -> String {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(STANDARD.decode(SEED).unwrap());
    let path = folder.join("dkim.pem");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    std::fs::write(&path, pem).unwrap();
    path.to_string_lossy().into_owned()
}

fn setting(sender: &str, key_path: &str) -> DkimKeySettings {
    DkimKeySettings { sender: sender.into(), selector: "brisbane".into(), key_path: key_path.into() }
}

fn keys(sender: &str) -> DkimKeys {
    let folder = tempfile::tempdir().unwrap();
    DkimKeys::try_load(&[setting(sender, &key_file(folder.path()))]).unwrap()
}

#[test]
fn t5_the_example_of_rfc_8463_has_its_signature() {
    let key = keys("football.example.com").find("joe@football.example.com").unwrap();
    assert_eq!(STANDARD.encode(key.pair.public_key()), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    let (head, body) = MESSAGE.split_once("\r\n\r\n").unwrap();
    let body_hash = STANDARD.encode(Sha256::digest(relaxed_body(body)));
    assert_eq!(body_hash, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    let unsigned = format!(
        "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
         q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : date;\r\n \
         bh={body_hash};\r\n b="
    );
    let names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
    let signature = key.pair.sign(&digest(&headers(head), &names, &unsigned));
    let expected = "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==";
    assert_eq!(STANDARD.encode(signature), expected);
}

/// Whether the first header of the mail is a valid signature of the rest, by what the header itself says.
fn is_valid(mail: &[u8], key: &DkimKey) -> bool {
    let (head, body) = std::str::from_utf8(mail).unwrap().split_once("\r\n\r\n").unwrap();
    let mut all = headers(head);
    let own = all.remove(0);
    let tag = |name: &str| {
        let tags = own.split_once(':').unwrap().1.replace("\r\n", "").replace(' ', "");
        tags.split(';').find_map(|tag| tag.strip_prefix(name)?.strip_prefix('=').map(str::to_owned)).unwrap()
    };
    let (names, signature) = (tag("h"), tag("b"));
    let names: Vec<&str> = names.split(':').collect();
    let unsigned = own.strip_suffix(&signature).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, key.pair.public_key().as_ref().to_vec());
    tag("bh") == STANDARD.encode(Sha256::digest(relaxed_body(body)))
        && public.verify(&digest(&all, &names, unsigned), &STANDARD.decode(signature).unwrap()).is_ok()
}

#[test]
fn t5_a_signature_holds_until_a_header_or_the_body_changes() {
    let key = keys("football.example.com").find("joe@football.example.com").unwrap();
    let signed = key.sign(MESSAGE.as_bytes(), Time(1_528_637_909_000_000)).unwrap();
    assert_eq!(signed, key.sign(MESSAGE.as_bytes(), Time(1_528_637_909_000_000)).unwrap());
    assert!(is_valid(&signed, &key));
    let text = String::from_utf8(signed).unwrap();
    assert!(text.starts_with("DKIM-Signature: ") && !text.contains(" l="), "{text}");
    for (what, changed, valid) in [
        ("blanks at the end of a line", text.replace("Joe.\r\n", "Joe. \t\r\n"), true),
        ("empty lines at the end", format!("{text}\r\n\r\n"), true),
        ("a folded header", text.replace("Subject: Is dinner", "Subject: Is\r\n dinner"), true),
        ("a header that is not signed", text.replace("\r\n\r\nHi", "\r\nX-Spam: no\r\n\r\nHi"), true),
        ("the subject", text.replace("dinner ready", "lunch ready"), false),
        ("another sender", text.replace("\r\n\r\nHi", "\r\nFrom: eve@evil.example\r\n\r\nHi"), false),
        ("an address to reply to", text.replace("\r\n\r\nHi", "\r\nReply-To: eve@evil.example\r\n\r\nHi"), false),
        ("the text", text.replace("lost the game", "won the game"), false),
        ("more text", format!("{text}P.S. Call me.\r\n"), false),
    ] {
        assert_eq!(is_valid(changed.as_bytes(), &key), valid, "{what}: {changed}");
    }
}

#[test]
fn t5_an_address_has_its_own_key_else_that_of_its_domain() {
    let folder = tempfile::tempdir().unwrap();
    let path = key_file(folder.path());
    let own = DkimKeySettings { selector: "own".into(), ..setting("Team@acme.example", &path) };
    let keys = DkimKeys::try_load(&[setting("acme.example", &path), own]).unwrap();
    let selector = |from: &str| keys.find(from).map(|key| key.selector.clone());
    assert_eq!(selector("team@ACME.example").as_deref(), Some("own"));
    assert_eq!(selector("sales@acme.example").as_deref(), Some("brisbane"));
    assert_eq!(selector("team@sub.acme.example"), None);
    assert!(!format!("{keys:?}").contains("pair"), "no key in a log");
}

#[test]
fn t5_a_key_that_cannot_sign_is_refused_with_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = key_file(folder.path());
    let text = folder.path().join("text");
    std::fs::write(&text, "no key").unwrap();
    let text = text.to_string_lossy().into_owned();
    for (settings, part) in [
        (vec![setting("acme.example", "/nowhere/key.pem")], "openssl genpkey"),
        (vec![setting("acme.example", &text)], "openssl genpkey"),
        (vec![setting("localhost", &path)], "domain"),
        (vec![DkimKeySettings { selector: "a b".into(), ..setting("acme.example", &path) }], "selector"),
        (vec![setting("acme.example", &path), setting("ACME.example", &path)], "two keys"),
    ] {
        let refused = DkimKeys::try_load(&settings).unwrap_err().to_string();
        assert!(refused.starts_with("notification.dkim_keys: ") && refused.contains(part), "{refused}");
    }
}
