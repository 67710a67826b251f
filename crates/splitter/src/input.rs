//! Where to go on after a value that is broken.

use crate::reader::Reader;
use crate::scan::Fault;

/// The start of the first line after `from` that begins with `{` or `[`, or the end of the body.
pub(crate) fn next_line(reader: &mut Reader, from: u64) -> Result<u64, Fault> {
    reader.seek(from);
    loop {
        let ahead = reader.ahead();
        match memchr::memchr(b'\n', ahead) {
            Some(at) => {
                reader.advance(at + 1);
                if reader.ahead().is_empty() && !reader.fill()? {
                    return Ok(reader.offset());
                }
                if matches!(reader.ahead().first(), Some(b'{' | b'[')) {
                    return Ok(reader.offset());
                }
            }
            None => {
                let passed = ahead.len();
                reader.advance(passed);
                if !reader.fill()? {
                    return Ok(reader.offset());
                }
            }
        }
    }
}
