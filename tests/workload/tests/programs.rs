//! Both programs as processes: arguments, signals, exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use penin_workload::player::Report;

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// A server of a committed model and the addresses of its two ports.
fn server(model: &str) -> (Process, String, String) {
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(model);
    let mut child = Command::new(env!("CARGO_BIN_EXE_model-server"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--management",
            "127.0.0.1:0",
            "--drain",
            "0s",
            "--weights",
        ])
        .arg(weights)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let line = stderr
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains("predictions on"))
        .unwrap();
    let words: Vec<&str> = line.split([' ', ',']).collect();
    let after = |word: &str| words[words.iter().position(|w| *w == word).unwrap() + 2].to_owned();
    (Process(child), after("predictions"), after("management"))
}

fn player(arguments: &[&str]) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_player"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Process(child)
}

#[test]
fn a_report_appears_on_a_signal_and_both_end_in_good_order() {
    let (mut server, predictions, management) = server("champion.json");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut player = player(&[
        "--target",
        &format!("http://{predictions}"),
        "--rate",
        "100",
        "--label-delay",
        "10ms",
        "--label-endpoints",
        &management,
        "--report",
        path.to_str().unwrap(),
        "--report-every",
        "1h",
    ]);
    // The report of the beginning, and no other for an hour.
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!Report::read(&path).unwrap().finished);
    loop {
        player.signal("USR1");
        std::thread::sleep(Duration::from_millis(20));
        let report = Report::read(&path).unwrap();
        if report.succeeded > 10 {
            assert!(!report.finished);
            break;
        }
    }
    player.signal("TERM");
    let mut printed = String::new();
    player.0.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(player.0.wait().unwrap().success());
    let last = Report::read(&path).unwrap();
    assert!(last.finished);
    assert_eq!(serde_json::from_str::<Report>(&printed).unwrap().sent, last.sent);
    assert_eq!(last.labels.due, last.sent);
    assert_eq!(last.failed, 0);

    server.signal("TERM");
    assert!(server.0.wait().unwrap().success());
}

#[test]
fn wrong_arguments_are_refused_with_the_reason() {
    let refused = |program: &str, arguments: &[&str], reason: &str| {
        let output = Command::new(program).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    };
    let player = env!("CARGO_BIN_EXE_player");
    let target = ["--target", "http://127.0.0.1:9"];
    refused(
        player,
        &["--target", "https://127.0.0.1"],
        "http://host:port is expected",
    );
    refused(
        player,
        &["--target", "http://127.0.0.1:9", "--rate", "0"],
        "0 is not in 1..=100000",
    );
    refused(player, &[&target[..], &["--run", "a b"]].concat(), "--run: 1 to 40");
    refused(
        player,
        &[&target[..], &["--header", "x"]].concat(),
        "\"name: value\" is expected",
    );
    refused(
        player,
        &[&target[..], &["--duration", "25h"]].concat(),
        "from 0s to 24h",
    );
    refused(
        player,
        &[&target[..], &["--label-endpoints", "10.0.0.1"]].concat(),
        "not of the form host:port",
    );
    refused(
        player,
        &[&target[..], &["--label-file", "a", "--label-cycle", "b"]].concat(),
        "cannot be used with",
    );
    let server = env!("CARGO_BIN_EXE_model-server");
    refused(server, &["--weights", "/nowhere.json"], "/nowhere.json: No such file");
    refused(server, &["--weights", "/dev/null"], "weights: EOF");
}
