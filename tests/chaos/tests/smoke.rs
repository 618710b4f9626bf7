//! The smallest size of the torments, as part of every test run: a mixed load, cancelled calls, watchers, races with the
//! timeout and transcripts, under kills, cuts and lost acknowledgements.

#![allow(clippy::print_stdout, reason = "a test tells what it measured")]

use frontdesk_chaos::rows::{Bench, Size};

#[tokio::test(flavor = "multi_thread")]
async fn everything_holds_while_processes_are_killed_and_connections_cut() {
    let seed = std::env::var("FRONTDESK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let ours = std::env::current_exe().expect("a path");
    // target/debug/deps/<this test>
    let target = ours.ancestors().nth(3).expect("the target folder").to_owned();
    let folder = target.join("chaos").join(format!("test-{seed}"));
    println!("seed {seed}; the run is kept in {}", folder.display());
    let report = Bench::new(Size::Smoke, seed, &folder).expect("a folder").run(&[]).await;
    report.print();
    assert!(report.passes(), "see above, and {}", folder.display());
    let _ = std::fs::remove_dir_all(folder);
}
