//! P20 A shop's export goes in as it is: what cannot is told, with line and column, and importing it again changes nothing.
//!
//! The `folio` binary on the sixty products of a Shopify export, as a stranger would call it; killed in the midst of a larger
//! one, and resumed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use testkit::scenario::caught_up;
use testkit::{Client, OnServers, System, eventually};

fn export() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/cli/tests/data/shopify.csv")
}

/// A folder of the test's own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(system: &OnServers) -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("folio-import-{}", system.prefix()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn folio(file: &Path, more: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(cli::system::binaries()?.join("folio"));
    command.arg("import").arg(file).args(more).stdin(Stdio::null());
    // No local system of whoever runs the tests.
    command.current_dir(file.parent().context("a folder")?);
    Ok(command)
}

/// What `folio import` said, and its exit code.
async fn import(file: &Path, more: &[&str]) -> anyhow::Result<(String, Option<i32>)> {
    let mut command = folio(file, more)?;
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok((format!("{}{}", String::from_utf8(stdout)?, String::from_utf8(stderr)?), status.code()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_products_of_a_shopify_export() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = system.command_service().await?;
    system.projectors().await?;
    let gateway = Client::new(&system.query_gateway().await?.url());
    let (folder, url) = (Folder::new(&system)?, commands.url());
    let file = folder.file("products.csv");
    std::fs::copy(export(), &file)?;
    let real = ["--currency", "USD", "--url", &url];

    let (said, code) = import(&file, &["--dry-run", "--currency", "USD"]).await?;
    assert!(code == Some(0) && said.contains("60 products can be imported, 0 cannot"), "{said}");
    let (said, code) = import(&file, &["--dry-run"]).await?;
    assert!(code == Some(1) && said.contains("column \"Variant Price\": has no currency"), "{said}");

    let (said, code) = import(&file, &real).await?;
    assert!(code == Some(0) && said.contains("60 new, 0 known already, 0 left out"), "{said}");
    let (said, code) = import(&file, &real).await?;
    assert!(code == Some(0) && said.contains("0 new, 60 known already, 0 left out"), "{said}");

    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    let product = gateway.get("/v1/products/classic-tee-s-blue-0").await?;
    assert_eq!(product.status, 404, "an id has digits made of all of it");
    let tote = gateway.get("/v1/products/tote-bag").await?;
    assert_eq!(tote.body["name"], "Tote Bag", "{}", tote.body);
    assert_eq!(tote.body["category"], "Luggage & Bags/Tote Bags");
    assert_eq!(tote.body["version"], 1, "imported twice, created once");

    // A row that changed is told, and changes the product only if that is wished for.
    let text = std::fs::read_to_string(&file)?.replace("Tote Bag,", "Tote Bag XL,");
    std::fs::write(&file, text)?;
    let (said, code) = import(&file, &real).await?;
    assert!(code == Some(1) && said.contains("left out, it exists already"), "{said}");
    let rejected = std::fs::read_to_string(folder.file("products.rejected.csv"))?;
    assert!(rejected.contains("import with --update") && rejected.contains("Tote Bag XL"), "{rejected}");
    let updating: Vec<&str> = real.iter().copied().chain(["--update"]).collect();
    let (said, code) = import(&file, &updating).await?;
    assert!(code == Some(0) && said.contains(" updated") && !said.contains("0 updated"), "{said}");
    let (said, code) = import(&file, &updating).await?;
    assert!(
        code == Some(0) && said.contains("0 new, 0 known already, 0 updated, 60 unchanged, 0 left out"),
        "{said}"
    );
    assert!(!folder.file("products.rejected.csv").exists(), "nothing was left out");
    caught_up(&system, &prefix).await?;
    let tote = gateway.get("/v1/products/tote-bag").await?;
    assert_eq!(
        (&tote.body["name"], &tote.body["version"]),
        (&"Tote Bag XL".into(), &2.into()),
        "{}",
        tote.body
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_go_in_is_told_and_can_be_mended() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let (folder, url) = (Folder::new(&system)?, system.command_service().await?.url());
    let file = folder.file("products.csv");
    let good = std::fs::read_to_string(export())?;
    std::fs::write(&file, good.replacen("12.50", "12.505", 2).replacen("Läufer Sneaker", "", 1))?;
    let real = ["--currency", "USD", "--url", &url];

    let (told, code) = import(&file, &["--dry-run", "--currency", "USD"]).await?;
    assert!(
        code == Some(1) && told.contains("column \"Variant Price\": \"12.505\" has 3 decimals"),
        "{told}"
    );
    assert!(told.contains("line 2, column") && told.contains("column \"Title\": is blank"), "{told}");
    assert!(told.contains("price: 2 problems") && told.contains("name: 3 problems"), "{told}");
    let (said, code) = import(&file, &real).await?;
    assert!(
        code == Some(1) && said.contains("5 left out") && said.contains("products.rejected.csv"),
        "{said}"
    );

    let rejected = folder.file("products.rejected.csv");
    let text = std::fs::read_to_string(&rejected)?;
    assert_eq!(text.matches("12.505").count(), 2 * 2, "in the row and in its reason: {text}");
    let mended = text.replace("12.505", "12.50").replace(",sneaker,,", ",sneaker,Läufer Sneaker,");
    std::fs::write(&rejected, mended)?;
    let (said, code) = import(&rejected, &real).await?;
    assert!(code == Some(0) && said.contains("5 new, 0 known already, 0 left out"), "{said}");
    // So the file as it was is in, whole.
    std::fs::write(&file, good)?;
    let (said, code) = import(&file, &real).await?;
    assert!(code == Some(0) && said.contains("0 new, 60 known already"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_where_it_was() -> anyhow::Result<()> {
    const PRODUCTS: u64 = 30_000;
    let mut system = OnServers::prepare().await?;
    let (folder, url) = (Folder::new(&system)?, system.command_service().await?.url());
    let file = folder.file("many.csv");
    let mut text = String::from("\u{feff}sku;name;price;currency;category;attribute: Größe\r\n");
    for number in 1..=PRODUCTS {
        // Two rows that cannot go in, one early and one late.
        let price = if [10, PRODUCTS - 10].contains(&number) { "cheap" } else { "12,50" };
        let row = format!("art {number};Lampe {number};{price};EUR;Wohnen & Licht/Lampen;{number} cm\r\n");
        text.push_str(&row);
    }
    std::fs::write(&file, text)?;
    let state = folder.file("many.csv.import-state.json");
    let done = || -> u64 {
        let state = std::fs::read(&state).unwrap_or_default();
        serde_json::from_slice::<Value>(&state).ok().and_then(|it| it["done"].as_u64()).unwrap_or_default()
    };
    let mut child = folio(&file, &["--url", &url])?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    eventually("some are in", async || done(), |done| *done >= 1_000).await;
    child.kill()?;
    child.wait()?;
    let before = done();
    ensure!((1_000..PRODUCTS).contains(&before), "{before} were done when it was killed");

    let (said, code) = import(&file, &["--url", &url, "--resume", "--currency", "USD"]).await?;
    assert!(code == Some(1) && said.contains("is of another file, map or way to import"), "{said}");
    let (said, code) = import(&file, &["--url", &url, "--resume"]).await?;
    assert!(code == Some(1) && said.contains(&format!("where {before} products are done")), "{said}");
    assert!(said.contains(&format!("imported {PRODUCTS} products")) && said.contains("2 left out"), "{said}");
    let rejected = std::fs::read_to_string(folder.file("many.rejected.csv"))?;
    assert_eq!(rejected.matches("is not a price").count(), 2, "{rejected}");
    assert!(rejected.lines().nth(1).is_some_and(|row| row.starts_with("11;")), "{rejected}");
    assert!(!state.exists(), "an import that ended leaves no state");

    let log = adapter_kafka::read_topic(&system.config.kafka, system.topic()).await?;
    let audit = log.audit(|_, _, _| {}).await?;
    assert_eq!((audit.products, audit.effective), (PRODUCTS - 2, PRODUCTS - 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_gives_up_on_what_cannot_succeed() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let folder = Folder::new(&system)?;
    let file = folder.file("products.csv");
    std::fs::copy(export(), &file)?;
    let service = system.command_service().await?;
    let elsewhere = |url: &str| import_to(file.clone(), url.to_owned());
    let quick = Duration::from_secs(20);
    for (url, why) in [
        (service.ops(), "give the HTTP address of a command service"),
        (service.url().replace("http://", "https://"), "TLS"),
        (service.grpc(), "HTTP"),
        ("ftp://127.0.0.1:1".to_owned(), "no address of a command service"),
        ("somewhere".to_owned(), "no address"),
    ] {
        let (said, code) = tokio::time::timeout(quick, elsewhere(&url)).await??;
        assert!(code == Some(1) && said.contains(why), "{url}: {said}");
    }
    // What may pass is tried for as long as was said.
    service.service.kill();
    assert!(service.service.wait_ended(quick).await);
    let (said, code) = tokio::time::timeout(
        quick,
        import(&file, &["--currency", "USD", "--url", &service.url(), "--give-up-after", "3"]),
    )
    .await??;
    assert!(code == Some(1) && said.contains("does not answer") && said.contains("--resume"), "{said}");
    Ok(())
}

async fn import_to(file: PathBuf, url: String) -> anyhow::Result<(String, Option<i32>)> {
    import(&file, &["--currency", "USD", "--url", &url]).await
}
