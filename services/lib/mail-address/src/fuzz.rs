//! Row S8: any text is an address in one spelling, or none.

use frontdesk_fuzz::{check, text};

use crate::{canonical, parse};

const PIECES: &[&str] = &[
    "@",
    ".",
    "a",
    "example",
    "com",
    "xn--bcher-kva",
    "ü",
    "＠",
    "\"",
    "<",
    ">",
    " ",
    "%",
    "!",
    "[127.0.0.1]",
    "\u{200B}",
    "\u{AD}",
    "\r\n",
    ",",
    "-",
];

#[test]
fn s8_an_address_has_one_spelling_and_no_character_that_a_header_gives_a_meaning() {
    check!().with_generator(text(PIECES, 16)).for_each(|written| {
        let Some(address) = canonical(written) else { return };
        assert_eq!(canonical(&address).as_deref(), Some(address.as_str()));
        assert_eq!(parse(&address), Some(address.as_str()));
        assert!(address.is_ascii() && address.len() <= 254, "{address}");
        assert!(
            !address.contains(|char: char| char.is_ascii_control() || " ,;:<>()[]\"\\%!`".contains(char)),
            "{address}"
        );
        assert_eq!(address.matches('@').count(), 1, "{address}");
    });
}
