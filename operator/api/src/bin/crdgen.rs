//! Writes the definitions of all kinds where the repository keeps them: `crds` for kubectl, and the Helm chart.
//! Folders that are given as arguments are written instead.
#![forbid(unsafe_code)]

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut folders: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if folders.is_empty() {
        folders = penin_api::CRD_FOLDERS.iter().map(PathBuf::from).collect();
    }
    let files = penin_api::crd_files()?;
    for folder in folders {
        fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        for (name, text) in &files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}
