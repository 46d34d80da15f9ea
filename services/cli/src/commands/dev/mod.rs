//! `folio dev`: all of Folio in this process. Promises that it says where everything is and what it is not, that what it
//! prints can be run as it stands, and that Ctrl-C or SIGTERM ends it in order.

mod seed;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::bail;
use clap::ValueEnum;
use folio_dev::{Dev, Error, Port, Settings};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::say::say;

/// This often it is said what a start waits for.
const SLOW: Duration = Duration::from_secs(3);
/// A signal this soon after the first is the same one.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Keeps the data in DIR, durably. Without it: a temporary directory, not synced to disk, removed at the end.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Port of commands and queries over HTTP; 0 takes a free one, here and below.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Port of commands and queries over gRPC.
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    grpc_port: u16,
    /// Port of health, metrics and the documents of the API.
    #[arg(long, value_name = "PORT", default_value_t = 9464)]
    ops_port: u16,
    /// Begins with what is there, and puts no products in.
    #[arg(long, conflicts_with = "seed")]
    no_seed: bool,
    /// Which products are put in; those that are there already stay as they are.
    #[arg(long, value_enum, default_value_t = Seed::Sample)]
    seed: Seed,
}

/// Products to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Seed {
    /// 216 diamonds of five categories.
    Sample,
    /// All 53,940 of them.
    Diamonds,
}

/// Runs until Ctrl-C, SIGTERM, or until something fails.
///
/// # Errors
/// What is in the way and what to do, or what failed.
pub async fn run(options: Options, settings: Settings) -> anyhow::Result<()> {
    // It mostly waits.
    toolkit::pages::take_small();
    let mut signals = Signals::listen()?;
    // Where callers are checked there is none that could put products in.
    let has_seed = !options.no_seed && settings.auth.allow_anonymous;
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let opened = Dev::open(folio_dev::Options {
        data_dir: options.data_dir,
        http: at(options.port),
        grpc: at(options.grpc_port),
        ops: at(options.ops_port),
        settings,
        ..folio_dev::Options::default()
    });
    let mut dev = tokio::select! {
        opened = opened => opened.map_err(advised)?,
        name = signals.next() => bail!("{name} before it had begun: nothing was changed"),
    };
    let seed = has_seed.then_some(options.seed);
    describe(&dev);
    let url = format!("http://{}", dev.addresses().http);
    let mut ready = pin!(dev.ready());
    loop {
        tokio::select! {
            ended = dev.ended() => return ended.and_then(|()| bail!("it ended by itself")),
            name = signals.next() => return end(dev, name).await,
            () = &mut ready => break,
            () = tokio::time::sleep(SLOW) => say!("not ready yet: {}", dev.missing().join("; ")),
        }
    }
    suggest(&url, seed);
    let seeding = async {
        if let Some(seed) = seed
            && let Err(error) = seed::sow(seed, &url).await
        {
            // What was accepted stays, and so does what others put in meanwhile.
            say!(
                "the first products are not all in: {error:#}; the next start puts in what is missing, --no-seed leaves them out"
            );
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = dev.ended() => ended.and_then(|()| bail!("it ended by itself")),
        name = signals.next() => end(dev, name).await,
        () = seeding => Ok(()),
    }
}

/// Ends in order; a further signal does not wait for that.
async fn end(dev: Dev, name: &str) -> anyhow::Result<()> {
    say!("{name}: ending, what was accepted is answered (once more ends at once)");
    let (is_temporary, dir) = (dev.is_temporary(), dev.data_dir().to_owned());
    let again = async {
        // Who ends a group of processes often tells its members twice, and means it once.
        tokio::time::sleep(AGAIN).await;
        anyhow::Ok(Signals::listen()?.next().await)
    };
    tokio::select! {
        stopped = dev.stop() => stopped?,
        name = again => bail!("{} a second time: ended at once", name?),
    }
    if is_temporary {
        say!("ended; the data was temporary and is gone");
    } else {
        say!("ended; the data is in {}", dir.display());
    }
    Ok(())
}

/// The error, and which option helps.
fn advised(error: anyhow::Error) -> anyhow::Error {
    let Some(Error::Port { port, address, .. }) = error.downcast_ref() else { return error };
    let option = match port {
        Port::Http => "--port",
        Port::Grpc => "--grpc-port",
        Port::Ops => "--ops-port",
    };
    let number = address.port();
    let advice = format!(
        "choose another port with {option} (0 takes a free one), or stop who has it: `ss -ltnp 'sport = :{number}'` shows who \
         that is"
    );
    anyhow::anyhow!("{error:#}; {advice}")
}

/// Says where everything is, and what it is not.
fn describe(dev: &Dev) {
    let edge = dev.addresses();
    let (http, ops) = (format!("http://{}", edge.http), format!("http://{}", edge.ops));
    say!("all of Folio in this process; nothing is replicated, and nothing takes over when it ends");
    say!();
    say!("commands and queries   {http}/v1/products   gRPC {}", edge.grpc);
    say!("health and metrics     {ops}/readyz   {ops}/metrics");
    say!("the API                {ops}/docs/");
    if dev.is_temporary() {
        let dir = dev.data_dir().display();
        say!(
            "data                   {dir}: temporary, not synced to disk, gone at the end; --data-dir keeps it"
        );
    } else {
        say!("data                   {}: durable", dev.data_dir().display());
    }
    say!();
}

/// Says what can be tried. Only when all of it answers: what is printed can be run the moment it is seen, by a script too.
fn suggest(http: &str, seed: Option<Seed>) {
    if seed.is_none() {
        say!("try:");
    } else {
        say!("try, once it is said that the products are in:");
    }
    for example in examples(http, seed) {
        say!("  {example}");
    }
    say!();
    say!("Ctrl-C ends it");
}

/// A read, a search, and a command with its history; without products the command is the one that brings the first.
fn examples(http: &str, seed: Option<Seed>) -> Vec<String> {
    const JSON: &str = "-H 'content-type: application/json'";
    const TOKEN: &str = r#"sed 's/.*"consistency_token":"\([^"]*\)".*/\1/'"#;
    let history = |id: &str, command: &str| {
        format!(r#"curl -s "{http}/v1/products/{id}/history?consistency_token=$({command} | {TOKEN})""#)
    };
    if seed.is_some() {
        let command = format!(
            r#"curl -s {http}/v1/products/diamond-00001:change-price {JSON} -d '{{"price":{{"minor_units":29900,"currency":"USD"}}}}'"#
        );
        return vec![
            format!("curl -s {http}/v1/products/diamond-00001"),
            format!("curl -s '{http}/v1/search?q=premuim+diamond&facets=category&page_size=2'"),
            history("diamond-00001", &command),
        ];
    }
    let mug = r#"{"sku":"MUG-1","name":"Blue mug","category":"kitchen/mugs","brand":"Folio","price":{"minor_units":1200,"currency":"USD"},"status":"listed"}"#;
    let command = format!("curl -s -X PUT {http}/v1/products/mug-1 {JSON} -d '{mug}'");
    vec![
        history("mug-1", &command),
        format!("curl -s {http}/v1/products/mug-1"),
        format!("curl -s '{http}/v1/search?q=blue+mugs&facets=category'"),
    ]
}

/// What asks the process to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let listen = || {
            Ok(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            })
        };
        listen().map_err(|error: std::io::Error| anyhow::Error::new(error).context("listening to signals"))
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
