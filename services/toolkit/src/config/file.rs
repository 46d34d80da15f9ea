//! Files that a configuration names.

use std::path::Path;

/// The text of a file that has `most` bytes at most. What is wrong with it names the file, and quotes nothing of it. Blocks on the disk.
///
/// # Errors
/// If it cannot be read, is larger, or is no text.
pub fn text_of_file(path: &Path, most: u64) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(wrong)?.len();
    if length > most {
        return Err(format!("{}: it has {length} bytes, {most} are the most", path.display()));
    }
    std::fs::read_to_string(path).map_err(wrong)
}
