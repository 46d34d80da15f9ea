//! The bytes of a file that is imported: plain or gzip, with or without a byte order mark. What is no text at all is told
//! by its first bytes, before a thousand rows are.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;

/// Where an import reads from; opened as often as it takes.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file; its name tells what it holds.
    File(PathBuf),
    /// The sample catalog that is built in.
    Sample,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table with a separator; none if the first line tells it.
    Csv(Option<u8>),
    /// One JSON object per line.
    Ndjson,
}

/// The sample as shipped with the project, so that the binary needs no file beside it.
const SAMPLE: &[u8] = include_bytes!("../../../../deploy/sample/diamonds.csv.gz");
const BUFFER: usize = 256 * 1024;

impl Source {
    /// Opens it at its first character.
    ///
    /// # Errors
    /// If it cannot be read, or is no text.
    pub fn open(&self) -> anyhow::Result<Box<dyn BufRead + Send>> {
        let Self::File(path) = self else {
            return text(BufReader::with_capacity(BUFFER, SAMPLE), "the sample catalog");
        };
        let name = path.display().to_string();
        if path.is_dir() {
            bail!("{name} is a folder: give the file that is in it");
        }
        // A pipe would be read to its end by the first look, and opening one may wait for ever.
        if std::fs::metadata(path).is_ok_and(|it| !it.is_file()) {
            bail!(
                "{name} is no regular file: an import reads its file more than once, so write what comes out of a pipe to a file \
                 first (... > products.csv), and import that"
            );
        }
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        text(BufReader::with_capacity(BUFFER, file), &name)
    }

    /// How it is written, by its name or else by its first character.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn format(&self) -> anyhow::Result<Format> {
        let Self::File(path) = self else { return Ok(Format::Csv(Some(b','))) };
        let name = path.to_string_lossy().to_lowercase();
        let name = name.trim_end_matches(".gz");
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        if ends(&[".ndjson", ".jsonl", ".jsonlines"]) {
            return Ok(Format::Ndjson);
        }
        let mut text = self.open()?;
        let first = text.fill_buf().with_context(|| format!("reading {}", self.name()))?;
        let first = first.iter().find(|byte| !byte.is_ascii_whitespace());
        Ok(match first {
            None => bail!("{} is empty", self.name()),
            Some(b'[') if !ends(&[".csv"]) => bail!(
                "{} holds a JSON array: write one object a line, for example with `jq -c '.[]'`, and name it .ndjson",
                self.name()
            ),
            Some(b'{') => Format::Ndjson,
            Some(_) if ends(&[".tsv", ".tab"]) => Format::Csv(Some(b'\t')),
            Some(_) => Format::Csv(None),
        })
    }

    /// The file's name, for people.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Sample => "the sample catalog".to_owned(),
        }
    }
}

/// Opens what is packed and passes over a byte order mark.
fn text<'a>(mut bytes: impl BufRead + Send + 'a, name: &str) -> anyhow::Result<Box<dyn BufRead + Send + 'a>> {
    let reading = || format!("reading {name}");
    let start = start(&mut bytes).with_context(reading)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        let unpacked = MultiGzDecoder::new(bytes.chain_start(start));
        let mut unpacked = BufReader::with_capacity(BUFFER, unpacked);
        let start = self::start(&mut unpacked).with_context(reading)?;
        return checked(unpacked, start, name);
    }
    checked(bytes, start, name)
}

fn checked<'a>(
    bytes: impl BufRead + Send + 'a,
    start: Vec<u8>,
    name: &str,
) -> anyhow::Result<Box<dyn BufRead + Send + 'a>> {
    match &start[..] {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            bail!("{name} is UTF-16: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")")
        }
        [b'P', b'K', 3, 4, ..] => {
            bail!("{name} is a spreadsheet or a zip archive: export it as CSV, or unpack it")
        }
        [0xd0, 0xcf, 0x11, 0xe0] => bail!("{name} is an old spreadsheet: export it as CSV"),
        [b'%', b'P', b'D', b'F'] => bail!("{name} is a PDF: it has no rows to import"),
        start if start.contains(&0) => bail!("{name} is no text file: it has zero bytes"),
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(Box::new(bytes.chain_start(rest.to_vec()))),
        _ => Ok(Box::new(bytes.chain_start(start))),
    }
}

/// Takes the first four bytes out, fewer at the end.
fn start(bytes: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    bytes.take(4).read_to_end(&mut start)?;
    Ok(start)
}

trait ChainStart: BufRead + Sized {
    /// Puts bytes back that were taken out.
    fn chain_start(self, start: Vec<u8>) -> std::io::Chain<std::io::Cursor<Vec<u8>>, Self> {
        std::io::Cursor::new(start).chain(self)
    }
}

impl<R: BufRead> ChainStart for R {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> anyhow::Result<String> {
        let mut read = String::new();
        text(bytes, "a.csv")?.read_to_string(&mut read)?;
        Ok(read)
    }

    #[test]
    fn marks_and_packing_are_passed_over() {
        assert_eq!(read(b"a,b").unwrap(), "a,b");
        assert_eq!(read(b"\xef\xbb\xbfa,b").unwrap(), "a,b");
        assert_eq!(read(b"ab").unwrap(), "ab");
        assert_eq!(read(b"").unwrap(), "");
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, b"\xef\xbb\xbfa,b").unwrap();
        assert_eq!(read(&packed.finish().unwrap()).unwrap(), "a,b");
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, why) in [
            (&b"\xff\xfea\0"[..], "UTF-16"),
            (b"PK\x03\x04", "spreadsheet"),
            (b"\xd0\xcf\x11\xe0", "spreadsheet"),
            (b"%PDF-1.7", "PDF"),
            (b"\x7fE\0\0", "no text"),
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("a.csv"), "{error}");
        }
        let error = Source::File("/".into()).open().err().unwrap();
        assert!(error.to_string().contains("folder"), "{error}");
        let error = Source::File("/dev/null".into()).open().err().unwrap();
        assert!(error.to_string().contains("no regular file"), "{error}");
        let error = Source::File("/no/such/file.csv".into()).open().err().unwrap();
        assert!(error.to_string().contains("/no/such/file.csv"), "{error}");
    }
}
