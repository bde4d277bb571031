//! `kubectl penin`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    peninctl::main("kubectl-penin")
}
