//! Writes the definitions of all kinds into a folder, `crds` by default.
#![forbid(unsafe_code)]

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("crds"), PathBuf::from);
    fs::create_dir_all(&folder)?;
    for (name, text) in penin_api::crd_files()? {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
