//! Dead letters, read again: which of them are still open.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use pipeline::DeadLetter;
use serde::{Deserialize, Serialize};

use crate::line_file::files;

/// A longer line is no letter of ours.
const LONGEST_LINE: u64 = 256 << 20;

/// Dead letters that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the dead letters in {} cannot be read: {source}", path.display())]
pub struct ReadLettersError {
    /// Which file.
    path: PathBuf,
    /// What the system said.
    source: io::Error,
}

/// A line that says: what was refused of this event before is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// When, UNIX milliseconds.
    pub time_ms: i64,
    /// The instance's name.
    pub instance: String,
    /// The event's uuid.
    pub event: String,
    /// Always true: what tells it from a letter.
    pub replayed: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Replayed(Replayed),
    Letter(Box<DeadLetter>),
}

/// Whether a letter still asks for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterStanding {
    /// Nothing came after it.
    Open,
    /// Its event was asked for again after it.
    Replayed,
    /// The same was refused again after it.
    Repeated,
}

/// Goes through all letters at a path, those of renamed files too, oldest first; says how many
/// lines are none. No file is no letter.
///
/// # Errors
/// When a file cannot be read.
pub fn each_letter(
    path: &Path,
    see: &mut dyn FnMut(&DeadLetter, LetterStanding),
) -> Result<u64, ReadLettersError> {
    let failed = |path: &Path, source| ReadLettersError {
        path: path.to_owned(),
        source,
    };
    let mut open = Vec::new();
    for path in files(path).map_err(|source| failed(path, source))? {
        match File::open(&path) {
            Ok(file) => open.push((path, file)),
            // Renamed or deleted since they were listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path, error)),
        }
    }
    // What comes last decides, so everything is read twice. Texts would fill the memory.
    let (mut last, mut replayed) = (HashMap::new(), HashMap::new());
    let mut place = 0_u64;
    for (path, file) in &mut open {
        let read = each_line(file, &mut |line| {
            place += 1;
            match line {
                Some(Line::Letter(letter)) => {
                    last.insert(hash_of(&letter), place);
                }
                Some(Line::Replayed(mark)) => {
                    replayed.insert(hash(&(&mark.instance, &mark.event)), place);
                }
                None => {}
            }
        });
        read.map_err(|source| failed(path, source))?;
    }
    let (mut place, mut none) = (0_u64, 0);
    for (path, file) in &mut open {
        let rewound = file.rewind();
        rewound.map_err(|source| failed(path, source))?;
        let read = each_line(file, &mut |line| {
            place += 1;
            match line {
                Some(Line::Letter(letter)) => {
                    let asked = letter
                        .event
                        .as_ref()
                        .and_then(|event| replayed.get(&hash(&(&letter.instance, event))));
                    let standing = if asked.is_some_and(|asked| *asked > place) {
                        LetterStanding::Replayed
                    } else if last
                        .get(&hash_of(&letter))
                        .is_some_and(|last| *last > place)
                    {
                        LetterStanding::Repeated
                    } else {
                        LetterStanding::Open
                    };
                    see(&letter, standing);
                }
                Some(Line::Replayed(_)) => {}
                None => none += 1,
            }
        });
        read.map_err(|source| failed(path, source))?;
    }
    Ok(none)
}

/// Every whole line; `None` is one that is no letter.
fn each_line(file: &mut File, see: &mut dyn FnMut(Option<Line>)) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            return Ok(());
        }
        // One without an end is being written, or was cut off: the writer repairs it.
        if line.ends_with(b"\n") {
            see(serde_json::from_slice(&line).ok());
        }
    }
}

/// What was refused: the same again has the same.
fn hash_of(letter: &DeadLetter) -> u64 {
    let DeadLetter {
        instance,
        event,
        attribute,
        output,
        ..
    } = letter;
    // Where there is no attribute, the whole input is what was refused.
    let input = attribute.is_none().then_some(&letter.input);
    hash(&(instance, event, attribute, output, input))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
