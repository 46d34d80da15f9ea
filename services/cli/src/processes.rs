//! What `/proc` says about processes. Promises to tell one that is ending from one that has ended.

/// Some fields of `/proc/<pid>/stat`.
pub(crate) struct Stat {
    is_zombie: bool,
    threads: u32,
    started: u64,
}

impl Stat {
    /// None if there is no such process.
    pub(crate) fn of(pid: i32) -> Option<Self> {
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
    pub(crate) fn has_ended(&self) -> bool {
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
pub(crate) fn command_line(pid: i32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/cmdline")).ok()
}
