//! Addresses as they may be printed.

/// The text, with user names and passwords hidden in each address that it contains: `nats://ada:s3cret@bus:4222` becomes
/// `nats://(hidden)@bus:4222`, also when the password has characters that an address would have to encode. Several addresses
/// are separated by commas.
pub fn without_credentials(text: &str) -> String {
    let mut shown: Vec<String> = Vec::new();
    for part in parts(text) {
        shown.push(match (part.split_once("://"), part.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://(hidden)@{host}"),
            _ => part.to_owned(),
        });
    }
    shown.join(",")
}

/// Splits at the commas that an address follows; another comma may be part of a password.
fn parts(text: &str) -> Vec<&str> {
    let begins_address = |rest: &str| {
        let scheme = rest.split_once("://").map_or("", |(scheme, _)| scheme.trim_start());
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
    };
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, _) in text.match_indices(',').filter(|(at, _)| begins_address(&text[at + 1..])) {
        parts.push(&text[from..at]);
        from = at + 1;
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            ("nats://ada:s3cret@bus:4222", "nats://(hidden)@bus:4222"),
            ("nats://ada:s3,cr/et?#@bus", "nats://(hidden)@bus"),
            ("nats://a:s3cret@b:1, nats://a:s3cret@c:2", "nats://(hidden)@b:1, nats://(hidden)@c:2"),
            ("http://a:1,http://b:2", "http://a:1,http://b:2"),
            ("ada@shop.example", "ada@shop.example"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
