//! Runs a command with the real servers started, and the tools of charts built, once for all of it: `with-servers cargo test --workspace`. Promises that
//! they end with it, however it ends, and that the command's exit code is passed on.

use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

use testkit::servers::{STACK_VARIABLE, servers};
use testkit::tools::{HAVE_FAILED, of_charts};

/// How many tests a test binary runs at once, unless the environment says so.
const AT_ONCE: &str = "RUST_TEST_THREADS";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-servers COMMAND [ARGUMENT ...]");
        return ExitCode::from(2);
    };
    // Before the tests, some of which are about time; beside the servers, which take some to start.
    let charts = std::thread::spawn(of_charts);
    let stack = servers();
    let mut command = Command::new(&program);
    command.args(arguments).env(STACK_VARIABLE, &stack.dir);
    if std::env::var_os(AT_ONCE).is_none() {
        // Those on servers wait half of their time: for a death to be noticed, for a store to come back.
        let processors = available_parallelism().map_or(2, std::num::NonZero::get);
        command.env(AT_ONCE, (2 * processors).to_string());
    }
    if !matches!(charts.join(), Ok(Ok(Some(_)))) {
        command.env(HAVE_FAILED, "1");
    }
    let status = command.status();
    // Statics are not dropped: the watchdog sees this process end, and ends the servers.
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot run {program}: {error}");
            ExitCode::FAILURE
        }
    }
}
