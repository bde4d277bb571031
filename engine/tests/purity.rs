//! The engine reads no clock, file, thread, environment or network, uses no map with an unspecified order, and calls no mathematical
//! function whose last bit depends on the platform. The compiler cannot say so; this test reads the sources and does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Methods that `std` forwards to the platform's C library, or that may be contracted into one rounding. `sqrt`, `abs`, `floor`, `ceil`,
/// `round` and `fract` are exact by IEEE-754 and stay allowed.
const METHODS: &[&str] = &[
    "exp", "exp2", "exp_m1", "ln", "ln_1p", "log", "log2", "log10", "powf", "powi", "cbrt", "hypot", "sin", "cos",
    "tan", "asin", "acos", "atan", "atan2", "sin_cos", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "gamma",
    "ln_gamma", "mul_add",
];

/// Paths that reach outside, or whose iteration order differs between runs.
const PATHS: &[&str] = &[
    "HashMap",
    "HashSet",
    "RandomState",
    "std::time",
    "std::env",
    "std::fs",
    "std::thread",
    "std::net",
    "std::process",
    "std::io",
    "std::os",
    "std::sync",
    "Instant::",
    "SystemTime",
    "thread_local",
    "tokio",
    "println!",
    "eprintln!",
    "include_str!",
    "option_env!",
    "unsafe {",
    "unsafe fn",
    "unsafe impl",
    "static mut",
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, line by line: without comments and without the `mod tests` at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines();
    let lines = lines.map(|line| line.split("//").next().unwrap_or(""));
    lines.enumerate().map(|(index, line)| (index + 1, line))
}

/// What is wrong with a line, if anything.
fn violation(line: &str) -> Option<String> {
    let called = |name: &&&str| {
        // Method calls, paths such as `f64::exp`, with or without a call; `libm::exp` is the allowed one.
        let method = format!(".{name}(");
        let paths = [format!("f64::{name}"), format!("f32::{name}")];
        let ends = |path: &String| {
            line.match_indices(path.as_str()).any(|(start, _)| {
                let next = line[start + path.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        };
        line.contains(&method) || paths.iter().any(ends)
    };
    if let Some(method) = METHODS.iter().find(called) {
        return Some(format!("platform-dependent `{method}`; use libm"));
    }
    PATHS
        .iter()
        .find(|path| line.contains(**path))
        .map(|path| format!("forbidden `{path}`"))
}

#[test]
fn sources_stay_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let mut violations = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in code(&text) {
            if let Some(reason) = violation(line) {
                violations.push(format!("{}:{number}: {reason}", file.display()));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn the_lint_sees_what_it_must() {
    for bad in [
        "let y = x.exp();",
        "let y = x.ln() + 1.0;",
        "let y = x.powf(2.0) * x.powi(3);",
        "let y = a.mul_add(b, c);",
        "values.iter().map(f64::tanh)",
        "let y = f64::log(x, 2.0);",
        "use std::collections::HashMap;",
        "let now = std::time::SystemTime::now();",
        "let seed = std::env::var(\"SEED\");",
    ] {
        assert!(violation(bad).is_some(), "{bad}");
    }
    for good in [
        "libm::exp(-y)",
        "x.sqrt()",
        "libm::log(x)",
        "let explain = f64::MAX;",
        "f64::max(a, b)",
        "self.expected(1)",
    ] {
        assert_eq!(violation(good), None, "{good}");
    }
    let text = "let a = 1; // x.exp()\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}\n";
    assert_eq!(code(text).filter_map(|(_, line)| violation(line)).count(), 0);
}

#[test]
fn the_crate_forbids_unsafe_code() {
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    assert!(root.contains("#![forbid(unsafe_code)]"));
}
