//! What a person gives: files of MISP's JSON, and a file of settings.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use splitter::{Body, Spool, SpoolLimits};

use crate::exit::{Exit, OrExit as _};

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> anyhow::Result<Body> {
    let (mut input, name): (Box<dyn Read>, String) = if path == Path::new("-") {
        (Box::new(io::stdin().lock()), "standard input".to_owned())
    } else {
        let file = File::open(path)
            .with_context(|| format!("{} cannot be opened", path.display()))
            .or_exit(Exit::Usage)?;
        (Box::new(file), path.display().to_string())
    };
    spooled(&mut input, &name)
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
