//! `verify` over rotations of keys and over archived generations: trust in the first keys is enough.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use penin_ledger::generations::{Predecessor, Successor, hand_over};
use penin_ledger::{Digest, Draft, Keys, Kind, Ledger, MemoryAnchor, Options, Policy, StateUpdate, Subject};
use serde_json::{Value, json};
use tempfile::TempDir;

const TIME: i64 = 1_790_000_000_000;

fn origin(generation: u8) -> String {
    format!("test.penin.ai/ledger/{generation}")
}

/// The keys that a generation begins with.
fn keys(generation: u8) -> Keys {
    Keys::generate([generation; 64])
}

fn successor(generation: u8) -> Successor {
    Successor {
        origin: origin(generation),
        keys: keys(generation).verifiers(),
    }
}

/// A generation with entries, a rotation of the keys, and entries after it.
fn generation(folder: &Path, number: u8, begun: Keys, previous: Option<Predecessor>) -> Ledger {
    let mut options = Options::new(origin(number), TIME);
    options.any_filesystem = true;
    options.previous = previous;
    let anchor = Box::new(MemoryAnchor::default());
    let ledger = Ledger::open(&folder.join(number.to_string()), begun, anchor, 1, options).unwrap();
    for n in 0..4 {
        if n == 2 {
            ledger.rotate_keys(keys(number + 100), TIME).wait().unwrap();
        }
        let subject = Subject {
            name: format!("model:{n}"),
            sha256: Digest::of(&[n]),
        };
        let mut draft = Draft::new(Kind::GateEval, subject, TIME);
        draft.state = vec![StateUpdate {
            key: "cycle/1".into(),
            value: vec![number, n],
        }];
        ledger.append(draft).wait().unwrap();
    }
    ledger
}

/// Three generations; `usurped` is the number of one that somebody else began, with keys that nobody named.
fn three(usurped: Option<u8>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut previous = None;
    for number in 1..=3 {
        let begun = if usurped == Some(number) {
            keys(66)
        } else {
            keys(number)
        };
        let ledger = generation(folder.path(), number, begun, previous.take());
        if number < 3 {
            previous = Some(hand_over(ledger, successor(number + 1), TIME).unwrap());
        } else {
            ledger.close();
        }
    }
    for number in 1..=3 {
        let policy = Policy {
            origin: origin(number),
            keys: keys(number).verifiers(),
        };
        fs::write(folder.path().join(format!("policy-{number}.json")), policy.to_json()).unwrap();
    }
    folder
}

/// Verifies the third generation with the others before it; the exit code and the reports.
fn verify(folder: &TempDir, previous: &[&str], policy: Option<&str>) -> (i32, Value) {
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let mut command = Command::new(env!("CARGO_BIN_EXE_peninctl"));
    command.args(["ledger", "verify", "-o", "json"]).arg(path("3"));
    for name in previous {
        command.arg("--previous").arg(path(name));
    }
    if let Some(name) = policy {
        command.arg("--policy").arg(path(name));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let reports = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code().unwrap(), reports)
}

fn field<'a>(reports: &'a Value, name: &str) -> Vec<&'a Value> {
    reports.as_array().unwrap().iter().map(|report| &report[name]).collect()
}

#[test]
fn the_first_policy_pins_the_keys_of_every_generation_after_it() {
    let folder = three(None);
    let (code, reports) = verify(&folder, &["1", "2"], Some("policy-1.json"));
    assert_eq!(code, 0, "{reports}");
    assert_eq!(field(&reports, "verdict"), [&json!("Ok"); 3]);
    assert_eq!(field(&reports, "keysPinned"), [&json!(true); 3]);
    // Entries, rotation, GENESIS; ARCHIVE in the first two, CARRY in the last two.
    assert_eq!(field(&reports, "size"), [&json!(7), &json!(8), &json!(7)]);
    assert_eq!(field(&reports, "signatures"), [&json!(7), &json!(8), &json!(7)]);
    // A later policy pins from its generation on; the older ones then only agree with themselves.
    let (code, reports) = verify(&folder, &["1", "2"], Some("policy-2.json"));
    assert_eq!(code, 0, "{reports}");
    assert_eq!(
        field(&reports, "keysPinned"),
        [&json!(false), &json!(true), &json!(true)]
    );
    let (code, report) = verify(&folder, &[], Some("policy-3.json"));
    assert_eq!((code, &report["keysPinned"]), (0, &json!(true)));
}

#[test]
fn a_generation_that_somebody_else_began_is_found() {
    let folder = three(Some(3));
    // Alone it agrees with itself.
    assert_eq!(verify(&folder, &[], None).0, 0);
    for policy in [None, Some("policy-1.json")] {
        let (code, reports) = verify(&folder, &["1", "2"], policy);
        assert_eq!(code, 6, "{reports}");
        assert_eq!(
            field(&reports, "verdict"),
            [&json!("Ok"), &json!("Ok"), &json!("Tampered")]
        );
        assert!(
            reports[2]["findings"].to_string().contains("was sealed for"),
            "{reports}"
        );
    }
}

#[test]
fn generations_that_do_not_follow_each_other_and_policies_of_others_are_found() {
    let folder = three(None);
    let (code, reports) = verify(&folder, &["1"], Some("policy-1.json"));
    assert!(
        code == 6 && reports[1]["findings"].to_string().contains("follows 8 entries"),
        "{reports}"
    );
    let (code, reports) = verify(&folder, &["2", "1"], None);
    assert_eq!(code, 6, "{reports}");
    // Of a log that is not among them: nothing can be pinned by it.
    let stranger = Policy {
        origin: "else.penin.ai/ledger".into(),
        keys: keys(1).verifiers(),
    };
    fs::write(folder.path().join("stranger.json"), stranger.to_json()).unwrap();
    let (code, reports) = verify(&folder, &["1", "2"], Some("stranger.json"));
    assert_eq!(code, 6, "{reports}");
    // Something missing in an older one.
    fs::remove_file(folder.path().join("1/tile/entries/000.p/7")).unwrap();
    let (code, reports) = verify(&folder, &["1", "2"], Some("policy-1.json"));
    assert_eq!(code, 7, "{reports}");
}

#[test]
fn generations_are_replayed_in_turn_and_only_when_they_follow_each_other() {
    let folder = three(None);
    let replay = |previous: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peninctl"));
        command.args(["ledger", "replay"]).arg(folder.path().join("3"));
        for name in previous {
            command.arg("--previous").arg(folder.path().join(name));
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = replay(&["1", "2"]);
    assert_eq!((code, text.lines().count()), (0, 3), "{text}");
    let (code, text) = replay(&["1"]);
    assert_eq!(code, 6, "{text}");
    assert!(text.contains("follows 8 entries"), "{text}");
}

#[test]
fn people_read_one_paragraph_for_each_generation() {
    let folder = three(None);
    let output = Command::new(env!("CARGO_BIN_EXE_peninctl"))
        .args(["ledger", "verify"])
        .arg(folder.path().join("3"))
        .arg("--previous")
        .arg(folder.path().join("2"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let heads: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("genuine and complete"))
        .collect();
    assert_eq!(heads.len(), 2, "{text}");
    assert!(heads[0].contains(&origin(2)) && heads[1].contains(&origin(3)), "{text}");
}

#[test]
fn lists_say_what_the_ledgers_own_entries_did() {
    let folder = three(None);
    let output = Command::new(env!("CARGO_BIN_EXE_peninctl"))
        .args(["ledger", "show"])
        .arg(folder.path().join("2"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |kind: &str| text.lines().find(|line| line.contains(kind)).unwrap().to_owned();
    for (kind, said) in [
        ("GENESIS", origin(2)),
        ("CARRY", "states taken over: 1".to_owned()),
        (
            "KEY_ROTATE",
            "now ".to_owned() + &keys(102).verifiers().attestation.to_base64()[..20],
        ),
        ("ARCHIVE", "followed by …/3".to_owned()),
    ] {
        assert!(line(kind).contains(&said), "{kind}: {text}");
    }
}
