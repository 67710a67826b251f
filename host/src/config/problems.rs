//! What is wrong with a configuration whose shape is right, all of it at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use outputs::OutputOptions;

use super::{Config, ConfigError, Instance};

/// Nothing, the only problem, or all of them.
pub(super) fn none_of(problems: Vec<ConfigError>) -> Result<(), ConfigError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(all_of(problems))
}

/// The only problem, or all of them.
pub(super) fn all_of(mut problems: Vec<ConfigError>) -> ConfigError {
    match (problems.pop(), problems.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            problems.extend(last);
            ConfigError::Several { problems }
        }
    }
}

/// A line each.
pub(super) fn lines(problems: &[ConfigError]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// A size of 0 that would fetch nothing.
pub(super) fn zero(instance: &Instance) -> Option<ConfigError> {
    let sizes = [
        ("page_size", instance.page_size),
        ("attributes_page", instance.attributes_page),
    ];
    let (key, _) = sizes.into_iter().find(|(_, size)| *size == 0)?;
    Some(ConfigError::Zero {
        instance: instance.label().to_owned(),
        key,
    })
}

/// Outputs that would write into each other's file.
pub(super) fn same_files(config: &Config) -> Vec<ConfigError> {
    let mut known: BTreeMap<PathBuf, &str> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, options) in &config.outputs {
        let OutputOptions::File(options) = options else {
            continue;
        };
        // `./out` and `out` are one file.
        let path = std::path::absolute(&options.path).unwrap_or_else(|_| options.path.clone());
        if let Some(first) = known.insert(path.clone(), name) {
            problems.push(ConfigError::SameFile {
                first: first.to_owned(),
                second: name.clone(),
                path,
            });
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use crate::config::from_file;

    fn refused(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("misp-ecs.yaml");
        std::fs::write(&path, text).unwrap();
        from_file(&path, |_| None).unwrap_err().to_string()
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_in_plain_words() {
        let text = refused("instances: [{url: u, page_sise: 3, intervall: 1m}]");
        for part in ["`page_size`", "`interval`"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = refused("");
        assert!(text.contains("is empty: name at least one"), "{text}");
        let text = refused("instances: 3");
        assert!(text.contains("`instances`: wrong kind of value"), "{text}");
        let text = refused(
            "instances: [{name: lab, url: 'https://a.example', page_size: 0, api_key_file: nope}]\n\
             outputs: {a: {type: file, path: x}, b: {type: file, path: ./x}}",
        );
        for part in [
            "lab: `page_size` is 0",
            "the outputs a and b",
            "instance lab: `api_key_file`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
