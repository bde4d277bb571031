//! `peninctl`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    peninctl::main("peninctl")
}
