//! Which documents go in which request, and what its body is.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;

use super::options::{HttpCompression, HttpFormat, HttpOptions};
use crate::lines::Lines;

/// Requests that may be on their way at once: ranges of lines.
pub(super) type Wave = Vec<Range<usize>>;

/// Cuts lines into requests, and requests into waves: within a wave no id is in two requests,
/// so that what is said of an id arrives in order. `ids` has one entry a line.
pub(super) fn waves(ids: &[&str], lines: &Lines, options: &HttpOptions) -> Vec<Wave> {
    let max_bytes = usize::try_from(options.max_bytes.bytes()).unwrap_or(usize::MAX);
    let mut waves = Vec::new();
    let mut wave = Wave::new();
    let mut start = 0;
    let mut bytes = 0;
    // The request of this wave that holds an id, by its number.
    let mut holder: HashMap<&str, usize> = HashMap::new();
    for (at, id) in ids.iter().enumerate() {
        let size = lines.range(at..at + 1).len();
        let full = at - start >= options.max_count.get() || bytes + size > max_bytes;
        if full && at > start {
            wave.push(start..at);
            (start, bytes) = (at, 0);
        }
        if holder.get(id).is_some_and(|holder| *holder != wave.len()) {
            if at > start {
                wave.push(start..at);
            }
            waves.push(std::mem::take(&mut wave));
            holder.clear();
            (start, bytes) = (at, 0);
        }
        holder.insert(id, wave.len());
        bytes += size;
    }
    if start < ids.len() {
        wave.push(start..ids.len());
    }
    if !wave.is_empty() {
        waves.push(wave);
    }
    waves
}

/// The body of a request with these lines. Takes milliseconds a megabyte when compressed.
pub(super) fn body(
    lines: &Lines,
    range: Range<usize>,
    format: HttpFormat,
    compression: HttpCompression,
) -> io::Result<Vec<u8>> {
    let ndjson = lines.range(range);
    let plain = match format {
        HttpFormat::Ndjson => ndjson.to_vec(),
        HttpFormat::Json => array(ndjson),
    };
    match compression {
        HttpCompression::None => Ok(plain),
        HttpCompression::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&plain)?;
            encoder.finish()
        }
        HttpCompression::Zstd => {
            zstd::encode_all(plain.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL)
        }
    }
}

/// A document holds no newline, so each one is a comma or the end.
fn array(ndjson: &[u8]) -> Vec<u8> {
    let mut array = Vec::with_capacity(ndjson.len() + 1);
    array.push(b'[');
    array.extend(ndjson.iter().map(|byte| match byte {
        b'\n' => b',',
        byte => *byte,
    }));
    if let Some(last) = array.last_mut().filter(|last| **last == b',') {
        *last = b']';
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::num::NonZeroUsize;
    use units::ByteSize;

    fn lines_of(ids: &[&str]) -> Lines {
        let mut lines = Lines::default();
        for id in ids {
            lines
                .push(|line| {
                    line.extend_from_slice(format!("{{\"id\":\"{id}\"}}").as_bytes());
                    Ok::<(), ()>(())
                })
                .unwrap();
        }
        lines
    }

    fn options(max_bytes: u64, max_count: usize) -> HttpOptions {
        HttpOptions {
            max_bytes: ByteSize(max_bytes),
            max_count: NonZeroUsize::new(max_count).unwrap(),
            ..HttpOptions::new("http://192.0.2.1/")
        }
    }

    #[test]
    fn an_array_holds_what_the_lines_hold() {
        let lines = lines_of(&["a", "b"]);
        let made = body(&lines, 0..2, HttpFormat::Json, HttpCompression::None).unwrap();
        assert_eq!(made, br#"[{"id":"a"},{"id":"b"}]"#);
        let made = body(&lines, 1..2, HttpFormat::Json, HttpCompression::None).unwrap();
        assert_eq!(made, br#"[{"id":"b"}]"#);
    }

    #[test]
    #[expect(
        clippy::single_range_in_vec_init,
        reason = "a wave of one request is meant, not its numbers"
    )]
    fn the_same_id_waits_for_what_was_said_of_it_before() {
        let cut = |ids: &[&str], count| waves(ids, &lines_of(ids), &options(1 << 20, count));
        assert_eq!(cut(&["a", "b", "a"], 10), [vec![0..3]]);
        assert_eq!(cut(&["a", "b", "a"], 2), [vec![0..2], vec![2..3]]);
        assert_eq!(cut(&["a", "b", "c"], 2), [vec![0..2, 2..3]]);
        assert_eq!(
            cut(&["a", "b", "c", "a"], 2),
            [vec![0..2, 2..3], vec![3..4]]
        );
        assert_eq!(cut(&[], 2), Vec::<Wave>::new());
    }

    proptest! {
        #[test]
        fn every_line_goes_once_in_order_within_the_limits(
            ids in prop::collection::vec("[a-e]{1,3}", 0..40), bytes in 1_u64..80, count in 1_usize..6
        ) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let lines = lines_of(&ids);
            let waves = waves(&ids, &lines, &options(bytes, count));
            let mut next = 0;
            for wave in &waves {
                let mut seen: HashMap<&str, usize> = HashMap::new();
                prop_assert!(!wave.is_empty());
                for (number, range) in wave.iter().enumerate() {
                    prop_assert_eq!(range.start, next);
                    prop_assert!(!range.is_empty() && range.len() <= count);
                    prop_assert!(
                        range.len() == 1 || lines.range(range.clone()).len() as u64 <= bytes
                    );
                    for id in &ids[range.clone()] {
                        prop_assert_eq!(*seen.entry(id).or_insert(number), number);
                    }
                    next = range.end;
                }
            }
            prop_assert_eq!(next, ids.len());
        }
    }
}
