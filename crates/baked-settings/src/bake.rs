//! Writes into the block of a file, and reads it.

use memchr::memmem;

use crate::block::{HEAD, Kind, MARK};

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BakeError {
    /// There is no block.
    #[error(
        "it has no place for settings: it is no artifact of misp-ecs, or one of an older version"
    )]
    NoBlock,
    /// There is more than one.
    #[error("it has {found} places for settings, and should have one")]
    Ambiguous {
        /// How many.
        found: usize,
    },
    /// The block is not whole, or of a kind that this version does not know.
    #[error("its place for settings is damaged, or of a newer version")]
    Damaged,
    /// The settings are longer than the block.
    #[error("the settings are {length} bytes long, and there is place for {capacity}")]
    TooLong {
        /// Bytes of the settings, as compact JSON.
        length: usize,
        /// Bytes that the block takes.
        capacity: usize,
    },
}

/// Where the parts of a block are.
struct Place {
    kind: Kind,
    /// Of the settings' first byte.
    text: usize,
    length: usize,
    capacity: usize,
}

/// The kind of artifact, and what is baked into it; empty if nothing is.
///
/// # Errors
/// When it does not have exactly one block that is whole.
pub fn baked(artifact: &[u8]) -> Result<(Kind, &[u8]), BakeError> {
    let place = find(artifact)?;
    let text = artifact.get(place.text..place.text + place.length);
    Ok((place.kind, text.ok_or(BakeError::Damaged)?))
}

/// Writes settings in place of those that are there; no bytes take them out.
///
/// # Errors
/// When there is no block, or too small a one; nothing is written then.
pub fn write(artifact: &mut [u8], settings: &[u8]) -> Result<Kind, BakeError> {
    let place = find(artifact)?;
    let too_long = BakeError::TooLong {
        length: settings.len(),
        capacity: place.capacity,
    };
    if settings.len() > place.capacity {
        return Err(too_long);
    }
    let length = u32::try_from(settings.len()).map_err(|_| too_long)?;
    let whole = artifact
        .get_mut(place.text - 4..place.text + place.capacity)
        .ok_or(BakeError::Damaged)?;
    whole.fill(0);
    let bytes = length.to_le_bytes();
    let values = bytes.iter().chain(settings);
    whole
        .iter_mut()
        .zip(values)
        .for_each(|(to, from)| *to = *from);
    Ok(place.kind)
}

fn find(artifact: &[u8]) -> Result<Place, BakeError> {
    let found: Vec<usize> = memmem::find_iter(artifact, &MARK).collect();
    let start = match *found.as_slice() {
        [] => return Err(BakeError::NoBlock),
        [start] => start,
        _ => return Err(BakeError::Ambiguous { found: found.len() }),
    };
    let number = |at: usize| {
        let bytes = artifact.get(start + at..start + at + 4)?;
        usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let place = || {
        let text = start + HEAD;
        let place = Place {
            kind: Kind::of(*artifact.get(start + MARK.len())?)?,
            capacity: number(MARK.len() + 4)?,
            length: number(MARK.len() + 8)?,
            text,
        };
        let end = text.checked_add(place.capacity)?;
        (end <= artifact.len() && place.length <= place.capacity).then_some(place)
    };
    place().ok_or(BakeError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::block::CAPACITY;

    /// A file with a block in its middle.
    fn artifact() -> Vec<u8> {
        let mut file = b"\0asm before".to_vec();
        file.extend(MARK);
        file.extend([b'a', 0, 0, 0]);
        file.extend(u32::try_from(CAPACITY).unwrap().to_le_bytes());
        file.extend([0; 4 + CAPACITY]);
        file.extend(b"after");
        file
    }

    #[test]
    fn what_is_written_is_read_and_a_second_replaces_the_first() {
        let mut file = artifact();
        let length = file.len();
        assert_eq!(baked(&file), Ok((Kind::Adapter, &b""[..])));
        for settings in [&br#"{"tags":["long one"]}"#[..], b"{}", b""] {
            assert_eq!(write(&mut file, settings), Ok(Kind::Adapter));
            assert_eq!(baked(&file).unwrap().1, settings);
            assert_eq!(file.len(), length);
            assert!(file.ends_with(b"\0after"));
        }
        assert_eq!(file, artifact());
    }

    #[test]
    fn the_longest_fits_and_one_byte_more_does_not() {
        let mut file = artifact();
        let longest = vec![b'x'; CAPACITY];
        write(&mut file, &longest).unwrap();
        assert_eq!(baked(&file).unwrap().1, longest);
        let before = file.clone();
        let error = write(&mut file, &vec![b'y'; CAPACITY + 1]);
        let (length, capacity) = (CAPACITY + 1, CAPACITY);
        assert_eq!(error, Err(BakeError::TooLong { length, capacity }));
        assert_eq!(file, before);
    }

    #[test]
    fn without_one_whole_block_nothing_is_written() {
        assert_eq!(write(&mut [], b""), Err(BakeError::NoBlock));
        let mut two = artifact();
        two.extend(artifact());
        assert_eq!(write(&mut two, b""), Err(BakeError::Ambiguous { found: 2 }));
        let mut cut = artifact();
        cut.truncate(CAPACITY);
        assert_eq!(write(&mut cut, b""), Err(BakeError::Damaged));
        let mut other = artifact();
        other[11 + 16] = b'z';
        assert_eq!(baked(&other), Err(BakeError::Damaged));
    }

    proptest! {
        #[test]
        fn no_file_panics(before: Vec<u8>, after: Vec<u8>, settings: Vec<u8>) {
            let mut file = [before, MARK.to_vec(), after].concat();
            let _ = write(&mut file, &settings);
            let _ = baked(&file);
        }
    }
}
