//! Starts, shows and stops the local servers alone: `cargo run -p local-servers --example servers -- up|status|down [folder]`.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use std::path::PathBuf;

use anyhow::bail;
use local_servers::{Stack, down_servers, processes_under, up_servers};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let dir = arguments.next().map_or_else(|| PathBuf::from(".folio/example"), PathBuf::from);
    match command.as_str() {
        "up" => println!("{}", serde_json::to_string_pretty(&up_servers(&dir)?.addresses)?),
        "down" => down_servers(&dir)?,
        "status" => {
            for server in Stack::load(&dir)?.servers() {
                let answer = server.probe().map_or_else(|error| error.to_string(), |()| "ready".to_owned());
                println!(
                    "{:<18} pid {:<7} {:<16} {answer}",
                    server.kind.title(),
                    server.pid,
                    server.address()
                );
            }
            println!("{} processes under {}", processes_under(&dir).len(), dir.display());
        }
        other => bail!("reading the command line: {other:?} is none of up, status, down"),
    }
    Ok(())
}
