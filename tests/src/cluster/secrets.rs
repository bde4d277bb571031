//! Secrets as files: what a kubelet does for a pod, where there is no kubelet.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _, api::ListParams};

use super::error::ClusterError;

/// Most Secrets that are mounted.
const MOST: u32 = 50;

/// Brings `directory` to hold what the Secrets of the namespace hold, each in a directory of its name. What is gone from
/// the API is gone from the disk, as with a volume whose Secret is optional.
///
/// # Errors
/// When the API server does not answer, or the disk takes no files.
pub async fn mount_secrets(api: &Api<Secret>, directory: &Path) -> Result<(), ClusterError> {
    let secrets = api.list(&ListParams::default().limit(MOST)).await?;
    let mounted: Vec<PathBuf> = secrets.iter().map(|secret| directory.join(secret.name_any())).collect();
    write(directory, &mounted, &secrets.items).map_err(|source| ClusterError::Mount {
        directory: directory.to_owned(),
        source,
    })
}

fn write(directory: &Path, mounted: &[PathBuf], secrets: &[Secret]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for item in fs::read_dir(directory)? {
        let path = item?.path();
        if !mounted.contains(&path) {
            fs::remove_dir_all(path)?;
        }
    }
    for (folder, secret) in mounted.iter().zip(secrets) {
        if folder.exists() {
            continue;
        }
        // All files at once, as a kubelet does.
        let beside = folder.with_extension("part");
        fs::create_dir_all(&beside)?;
        for (name, bytes) in secret.data.iter().flatten() {
            fs::write(beside.join(name), &bytes.0)?;
        }
        fs::rename(beside, folder)?;
    }
    Ok(())
}
