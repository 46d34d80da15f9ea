//! `folio dev` as people run it: what it prints can be run, it ends when told, it refuses what it cannot have, and whatever was
//! acknowledged survives `kill -9`.
//!
//! Needs no server.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use adapter_registry::{LocalRegistry, Registry};
use anyhow::{Context as _, bail, ensure};
use cli::system::binaries;
use contract::avro::SchemaIds;
use contract::topics::EVENTS;
use domain::Status;
use event_reader::SchemaSource as _;
use local_servers::free_port;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use testkit::history::{Catalog, Load, Writer, check};
use testkit::{Client, Oracle, PATIENCE, eventually};

/// The process, and where it says what. Killed with this, if it still runs.
struct Folio {
    child: Child,
    said: PathBuf,
    complained: PathBuf,
    _dir: TempDir,
}

impl Folio {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (said, complained) = (dir.path().join("stdout"), dir.path().join("stderr"));
        let child = Command::new(binaries()?.join("folio"))
            .arg("dev")
            .args(arguments)
            .stdout(File::create(&said)?)
            .stderr(File::create(&complained)?)
            .spawn()?;
        Ok(Self { child, said, complained, _dir: dir })
    }

    /// On free ports.
    fn anywhere(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start(&[&["--port", "0", "--grpc-port", "0", "--ops-port", "0"], arguments].concat())
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    fn complained(&self) -> String {
        std::fs::read_to_string(&self.complained).unwrap_or_default()
    }

    /// Waits until it says `text`; all that it has said.
    async fn says(&mut self, text: &str) -> anyhow::Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if said.contains(text) {
                return Ok(said);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{status} before it said {text:?}: {said}{}", self.complained());
            }
            ensure!(Instant::now() < until, "it never said {text:?}: {said}{}", self.complained());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The address of its HTTP port, as it prints it.
    async fn address(&mut self) -> anyhow::Result<String> {
        let said = self.says("Ctrl-C ends it").await?;
        let address = said.split("commands and queries").nth(1).and_then(|it| it.split("/v1/").next());
        Ok(address.context("an address")?.trim().to_owned())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    async fn ends(&mut self) -> anyhow::Result<ExitStatus> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "it does not end: {}{}", self.said(), self.complained());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Folio {
    fn drop(&mut self) {
        // It fails only if the process has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a line as it was printed; the JSON it prints.
async fn run(line: &str) -> anyhow::Result<Value> {
    let line = line.to_owned();
    let shell = move || Command::new("sh").args(["-c", &line]).output();
    let out = tokio::task::spawn_blocking(shell).await??;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    serde_json::from_str(&text).with_context(|| format!("{text}{}", String::from_utf8_lossy(&out.stderr)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_prints_can_be_run_and_ctrl_c_ends_it_without_a_trace() -> anyhow::Result<()> {
    let mut folio = Folio::anywhere(&[])?;
    let said = folio.says("products are in and can be found").await?;
    assert!(
        said.contains("nothing is replicated") && said.contains("216 products") && said.contains("temporary"),
        "{said}"
    );
    let lines: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("  curl").map(|_| line.trim())).collect();
    let [read, search, command] = lines[..] else { bail!("three lines to copy: {said}") };
    let product = run(read).await?;
    assert_eq!(product["product_id"], "diamond-00001");
    let found = run(search).await?;
    assert!(found["total"].as_u64() > Some(10), "a typo finds what was meant: {found}");
    assert!(found["facets"].to_string().contains("jewelry/diamonds"), "{found}");
    let history = run(command).await?;
    assert_eq!(history["items"][0]["version"], 2, "the command is in the history: {history}");
    let data = said.lines().find_map(|line| line.strip_prefix("data")).context("a line for the data")?;
    let data = PathBuf::from(data.split(':').next().unwrap_or_default().trim());
    assert!(data.is_dir(), "{}", data.display());
    // As a shell's `timeout` does: to the process and to its group.
    folio.signal(Signal::SIGINT)?;
    folio.signal(Signal::SIGINT)?;
    assert!(folio.ends().await?.success(), "{}", folio.complained());
    assert!(folio.said().contains("gone") && !data.exists(), "{}", folio.said());
    assert_eq!(complaints(&folio), "", "nothing to complain of");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_products_it_prints_what_brings_the_first() -> anyhow::Result<()> {
    let mut folio = Folio::anywhere(&["--no-seed"])?;
    let said = folio.says("Ctrl-C ends it").await?;
    let lines: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("  curl").map(|_| line.trim())).collect();
    let [command, read, search] = lines[..] else { bail!("three lines to copy: {said}") };
    for _ in 0..2 {
        // Told to create it again, it says that it is there.
        assert_eq!(run(command).await?["items"][0]["version"], 1);
    }
    let product = eventually(
        "it can be read",
        async || run(read).await.ok(),
        |it| it.as_ref().is_some_and(|it| it["product_id"] == "mug-1"),
    );
    product.await;
    let found = eventually(
        "it can be found",
        async || run(search).await.ok(),
        |it| it.as_ref().is_some_and(|it| it["total"] == 1),
    );
    found.await;
    folio.signal(Signal::SIGTERM)?;
    assert!(folio.ends().await?.success(), "{}", folio.complained());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_kept_sown_once_and_refused_to_a_second() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("data");
    let dir = dir.to_str().context("a path that is text")?;
    let mut first = Folio::anywhere(&["--data-dir", dir])?;
    let said = first.says("can be found").await?;
    assert!(said.contains("216 new, 0 that were there already") && said.contains("durable"), "{said}");
    let client = Client::new(&first.address().await?);
    let reason = serde_json::json!({ "reason": "sold out" });
    let deleted = client.post("/v1/products/diamond-00251:delete", &[], &reason).await?;
    assert_eq!(deleted.status, 200, "{}", deleted.body);

    let mut second = Folio::anywhere(&["--data-dir", dir])?;
    assert_eq!(second.ends().await?.code(), Some(1));
    let told = second.complained();
    assert!(told.contains(dir) && told.contains(&format!("process {}", first.child.id())), "{told}");

    first.signal(Signal::SIGTERM)?;
    assert!(first.ends().await?.success(), "{}", first.complained());
    let mut third = Folio::anywhere(&["--data-dir", dir])?;
    let said = third.says("can be found").await?;
    assert!(said.contains("0 new, 216 that were there already"), "{said}");
    let gone = Client::new(&third.address().await?).get("/v1/products/diamond-00251").await?;
    assert_eq!(gone.status, 410, "what was deleted stays so: {}", gone.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_cannot_have_is_named_with_what_to_do() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    for option in ["--port", "--grpc-port", "--ops-port"] {
        let mut arguments = vec!["--port", "0", "--grpc-port", "0", "--ops-port", "0", "--no-seed"];
        let at = arguments.iter().position(|it| *it == option).context("an option")?;
        arguments[at + 1] = &port;
        let mut folio = Folio::start(&arguments)?;
        assert_eq!(folio.ends().await?.code(), Some(1), "{option}");
        let told = folio.complained();
        assert!(told.contains(&format!("127.0.0.1:{port}")) && told.contains(option), "{told}");
    }
    let foreign = tempfile::tempdir()?;
    std::fs::write(foreign.path().join("thesis.tex"), "years of work")?;
    let mut folio = Folio::anywhere(&["--data-dir", foreign.path().to_str().context("a text")?])?;
    assert_eq!(folio.ends().await?.code(), Some(1));
    assert!(folio.complained().contains("thesis.tex"), "{}", folio.complained());
    let other = tempfile::tempdir()?;
    std::fs::write(other.path().join("format"), "data of folio dev, format 2\n")?;
    let mut folio = Folio::anywhere(&["--data-dir", other.path().to_str().context("a text")?])?;
    assert_eq!(folio.ends().await?.code(), Some(1));
    assert!(folio.complained().contains("format 2"), "{}", folio.complained());
    for wrong in [&["--port", "many"][..], &["--seed", "rubies"], &["--no-seed", "--seed", "sample"]] {
        let mut folio = Folio::start(wrong)?;
        assert_eq!(folio.ends().await?.code(), Some(2), "{wrong:?}: {}", folio.complained());
    }
    Ok(())
}

#[test]
fn a_test_in_python_can_start_it_and_use_it() -> anyhow::Result<()> {
    let root = local_servers::project_root()?;
    let out = Command::new("python3")
        .arg(root.join("examples/with_folio_dev.py"))
        .arg(binaries()?.join("folio"))
        .output()?;
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(told.trim(), "written, read, and found 1 time");
    Ok(())
}

const KILLS: usize = 50;
/// How long it works between two kills.
const WORKS: Duration = Duration::from_millis(400);
const WRITERS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_acknowledged_survives_fifty_kills() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("data");
    let ports = [free_port()?, free_port()?, free_port()?].map(|port| port.to_string());
    let path = dir.to_str().context("a path that is text")?;
    let [http, grpc, ops] = &ports;
    let arguments = ["--data-dir", path, "--port", http, "--grpc-port", grpc, "--ops-port", ops, "--no-seed"];
    let client = Client::new(&format!("http://127.0.0.1:{http}"));
    let load = Load {
        products: 200,
        hot: 4,
        hot_share: 0.1,
        unknown: 4,
        impatient: 0.0,
        repeated: 0.05,
        pause: Duration::from_millis(1),
    };
    let catalog = Arc::new(Catalog::new(load, 1));
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let mut writer = Writer::new(number, 1, &catalog, std::slice::from_ref(&client));
            tokio::spawn(async move {
                let mut recorded = writer.create(WRITERS).await;
                recorded.extend(writer.run(usize::MAX).await);
                recorded
            })
        })
        .collect();
    let mut answered = Vec::new();
    for _ in 0..KILLS {
        let before = catalog.answered();
        let mut folio = Folio::start(&arguments)?;
        eventually("commands are answered", async || catalog.answered(), |now| *now > before).await;
        tokio::time::sleep(WORKS).await;
        answered.push(catalog.answered() - before);
        folio.signal(Signal::SIGKILL)?;
        assert!(!folio.ends().await?.success());
        assert_eq!(complaints(&folio), "", "a start after kill -9 has nothing to complain of");
    }
    let mut folio = Folio::start(&arguments)?;
    catalog.stop();
    let mut recorded = Vec::new();
    for writer in writers {
        recorded.extend(writer.await?);
    }
    folio.signal(Signal::SIGTERM)?;
    assert!(folio.ends().await?.success(), "{}", folio.complained());

    let oracle = judged(&dir).await?;
    let verdict = check(&oracle, &recorded);
    assert_eq!(verdict.violations, 0, "{:#?}", verdict.first);
    println!("{KILLS} kills; answers in between: {answered:?}; {verdict:?}");
    assert!(verdict.told("accepted") > 1_000, "{verdict:?}");

    let mut folio = Folio::start(&arguments)?;
    folio.address().await?;
    read_models_equal_the_log(&oracle, &client).await?;
    folio.signal(Signal::SIGTERM)?;
    assert!(folio.ends().await?.success(), "{}", folio.complained());
    Ok(())
}

/// What the log in a data directory holds, judged independently.
async fn judged(dir: &Path) -> anyhow::Result<Oracle> {
    let log = folio_dev::open_log(dir)?;
    let schemas = Registry::Local(LocalRegistry::knowing(EVENTS)).of_topic(EVENTS);
    let ids = schemas.ids().await.map_err(|error| anyhow::anyhow!("{}", error.problem))?;
    Oracle::of(&log.reader(), &SchemaIds::new(ids)?).await
}

/// Every product, its history and the search say what the log says.
async fn read_models_equal_the_log(oracle: &Oracle, client: &Client) -> anyhow::Result<()> {
    let head_of = |id: &String| oracle.products[id].last().context("a history has events");
    for (id, events) in &oracle.products {
        let head = head_of(id)?;
        let path = format!("/v1/products/{id}");
        let reply = eventually(
            "the product is there",
            async || client.get(&path).await.ok(),
            |reply| {
                reply.as_ref().is_some_and(|it| match it.status.as_u16() {
                    200 => it.body["version"] == head.version,
                    410 => it.body["current_version"] == head.version,
                    _ => false,
                })
            },
        )
        .await
        .context("an answer")?;
        assert_eq!(reply.status == 410, head.after.status == Status::Deleted, "{id}: {}", reply.body);
        if reply.status == 200 {
            let price = &reply.body["price"]["minor_units"];
            assert_eq!(price.as_u64(), Some(head.after.price.minor_units()), "{id}");
            assert_eq!(reply.body["event_id"], head.event_id.to_string(), "{id}");
            assert_eq!(reply.body["name"], head.after.name.as_str(), "{id}");
        }
        let mut told = Vec::new();
        let mut token = Some(String::new());
        while let Some(next) = token {
            let path = format!("/v1/products/{id}/history?order=asc&page_size=100&page_token={next}");
            let page = client.get(&path).await?;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            let items = page.body["items"].as_array().cloned().unwrap_or_default();
            told.extend(
                items.into_iter().map(|item| item["event_id"].as_str().unwrap_or_default().to_owned()),
            );
            token = page.body["next_page_token"].as_str().map(str::to_owned);
        }
        let expected: Vec<String> = events.iter().map(|event| event.event_id.to_string()).collect();
        assert_eq!(told, expected, "the history of {id}");
    }
    let heads = oracle.products.keys().map(head_of).collect::<anyhow::Result<Vec<_>>>()?;
    let living = heads.iter().filter(|head| head.after.status != Status::Deleted).count();
    eventually(
        "the search finds all that is not deleted",
        async || client.get("/v1/search?page_size=1").await.map(|it| it.body["total"].clone()).ok(),
        |total| *total == Some(living.into()),
    )
    .await;
    Ok(())
}

/// What it complained of, but that callers are not checked: that it says at every start.
fn complaints(folio: &Folio) -> String {
    folio.complained().lines().filter(|line| !line.contains("auth.allow_anonymous")).collect()
}
