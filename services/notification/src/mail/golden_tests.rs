//! The bytes of one transcript with everything in it, in each language. `UPDATE_GOLDEN=1 cargo test -p frontdesk-notification golden`
//! writes the files of `golden/` again: look at their difference before you commit it.

use std::{fs, path::PathBuf};

use super::{sample::sample, *};

#[test]
fn t6_t7_the_bytes_of_a_transcript_are_those_of_the_golden_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/mail/golden");
    let transcript = sample();
    for tag in ["en", "it"] {
        let language = language(&[tag]).unwrap();
        let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
        let parts = [
            ("html", html(&transcript, language, &subject).unwrap()),
            ("txt", text(&transcript, language, &subject).unwrap()),
        ];
        for (ending, rendered) in parts {
            assert_eq!(rendered.matches('\n').count(), rendered.matches("\r\n").count(), "mail has CRLF");
            let (path, rendered) = (folder.join(format!("transcript.{tag}.{ending}")), rendered.replace("\r\n", "\n"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&path, &rendered).unwrap();
            }
            let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert!(rendered == golden, "{} differs; UPDATE_GOLDEN=1 writes it again:\n{rendered}", path.display());
        }
    }
}
