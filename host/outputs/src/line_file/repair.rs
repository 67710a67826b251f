//! What a crash leaves at the end of a file: a line without its newline. It was never
//! acknowledged, so its document comes again and the piece can go.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::de::IgnoredAny;

use super::error::{IoContext, LineFileError};

const CHUNK: u64 = 64 * 1024;

/// Makes the file end with a whole line. A complete object that only lacks its newline
/// gets it; a piece of one, or the zeros that a power cut leaves, is cut off; anything
/// else is not ours to touch.
pub(super) fn repair_tail(file: &mut File, path: &Path) -> Result<(), LineFileError> {
    let length = file.metadata().context("could not look at", path)?.len();
    let start = last_line(file, length).context("could not read the end of", path)?;
    if start == length {
        return Ok(());
    }
    match kind_of(file, start).context("could not read the end of", path)? {
        Tail::Whole => {
            file.write_all(b"\n")
                .context("could not end the last line of", path)?;
            tracing::warn!(path = %path.display(), "the last line had no newline: added it");
        }
        Tail::Piece => {
            file.set_len(start)
                .context("could not cut the unfinished last line of", path)?;
            tracing::warn!(
                path = %path.display(),
                bytes = length - start,
                "cut an unfinished last line: it was not acknowledged, so its document comes again"
            );
        }
        Tail::Foreign => {
            return Err(LineFileError::NotLines {
                path: path.to_owned(),
                offset: start,
            });
        }
    }
    Ok(())
}

/// Where the line begins that has no newline; `length` if there is none.
fn last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut chunk)?;
        if let Some(index) = memchr::memrchr(b'\n', &chunk) {
            return Ok(start + index as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

enum Tail {
    /// One JSON object.
    Whole,
    /// The beginning of one, or nothing but zeros.
    Piece,
    Foreign,
}

fn kind_of(file: &mut File, start: u64) -> io::Result<Tail> {
    let mut first = [0];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut first)?;
    file.seek(SeekFrom::Start(start))?;
    let tail = BufReader::new(file);
    match first {
        [b'{'] => match serde_json::from_reader::<_, IgnoredAny>(tail) {
            Ok(IgnoredAny) => Ok(Tail::Whole),
            Err(error) if error.is_io() => Err(error.into()),
            Err(_) => Ok(Tail::Piece),
        },
        [0] => all_zero(tail).map(|zeros| if zeros { Tail::Piece } else { Tail::Foreign }),
        _ => Ok(Tail::Foreign),
    }
}

fn all_zero(tail: impl Read) -> io::Result<bool> {
    for byte in tail.bytes() {
        if byte? != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repaired(before: &[u8]) -> Result<Vec<u8>, LineFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), before).unwrap();
        let mut handle = File::options()
            .read(true)
            .append(true)
            .open(file.path())
            .unwrap();
        let result = repair_tail(&mut handle, file.path());
        let after = std::fs::read(file.path()).unwrap();
        if result.is_err() {
            assert_eq!(after, before, "what is refused is left as it is");
        }
        result.map(|()| after)
    }

    #[test]
    fn the_end_is_repaired() {
        for (before, after) in [
            (&b""[..], &b""[..]),
            (b"{}\n", b"{}\n"),
            (b"{}\n{\"a\":", b"{}\n"),
            (b"{\"a\":", b""),
            (b"{}\n{\"a\":1}", b"{}\n{\"a\":1}\n"),
            (b"{}\n\0\0\0", b"{}\n"),
            (b"{}\n{\"a\":\"\0\0", b"{}\n"),
        ] {
            assert_eq!(repaired(before).unwrap(), after, "{before:?}");
        }
    }

    #[test]
    fn what_no_output_wrote_is_refused_and_left() {
        for before in [&b"secret"[..], b"{}\nabc", b"a\n\0a", b"\n\n[1"] {
            let error = repaired(before).unwrap_err();
            assert!(matches!(error, LineFileError::NotLines { .. }), "{error}");
        }
    }

    #[test]
    fn a_long_unfinished_line_is_found() {
        let mut before = b"{}\n{\"a\":\"".to_vec();
        before.extend(std::iter::repeat_n(b'x', 3 * CHUNK as usize));
        assert_eq!(repaired(&before).unwrap(), b"{}\n");
    }

    proptest! {
        #[test]
        fn a_cut_anywhere_leaves_the_lines_before_it(
            values in prop::collection::vec(".{0,20}", 1..6), cut: prop::sample::Index
        ) {
            let mut all = Vec::new();
            for value in &values {
                serde_json::to_writer(&mut all, &serde_json::json!({ "v": value })).unwrap();
                all.push(b'\n');
            }
            let cut = &all[..cut.index(all.len() + 1)];
            let after = repaired(cut).unwrap();
            prop_assert!(after.is_empty() || after.ends_with(b"\n"));
            prop_assert!(all.starts_with(&after));
            let whole = cut.iter().filter(|byte| **byte == b'\n').count();
            let kept = after.iter().filter(|byte| **byte == b'\n').count();
            prop_assert!(kept == whole || kept == whole + 1);
        }
    }
}
