//! What the tool prints for people. The one place that writes to standard output.

/// Prints a line on standard output; a closed pipe (`folio status | head`) is no error.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let printed = writeln!(std::io::stdout(), $($argument)*);
        if let Err(error) = printed {
            tracing::debug!(%error, "printing a line");
        }
    }};
}

pub(crate) use say;
