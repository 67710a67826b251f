//! Where the state is kept.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::FolderError;

/// The state folder: `--state`, else `state.path` of the configuration, else the first
/// of `$STATE_DIRECTORY` (systemd lists several with `:`), else
/// `$XDG_STATE_HOME/misp-ecs`, else `~/.local/state/misp-ecs`. `env` looks a variable
/// up; an empty one counts as unset, and so does a relative `$XDG_STATE_HOME`, as the
/// XDG base directory specification says.
///
/// # Errors
/// When nothing names a folder.
pub fn state_folder(
    cli: Option<PathBuf>,
    config: Option<PathBuf>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, FolderError> {
    let variable = |name| env(name).filter(|value| !value.is_empty());
    let systemd = || {
        let folders = variable("STATE_DIRECTORY")?;
        std::env::split_paths(&folders).find(|folder| !folder.as_os_str().is_empty())
    };
    let xdg = || {
        let home = PathBuf::from(variable("XDG_STATE_HOME")?);
        home.is_absolute().then(|| home.join("misp-ecs"))
    };
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state/misp-ecs"));
    cli.or(config)
        .or_else(systemd)
        .or_else(xdg)
        .or_else(home)
        .ok_or(FolderError::Nowhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(cli: Option<&str>, config: Option<&str>, env: &[(&str, &str)]) -> Option<PathBuf> {
        let lookup = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        state_folder(cli.map(PathBuf::from), config.map(PathBuf::from), lookup).ok()
    }

    #[test]
    fn the_first_that_is_set_wins() {
        let home = ("HOME", "/home/someone");
        let xdg = ("XDG_STATE_HOME", "/xdg");
        let systemd = ("STATE_DIRECTORY", "/var/lib/one:/var/lib/two");
        let all = [home, xdg, systemd];
        for (cli, config, env, expected) in [
            (Some("cli"), Some("config"), &all[..], "cli"),
            (None, Some("config"), &all[..], "config"),
            (None, None, &all[..], "/var/lib/one"),
            (None, None, &[home, xdg][..], "/xdg/misp-ecs"),
            (
                None,
                None,
                &[home][..],
                "/home/someone/.local/state/misp-ecs",
            ),
            (
                None,
                None,
                &[home, ("XDG_STATE_HOME", "")][..],
                "/home/someone/.local/state/misp-ecs",
            ),
            (
                None,
                None,
                &[home, ("XDG_STATE_HOME", "x")][..],
                "/home/someone/.local/state/misp-ecs",
            ),
            (None, None, &[home, ("STATE_DIRECTORY", ":/a")][..], "/a"),
        ] {
            assert_eq!(folder(cli, config, env), Some(PathBuf::from(expected)));
        }
        assert_eq!(folder(None, None, &[("HOME", "")]), None);
    }
}
