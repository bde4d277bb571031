//! Writes a complete ledger with realistic entries: for interoperability tests and auditors' exercises.
//!
//! `cargo run -p penin-ledger --example produce -- --dir DIR --entries N --seed S`
//!
//! DIR gets the database, tiles, bundles, blobs and checkpoint, and beside them `policy.json`, `anchor.json` and
//! `keys/`. Equal arguments give equal entries. The private keys are derived from the seed: for exercises only.

mod cycles;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cycles::Cycles;
use penin_ledger::keys::Keys;
use penin_ledger::{CycleRef, Digest, Draft, FileAnchor, Kind, Ledger, Options, Policy, StateUpdate, Subject, Ticket};
use serde_json::{Value, json};

const USAGE: &str = "usage: produce --dir DIR --entries N --seed S";
/// 2026-09-21T14:13:20Z.
const START_MS: i64 = 1_790_000_000_000;
/// Entries of one workload, from its adoption on.
const WORKLOAD: u64 = 500;
/// Tickets that wait at a time: enough for group commit, few enough for memory.
const WINDOW: usize = 512;

struct Arguments {
    dir: PathBuf,
    entries: u64,
    seed: u64,
}

fn main() -> ExitCode {
    let Some(arguments) = parse() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match produce(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("produce: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Option<Arguments> {
    let (mut dir, mut entries, mut seed) = (None, None, None);
    let mut words = std::env::args().skip(1);
    while let (Some(name), value) = (words.next(), words.next()) {
        match name.as_str() {
            "--dir" => dir = Some(PathBuf::from(value?)),
            "--entries" => entries = Some(value?.parse().ok()?),
            "--seed" => seed = Some(value?.parse().ok()?),
            _ => return None,
        }
    }
    Some(Arguments {
        dir: dir?,
        entries: entries?,
        seed: seed?,
    })
}

fn produce(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let dir = &arguments.dir;
    fs::create_dir_all(dir)?;
    let keys = derived_keys(arguments.seed);
    let origin = format!("exercise-{}.penin.ai/ledger/default/1", arguments.seed);
    write_keys(dir, &keys, &origin)?;
    let anchor = FileAnchor::open(dir.join("anchor.json"))?;
    let mut options = Options::new(&origin, START_MS);
    options.any_filesystem = true;
    options.holder = "produce".into();
    let ledger = Ledger::open(dir, keys, Box::new(anchor), 1, options)?;
    let mut window: std::collections::VecDeque<Ticket> = std::collections::VecDeque::new();
    let mut cycles = Cycles::start()?;
    // The first entry is GENESIS.
    for n in 1..arguments.entries {
        if window.len() == WINDOW
            && let Some(oldest) = window.pop_front()
        {
            oldest.wait()?;
        }
        if n % WORKLOAD == 1 {
            cycles = Cycles::start()?;
        }
        window.push_back(ledger.append(entry(&mut cycles, arguments.seed, n)?));
    }
    for ticket in window {
        ticket.wait()?;
    }
    ledger.close();
    Ok(())
}

fn derived_keys(seed: u64) -> Keys {
    let mut entropy = [0; 64];
    let (first, second) = entropy.split_at_mut(32);
    first.copy_from_slice(Digest::of(format!("exercise {seed} a").as_bytes()).as_bytes());
    second.copy_from_slice(Digest::of(format!("exercise {seed} b").as_bytes()).as_bytes());
    Keys::generate(entropy)
}

fn write_keys(dir: &Path, keys: &Keys, origin: &str) -> Result<(), Box<dyn Error>> {
    let folder = dir.join("keys");
    fs::create_dir_all(&folder)?;
    let (log, attestation) = keys.to_pkcs8_pem()?;
    let public = keys.verifiers();
    fs::write(folder.join("log.pem"), log.as_bytes())?;
    fs::write(folder.join("attestation.pem"), attestation.as_bytes())?;
    let vkey = public.log.to_vkey(origin);
    fs::write(folder.join("log.vkey"), format!("{vkey}\n"))?;
    let pem = public.attestation.to_pem()?;
    fs::write(folder.join("attestation.pub.pem"), pem)?;
    let policy = Policy {
        origin: origin.to_owned(),
        keys: public,
    };
    fs::write(dir.join("policy.json"), policy.to_json())?;
    Ok(())
}

/// Entry `n`: the course of a challenger's life, over and over.
fn entry(cycles: &mut Cycles, seed: u64, n: u64) -> Result<Draft, Box<dyn Error>> {
    let course = [
        Kind::Config,
        Kind::Intent,
        Kind::GateEval,
        Kind::GateEval,
        Kind::GateEval,
        Kind::Outcome,
        Kind::GateEval,
        Kind::Rollback,
        Kind::Outcome,
        Kind::Rejection,
    ];
    let life = n / 10;
    let kind = usize::try_from(n % 10)
        .ok()
        .and_then(|index| course.get(index))
        .copied()
        .unwrap_or(Kind::Config);
    let image = format!("registry.example/ranker:{life}");
    let subject = Subject {
        sha256: Digest::of(image.as_bytes()),
        name: image,
    };
    let offset = i64::try_from(n).unwrap_or(0) * 1_000;
    let mut draft = Draft::new(kind, subject, START_MS + offset);
    let workload = (n - 1) / WORKLOAD;
    let uid = format!("7a0f6c5e-1d52-4a3b-9d0e-{workload:012x}");
    draft.trace_id = noise(seed, n, "trace").to_string().chars().take(32).collect();
    if n % WORKLOAD == 1 {
        draft.kind = Kind::Adopt;
        draft.body.insert("stateHash".into(), cycles.state_hash()?.into());
    } else if kind == Kind::GateEval {
        cycles.record(&mut draft, |_| {})?;
        // What the operator remembers of the workload, in the same transaction.
        draft.state = vec![StateUpdate {
            key: format!("cycle/{uid}"),
            value: json!({ "life": life.to_string() }).to_string().into_bytes(),
        }];
    } else if let Value::Object(body) = body(seed, n, kind) {
        draft.body = body;
    }
    draft.cycle = Some(CycleRef {
        name: format!("shop/ranker-{workload}"),
        uid,
    });
    Ok(draft)
}

fn noise(seed: u64, n: u64, what: &str) -> Digest {
    Digest::of(format!("{seed}/{n}/{what}").as_bytes())
}

fn body(seed: u64, n: u64, kind: Kind) -> Value {
    match kind {
        Kind::Outcome => json!({ "observedGeneration": "7", "share": 0.05, "weight": n % 6 }),
        Kind::Rollback | Kind::Rejection => {
            json!({ "causes": ["errorRate"], "reason": "ρ über der Schwelle" })
        }
        _ => json!({ "configHash": noise(seed, n, "config"), "weight": n % 6 }),
    }
}
