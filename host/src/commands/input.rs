//! What a person gives: files of MISP's JSON, and a file of settings.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use splitter::{Body, Spool, SpoolLimits};

use crate::exit::{Exit, OrExit as _};

/// Bytes that are looked at before anything is read.
const HEAD: u64 = 4_096;

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<Body> {
    let (input, name): (Box<dyn Read>, String) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), "standard input".to_owned())
    } else {
        let file = File::open(path)
            .with_context(|| format!("{} cannot be opened", path.display()))
            .or_exit(Exit::Usage)?;
        if file.metadata().is_ok_and(|about| about.is_dir()) {
            return Err(Exit::Usage.error(format!(
                "{0} is a folder: name its files, such as {0}/*.json",
                path.display()
            )));
        }
        (Box::new(file), path.display().to_string())
    };
    let mut head = Vec::new();
    let mut input = input;
    let read = input.by_ref().take(HEAD).read_to_end(&mut head);
    read.with_context(|| format!("{name} cannot be read"))?;
    if let Some(problem) = foreign(&head) {
        return Err(Exit::Usage.error(format!("{name} {problem}")));
    }
    let is_whole = (head.len() as u64) < HEAD;
    if is_whole && head.trim_ascii().is_empty() {
        return Err(Exit::Differs.error(format!("{name} is empty: there is nothing to map")));
    }
    spooled(&mut head.chain(input), &name)
}

/// What is no JSON by its first bytes, and what to do.
fn foreign(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("is compressed with gzip: unpack it first, such as with `zcat`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Some("is compressed with zstd: unpack it first, such as with `zstdcat`")
        }
        [b'P', b'K', 3, 4, ..] => Some("is a zip archive: unpack it first"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Some("is UTF-16: convert it first, such as with `iconv -f UTF-16 -t UTF-8`")
        }
        _ => None,
    }
}

/// Spools everything that can be read. `name` is what errors call it.
pub(crate) fn spooled(input: &mut dyn Read, name: &str) -> anyhow::Result<Body> {
    let mut spool = Spool::new(SpoolLimits::default());
    let mut piece = vec![0; 1 << 18];
    loop {
        let length = input
            .read(&mut piece)
            .with_context(|| format!("{name} cannot be read"))?;
        if length == 0 {
            break;
        }
        spool
            .push(piece.get(..length).unwrap_or_default())
            .with_context(|| name.to_owned())?;
    }
    spool.finish().with_context(|| name.to_owned())
}

/// The settings of a mapping, YAML or JSON; without a file there are none.
pub(super) fn settings(path: Option<&Path>) -> anyhow::Result<serde_json::Map<String, Value>> {
    let Some(path) = path else {
        return Ok(serde_json::Map::new());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))
        .or_exit(Exit::Usage)?;
    let settings = serde_saphyr::from_str(&text)
        .with_context(|| format!("{} is neither YAML nor JSON", path.display()))
        .or_exit(Exit::Usage)?;
    match settings {
        Value::Object(settings) => Ok(settings),
        _ => Err(Exit::Usage.error(format!(
            "{}: the settings are not an object of keys and values",
            path.display()
        ))),
    }
}
