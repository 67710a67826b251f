//! Files instead of stdin.

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use adapter_shell::{Limits, Refusal};

use crate::command::{Command, Place};

/// What an inbox looks at; everything else in it stays as it is.
const SUFFIXES: [&str; 3] = ["json", "jsonl", "ndjson"];

impl<W: Write> Command<W> {
    /// Maps files, each with any number of JSON values.
    ///
    /// # Errors
    /// When one cannot be read, or writing fails.
    pub(crate) fn files(&mut self, files: &[PathBuf]) -> io::Result<()> {
        files.iter().try_for_each(|path| self.file(path))
    }

    /// Maps the files of a folder in the order of their names. The documents of a file are
    /// written before it gets its new name: ended in between, it comes again.
    ///
    /// # Errors
    /// When the folder or a file cannot be read or renamed, or writing fails.
    pub(crate) fn inbox(&mut self, folder: &Path) -> io::Result<()> {
        let entries = fs::read_dir(folder).map_err(|error| about(folder, &error))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let suffix = path.extension().and_then(|suffix| suffix.to_str());
            if suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix)) {
                files.push(path);
            }
        }
        files.sort();
        for path in files {
            self.file(&path)?;
            let mut done = path.clone().into_os_string();
            done.push(".done");
            fs::rename(&path, &done).map_err(|error| about(&path, &error))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let name = path.to_string_lossy();
        let place = Place::File(&name);
        let limit = Limits::COMMAND.record;
        let read = || {
            let mut bytes = Vec::new();
            let most = (limit as u64).saturating_add(1);
            File::open(path)?.take(most).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error: io::Error| about(path, &error))?;
        if bytes.len() > limit {
            let text =
                format!("the file is longer than {limit} bytes: split it, or pipe its lines");
            return self.refuse(&Refusal::new("too-large", text), place);
        }
        self.record(&bytes, place)
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
