//! The servers start, keep their data through kill -9, and end with the test.

use frontdesk_test_servers::{Nats, Postgres};

#[tokio::test]
async fn postgres_restarts_on_its_data_after_a_kill_and_ends_with_the_test() {
    let mut server = Postgres::start().await;
    server.create_database("shop").await;
    server.psql("shop", "CREATE TABLE t (n INT); INSERT INTO t VALUES (7)").await;
    server.kill().await;
    server.restart().await;
    assert_eq!(server.psql("shop", "SELECT n FROM t").await, "7");
    println!("{}", server.psql("shop", "SELECT version()").await);
    let pid = server.process().pid();
    drop(server);
    ends(pid).await;
}

#[tokio::test]
async fn nats_restarts_after_a_kill_and_the_loss_of_its_store() {
    let mut server = Nats::start().await;
    server.kill().await;
    server.lose_store();
    server.restart().await;
    let pid = server.process().pid();
    drop(server);
    ends(pid).await;
}

async fn ends(pid: i32) {
    for _ in 0..500 {
        if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the process {pid} outlives its owner");
}
