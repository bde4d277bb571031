//! Runs the scripts of `tests/cluster`. They lock and find running clusters themselves, so several
//! test processes may call them at once.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use super::error::ClusterError;

/// How much of a failed script's output an error carries, in bytes.
const LONGEST_OUTPUT: usize = 16 * 1024;

fn path(script: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "cluster", script].iter().collect()
}

/// A script as a command that is killed with its handle and reads nothing.
pub(super) fn command(script: &str) -> Command {
    let mut command = Command::new(path(script));
    // Set by a script that runs us; a script that we run has a clock of its own.
    command
        .env_remove("PENIN_STARTED_MS")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a script to its end and returns what it printed on standard output.
pub(super) async fn run(script: &str, arguments: &[&str], limit: Duration) -> Result<String, ClusterError> {
    let output = timeout(limit, command(script).args(arguments).output())
        .await
        .map_err(|_| ClusterError::Slow {
            script: script.to_owned(),
            limit,
        })?
        .map_err(|source| ClusterError::Spawn {
            script: script.to_owned(),
            source,
        })?;
    let Output { status, stdout, stderr } = output;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(stdout);
    }
    let output = last_bytes(&format!("{stdout}{}", String::from_utf8_lossy(&stderr)), LONGEST_OUTPUT).to_owned();
    Err(ClusterError::Script {
        script: script.to_owned(),
        output,
    })
}

/// For destructors, which can neither wait for a future nor return an error.
pub(super) fn run_blocking(script: &str, arguments: &[&str]) {
    let result = std::process::Command::new(path(script))
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match result {
        Ok(output) if output.status.success() => {}
        Ok(output) => eprintln!("{script} failed: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("{script} could not be run: {error}"),
    }
}

/// The end of a text, from a character boundary on.
pub(super) fn last_bytes(text: &str, limit: usize) -> &str {
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_starts_at_a_character() {
        let table = [
            ("abc", 5, "abc"),
            ("abc", 2, "bc"),
            ("aéc", 2, "c"),
            ("aéc", 3, "éc"),
            ("", 3, ""),
            ("ab", 0, ""),
        ];
        for (text, limit, wanted) in table {
            assert_eq!(last_bytes(text, limit), wanted, "{text:?} {limit}");
        }
    }

    /// bash goes on after errors in a function that is called on the left of `||`, or in an `if`.
    #[tokio::test]
    async fn a_step_ends_with_its_first_error() {
        let library = path("lib/progress.sh");
        let source = "set -euo pipefail; . \"$0\"; log=$(mktemp); trap 'rm -f $log' EXIT
            broken() { false; echo went on; }
            try_step broken \"$log\" broken 2>/dev/null; echo status $STEP_STATUS
            run_step broken \"$log\" broken; echo not reached";
        let output = Command::new("bash")
            .arg("-c")
            .arg(source)
            .arg(library)
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "status 1\n");
        assert!(String::from_utf8_lossy(&output.stderr).contains("FAILED: broken"));
    }

    #[tokio::test]
    async fn a_refusal_carries_the_scripts_own_words() {
        let error = run("control-plane.sh", &["up", "No Name"], Duration::from_secs(60))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("'No Name' is not a name"), "{error}");
    }

    #[tokio::test]
    async fn a_script_that_does_not_end_is_given_up() {
        let error = run("control-plane.sh", &["list"], Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, ClusterError::Slow { .. }), "{error}");
    }
}
