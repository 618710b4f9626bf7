//! The smallest size of the chaos run, as part of every test run: a mixed load, cancelled calls, watchers, races with the
//! timeout, racing starts and transcripts, under kills, connection resets and lost acknowledgements.

#![allow(clippy::print_stdout, reason = "the figures of the run")]

use frontdesk_chaos::rows::{Run, Size};

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_holds_while_processes_are_killed_and_connections_reset() {
    let seed = std::env::var("FRONTDESK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let program = std::env::current_exe().expect("a path");
    // target/debug/deps/<this test>
    let target = program.ancestors().nth(3).expect("the target folder").to_owned();
    let folder = target.join("chaos").join(format!("test-{seed}"));
    println!("seed {seed}; the files of the run are in {}", folder.display());
    let report = Run::new(Size::Smoke, seed, &folder).expect("a folder").run(&[]).await;
    report.print();
    assert!(report.passes(), "see above, and {}", folder.display());
    let _ = std::fs::remove_dir_all(folder);
}
