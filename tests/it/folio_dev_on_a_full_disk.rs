//! `folio dev` on a disk that gets full: it ends and says why, and with more room it has everything it acknowledged.
//!
//! Needs no server, but a mount namespace of its own; where the machine gives none, it says so and shows nothing.

use std::fs;
use std::process::{Child, Command};

use anyhow::{Context as _, ensure};
use cli::system::binaries;
use local_servers::free_port;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use testkit::client::product;
use testkit::{Client, eventually};

/// The disk is a file system in memory that nobody else sees. The program runs on it until it ends, and then again with more room.
const SCRIPT: &str = r#"
out=$1 disk=$1/disk; shift
mkdir "$disk" && mount -t tmpfs -o size=150m folio "$disk" || { echo "no mount" > "$out/skipped"; exit 0; }
"$@" 2> "$out/told"; echo $? > "$out/code"
mount -o remount,size=600m "$disk"
exec "$@"
"#;
/// Clients that write until nobody answers.
const WRITERS: usize = 8;
/// A product of about 10 KB: the disk is full soon.
const DESCRIPTION: usize = 9_000;

struct InNamespace(Child);

impl Drop for InNamespace {
    fn drop(&mut self) {
        // It fails only if the process has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_loses_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let out = tempfile::tempdir()?;
    let [http, grpc, ops] = [free_port()?, free_port()?, free_port()?].map(|port| port.to_string());
    let started = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(out.path())
        .arg(binaries()?.join("folio"))
        .args(["dev", "--no-seed", "--port", &http, "--grpc-port", &grpc, "--ops-port", &ops, "--data-dir"])
        .arg(out.path().join("disk/data"))
        .spawn();
    let mut folio = InNamespace(started.context("this test needs `unshare` of util-linux")?);
    let health = Client::new(&format!("http://127.0.0.1:{ops}"));
    let is_ready = async || health.get("/readyz").await.is_ok_and(|it| it.status == 200);
    let skipped = out.path().join("skipped");
    let ready = eventually(
        "it is ready",
        async || {
            skipped.exists() || folio.0.try_wait().is_ok_and(|ended| ended.is_some()) || is_ready().await
        },
        |done| *done,
    );
    ready.await;
    // The script makes it when it has the mount.
    let told = out.path().join("told");
    if skipped.exists() || !told.exists() {
        eprintln!("SKIPPED: this machine gives no mount namespace: nothing is shown of full disks");
        return Ok(());
    }

    ensure!(is_ready().await, "{}", fs::read_to_string(&told)?);

    let client = Client::new(&format!("http://127.0.0.1:{http}"));
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(fill(client.clone(), number))).collect();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await?);
    }
    let code =
        eventually("it ends", async || fs::read_to_string(out.path().join("code")).ok(), Option::is_some);
    assert_eq!(code.await.as_deref(), Some("1\n"));
    let told = fs::read_to_string(told)?;
    let last = told.lines().last().unwrap_or_default();
    assert!(last.contains("no space left on") && last.contains("then start again"), "{told}");
    assert!(acknowledged.len() > 100, "only {} products fit", acknowledged.len());

    eventually("it is ready again", is_ready, |ready| *ready).await;
    for (id, event_id) in &acknowledged {
        is_there(&client, id, event_id).await?;
    }
    println!("{} products were acknowledged before the disk was full", acknowledged.len());
    kill(Pid::from_raw(i32::try_from(folio.0.id())?), Signal::SIGTERM)?;
    let ended = eventually("it ends when told", async || folio.0.try_wait().ok().flatten(), Option::is_some);
    assert!(ended.await.is_some_and(|status| status.success()));
    Ok(())
}

/// Creates products until one is not accepted; ids and events of the others.
async fn fill(client: Client, writer: usize) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let id = format!("p-{writer}-{number}");
        let mut body = product(&id);
        body["product_id"] = json!(id);
        body["description"] = json!(noise(writer * 1_000_003 + number));
        let Ok(reply) = client.post("/v1/products", &[], &body).await else { break };
        if reply.status != 201 {
            let said = reply.status.as_u16();
            assert!(matches!(said, 429 | 503 | 504), "{said}: {}", reply.body);
            break;
        }
        acknowledged.push((id, reply.body["event_id"].as_str().unwrap_or_default().to_owned()));
    }
    acknowledged
}

/// Words that no compression makes small.
fn noise(seed: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut text = String::with_capacity(DESCRIPTION);
    while text.len() < DESCRIPTION {
        // splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        text += &(mixed ^ (mixed >> 27)).to_string();
        text.push(' ');
    }
    text.truncate(DESCRIPTION);
    text
}

async fn is_there(client: &Client, id: &str, event_id: &str) -> anyhow::Result<()> {
    let path = format!("/v1/products/{id}");
    let found = async || client.get(&path).await.ok().filter(|it| it.status == 200);
    let reply = eventually("an acknowledged product is there", found, Option::is_some).await;
    let reply = reply.context("an answer")?;
    ensure!(reply.body["event_id"] == event_id, "{id} is of another event: {}", reply.body);
    Ok(())
}
