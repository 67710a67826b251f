//! Lines of a stream, each in memory as a whole and none too long.

use std::io::{self, BufRead, Read as _};

/// A line of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    /// It was longer than the limit: passed over, so many bytes.
    TooLong(u64),
}

/// The next line; `None` at the end of the stream.
pub(crate) fn next(input: &mut impl BufRead, limit: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    // One byte for the end of the line, one to see that there is more.
    let most = (limit as u64).saturating_add(2);
    let taken = input.by_ref().take(most).read_until(b'\n', &mut line)?;
    if taken == 0 {
        return Ok(None);
    }
    let ended = line.last() == Some(&b'\n');
    if ended {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.len() <= limit {
        return Ok(Some(Line::Whole(line)));
    }
    let passed = line.len() as u64;
    drop(line);
    let rest = if ended { 0 } else { pass_over(input)? };
    Ok(Some(Line::TooLong(passed + rest)))
}

/// Reads to the end of the line; how many bytes that were, without the end.
fn pass_over(input: &mut impl BufRead) -> io::Result<u64> {
    let mut passed = 0;
    loop {
        let bytes = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(passed);
        }
        if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            input.consume(end + 1);
            return Ok(passed + end as u64);
        }
        let length = bytes.len();
        passed += length as u64;
        input.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn all(text: &str) -> Vec<Line> {
        let mut input = BufReader::with_capacity(3, text.as_bytes());
        std::iter::from_fn(|| next(&mut input, 5).unwrap()).collect()
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn lines_end_with_either_end_or_with_the_stream() {
        assert_eq!(all(""), []);
        assert_eq!(all("a\r\n\nb"), [whole("a"), whole(""), whole("b")]);
        assert_eq!(all("12345\n12345"), [whole("12345"), whole("12345")]);
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        let text = "123456\nab\n1234567890123\nc\n1234567";
        let expected = [
            Line::TooLong(6),
            whole("ab"),
            Line::TooLong(13),
            whole("c"),
            Line::TooLong(7),
        ];
        assert_eq!(all(text), expected);
    }
}
