//! Processes that outlive us, and what `/proc` says about them. Promises to tell one that is ending from one that has ended.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// Starts `command` in a group of its own, so that neither our end nor the terminal's Ctrl-C ends it; what it says is added
/// to `log`.
///
/// # Errors
/// If the log cannot be opened, or the program cannot be started.
pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Child> {
    let opened = File::options().create(true).append(true).open(log);
    let opened = opened.with_context(|| format!("opening {}", log.display()))?;
    command.stdin(Stdio::null()).stdout(opened.try_clone().context("sharing the log file")?).stderr(opened);
    let program = command.get_program().to_owned();
    command.process_group(0).spawn().with_context(|| format!("starting {} (is it there?)", program.display()))
}

/// Takes the child's exit status when it ends, however long that is, so that it leaves the process table.
pub fn reap(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

/// The end of a log, as much of it as can be read, for whoever has to say why a process ended.
pub fn last_words(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    format!("{} ends with:\n{}", log.display(), lines[lines.len().saturating_sub(20)..].join("\n"))
}

/// Some fields of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    is_zombie: bool,
    threads: u32,
    started: u64,
}

impl Stat {
    /// None if there is no such process.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses, which may hold anything; these count from the third.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            is_zombie: *fields.first()? == "Z",
            threads: fields.get(17)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// True only when the process holds nothing any more: one that was killed is a zombie at first, and has no command line,
    /// while its threads still have its ports and give back its memory.
    pub fn has_ended(self) -> bool {
        self.is_zombie && self.threads <= 1
    }
}

/// A process that cannot be mistaken for a later one with the same pid.
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// In clock ticks since the machine started.
    started: u64,
}

impl Identity {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, started: Stat::of(pid)?.started })
    }

    /// False when the process is gone and holds nothing any more.
    pub(crate) fn exists(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.started == self.started && !stat.has_ended())
    }
}

/// The command line with its zero bytes; empty while the process begins or ends, none if there is none.
pub fn command_line(pid: i32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/cmdline")).ok()
}
