//! What the command was told.

use std::ffi::OsString;
use std::path::PathBuf;

use adapter_shell::Layout;
use lexopt::prelude::{Long, Short, Value};

/// The environment variable that holds settings, as JSON.
pub(crate) const SETTINGS_VARIABLE: &str = "MISP_ECS_SETTINGS";

pub(crate) const HELP: &str = "\
Maps MISP attributes and events to ECS threat indicators.

Usage: misp-ecs-map [OPTIONS] [FILE..]

Reads one JSON value a line from stdin: an attribute, an event, or a page of restSearch.
With FILE, reads these instead, each with any number of values.
Writes documents as NDJSON to stdout, and what was refused as JSON lines to stderr.

Options:
  -m, --mapping NAME     ecs-9 (default) or ecs-1.12
  -s, --settings FILE    settings, a JSON object; or as text in MISP_ECS_SETTINGS
  -a, --array            one JSON array for each line (or file) of the input, instead of lines
  -i, --inbox FOLDER     reads the *.json, *.jsonl and *.ndjson of a folder, and adds `.done` to
                         the name of each when its documents are written
  -h, --help             this text
  -V, --version          the version

Ends with 0 when everything was read and written, 1 when reading or writing failed,
2 when it could not begin.
";

const VERSION: &str = concat!("misp-ecs-map ", env!("CARGO_PKG_VERSION"), "\n");

/// Where records come from, if not from stdin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Files(Vec<PathBuf>),
    Inbox(PathBuf),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    pub(crate) mapping: Option<Layout>,
    pub(crate) settings: Option<PathBuf>,
    pub(crate) array: bool,
    pub(crate) input: Option<Input>,
    /// A text to write instead of working.
    pub(crate) only_say: Option<&'static str>,
}

impl Arguments {
    /// Reads them, without the program's name.
    ///
    /// # Errors
    /// When there is one that is not known, or lacks its value; one sentence.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let mut read = Self::default();
        let mut files = Vec::new();
        let mut inbox = None;
        let mut parser = lexopt::Parser::from_args(words);
        let said = |error: lexopt::Error| error.to_string();
        while let Some(argument) = parser.next().map_err(said)? {
            match argument {
                Short('m') | Long("mapping") => {
                    let name = parser.value().map_err(said)?;
                    let layout = name.to_str().and_then(Layout::named);
                    read.mapping = Some(layout.ok_or_else(|| {
                        let name = name.display();
                        format!("there is no mapping `{name}` inside, only ecs-9 and ecs-1.12")
                    })?);
                }
                Short('s') | Long("settings") => {
                    read.settings = Some(parser.value().map_err(said)?.into());
                }
                Short('i') | Long("inbox") => inbox = Some(parser.value().map_err(said)?.into()),
                Short('a') | Long("array") => read.array = true,
                Short('h') | Long("help") => read.only_say = Some(HELP),
                Short('V') | Long("version") => read.only_say = Some(VERSION),
                Value(file) => files.push(file.into()),
                _ => return Err(argument.unexpected().to_string()),
            }
        }
        read.input = match (inbox, files.is_empty()) {
            (Some(_), false) => return Err("an inbox and files exclude each other".to_owned()),
            (Some(folder), true) => Some(Input::Inbox(folder)),
            (None, false) => Some(Input::Files(files)),
            (None, true) => None,
        };
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Arguments, String> {
        Arguments::read(words.iter().map(OsString::from))
    }

    #[test]
    fn all_of_them_are_read() {
        let all = read(&["-m", "ecs-1.12", "--settings=s.json", "-a", "one", "two"]);
        let expected = Arguments {
            mapping: Some(Layout::Ecs112),
            settings: Some("s.json".into()),
            array: true,
            input: Some(Input::Files(vec!["one".into(), "two".into()])),
            only_say: None,
        };
        assert_eq!(all, Ok(expected));
        assert_eq!(read(&[]), Ok(Arguments::default()));
        let inbox = read(&["--inbox", "in"]).unwrap();
        assert_eq!(inbox.input, Some(Input::Inbox("in".into())));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (words, what) in [
            (&["--mapping", "ecs-8"][..], "ecs-8"),
            (&["--mapping"][..], "--mapping"),
            (&["--map"][..], "--map"),
            (&["--array=yes"][..], "--array"),
            (&["-i", "in", "file"][..], "exclude"),
        ] {
            let error = read(words).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }
}
