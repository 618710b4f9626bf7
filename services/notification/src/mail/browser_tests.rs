//! A transcript in the distribution's Chromium, on a phone and on a desktop, light and dark. The pictures are in `target/mails`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{sample::sample, *};

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
    let language = language(&["en"]).unwrap();
    let mail = html(&transcript, language, "Your chat with Rossi Bicycles").unwrap();
    assert_eq!(mail.matches(DARK).count(), 1);
    for (scheme, query, sheet) in [("light", "not all", "rgb(255, 255, 255)"), ("dark", "all", "rgb(29, 35, 43)")] {
        let mail = mail.replace(DARK, &format!("@media {query}"));
        for width in [375, 1024] {
            let file = work.path().join(format!("{scheme}-{width}.html"));
            fs::write(&file, page(&mail, width)).unwrap();
            let url = format!("file://{}", file.display());
            let picture = target.join(format!("transcript-{scheme}-{width}.png"));
            let _ = fs::remove_file(&picture);
            run(&chromium, work.path(), &[&format!("--screenshot={}", picture.display()), &url]);
            let bytes = fs::read(&picture).unwrap();
            assert!(bytes.starts_with(b"\x89PNG"), "{}", picture.display());
            let shown = run(&chromium, work.path(), &["--dump-dom", &url]);
            let measured = shown.split("data-measured=\"").nth(1).and_then(|rest| rest.split('"').next());
            assert_eq!(measured, Some(format!("{width} {sheet}").as_str()), "{scheme}, {width}: width and colour");
            println!("{}", picture.display());
        }
    }
}
