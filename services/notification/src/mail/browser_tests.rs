//! A transcript, and the page of a whole one, in each language, in the distribution's Chromium, on a phone and on a desktop, light and dark.
//! The pictures are in `target/mails`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{sample::sample, *};
use crate::{domain::Content, web::CONTENT_POLICY};

/// The query that the styles for dark mail clients have.
const DARK: &str = "@media (prefers-color-scheme: dark)";

fn chromium() -> PathBuf {
    if let Some(path) = std::env::var_os("FRONTDESK_TEST_CHROMIUM") {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path).flat_map(|folder| candidates.map(|name| folder.join(name)));
    found.into_iter().find(|path| path.exists()).expect("Chromium, or FRONTDESK_TEST_SKIP=browser")
}

/// A page that shows the mail in a frame as wide as the client, and notes its width and the colour of its sheet.
fn page(mail: &str, width: u32) -> String {
    let mail = mail.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        r#"<!doctype html><meta charset="utf-8"><title>mail</title>
<body style="margin:0"><iframe id="mail" style="border:0;display:block;width:{width}px;height:2400px" srcdoc="{mail}"></iframe>
<script>
window.onload = () => {{
  const shown = document.getElementById("mail").contentDocument;
  const colour = getComputedStyle(shown.querySelector(".sheet")).backgroundColor;
  document.body.setAttribute("data-measured", shown.documentElement.scrollWidth + " " + colour);
}};
</script></body>"#
    )
}

fn run(chromium: &Path, profile: &Path, arguments: &[&str]) -> String {
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--no-first-run", "--window-size=1100,2400"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Takes the picture of a page at the width of a phone and of a desktop, light and dark, and checks its width and the colour of its sheet.
fn look_at(chromium: &Path, work: &Path, target: &Path, name: &str, shown: &str) {
    assert_eq!(shown.matches(DARK).count(), 1, "{name}");
    for (scheme, query, sheet) in [("light", "not all", "rgb(255, 255, 255)"), ("dark", "all", "rgb(29, 35, 43)")] {
        let shown = shown.replace(DARK, &format!("@media {query}"));
        for width in [375, 1024] {
            let file = work.join(format!("{name}-{scheme}-{width}.html"));
            fs::write(&file, page(&shown, width)).unwrap();
            let url = format!("file://{}", file.display());
            let picture = target.join(format!("{name}-{scheme}-{width}.png"));
            let _ = fs::remove_file(&picture);
            run(chromium, work, &[&format!("--screenshot={}", picture.display()), &url]);
            let bytes = fs::read(&picture).unwrap();
            assert!(bytes.starts_with(b"\x89PNG"), "{}", picture.display());
            let shown = run(chromium, work, &["--dump-dom", &url]);
            let measured = shown.split("data-measured=\"").nth(1).and_then(|rest| rest.split('"').next());
            let expected = format!("{width} {sheet}");
            assert_eq!(measured, Some(expected.as_str()), "{name}, {scheme}, {width}: width and colour");
            println!("{}", picture.display());
        }
    }
}

/// The page of a whole transcript, as the link in a mail opens it: written part by part, under the policy of its answer.
fn whole_page(language: &Language) -> String {
    let mut transcript = sample();
    // Nothing is left out of it.
    transcript.lines.retain(|line| !matches!(line.content, Content::Omitted { .. }));
    let lines = std::mem::take(&mut transcript.lines);
    let style = Style { language, zone: &transcript.zone, links_end_at: transcript.links_end_at };
    let mut page = WholePage::try_new(&transcript, language).unwrap();
    let written = [page.top(), page.lines(&lines, &style).unwrap(), page.bottom()].concat();
    let policy = format!("<head><meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_POLICY}\">");
    assert_eq!(written.matches("<head>").count(), 1);
    written.replace("<head>", &policy)
}

#[test]
fn t6_a_transcript_fits_a_phone_and_a_desktop_in_light_and_in_dark() {
    if std::env::var("FRONTDESK_TEST_SKIP").is_ok_and(|skipped| skipped.contains("browser")) {
        println!("skipped: FRONTDESK_TEST_SKIP names the browser");
        return;
    }
    let (chromium, work) = (chromium(), tempfile::tempdir().unwrap());
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("mails");
    fs::create_dir_all(&target).unwrap();
    let transcript = sample();
    for tag in ["en", "it"] {
        let language = language(&[tag]).unwrap();
        let subject = default_subject(language, &transcript.channel, transcript.to_visitor);
        let mail = html(&transcript, language, &subject).unwrap();
        look_at(&chromium, work.path(), &target, &format!("transcript-{tag}"), &mail);
        look_at(&chromium, work.path(), &target, &format!("whole-{tag}"), &whole_page(language));
    }
}
