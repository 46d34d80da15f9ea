//! Runs a command with the real servers started once for all of it: `with-servers cargo test --workspace`. Promises that
//! they end with it, however it ends, and that the command's exit code is passed on.

use std::process::{Command, ExitCode};

use testkit::servers::{STACK_VARIABLE, servers};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: with-servers COMMAND [ARGUMENT ...]");
        return ExitCode::from(2);
    };
    let stack = servers();
    let status = Command::new(&program).args(arguments).env(STACK_VARIABLE, &stack.dir).status();
    // Statics are not dropped: the watchdog sees this process end, and ends the servers.
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("cannot run {program}: {error}");
            ExitCode::FAILURE
        }
    }
}
