//! What the kernel says about this process: memory, processor time, and the limits of its container.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Use of resources up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Processor time of all threads since the start.
    pub cpu: Duration,
}

/// Limits of the container; `None` where there is no limit or it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time in cores.
    pub cpu_cores: Option<f64>,
}

/// Reads the use of this process from `/proc/self/status` and the process clock.
#[must_use]
pub fn usage() -> Usage {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let clock = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(clock.tv_sec).unwrap_or_default();
    let nanos = u32::try_from(clock.tv_nsec).unwrap_or_default();
    Usage {
        resident_bytes: resident_bytes(&status),
        cpu: Duration::new(seconds, nanos),
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Reads the limits of this process's control group (cgroups version 2, else version 1).
#[must_use]
pub fn limits() -> Limits {
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limits_below(Path::new("/sys/fs/cgroup"), &membership)
}

/// Limits below a cgroup mount, by the lines `id:controllers:path` of `/proc/<pid>/cgroup`.
fn limits_below(root: &Path, membership: &str) -> Limits {
    let unified = folders(root, "", membership, str::is_empty);
    let memory = folders(root, "memory", membership, |controllers| has(controllers, "memory"));
    let cpu = folders(root, "cpu", membership, |controllers| has(controllers, "cpu"));
    let combined = folders(root, "cpu,cpuacct", membership, |controllers| has(controllers, "cpu"));
    let memory_bytes = first(&unified, |folder| number(&folder.join("memory.max")))
        .or_else(|| first(&memory, |folder| number(&folder.join("memory.limit_in_bytes"))))
        // Version 1 says "no limit" with the largest page-aligned number.
        .filter(|&bytes| bytes < 1 << 62);
    let cpu_cores = first(&unified, |folder| quota(&read(&folder.join("cpu.max"))?)).or_else(|| {
        let folders: Vec<_> = cpu.into_iter().chain(combined).collect();
        first(&folders, |folder| {
            let quota_us = read(&folder.join("cpu.cfs_quota_us"))?;
            quota(&format!(
                "{} {}",
                quota_us.trim(),
                read(&folder.join("cpu.cfs_period_us"))?
            ))
        })
    });
    Limits {
        memory_bytes,
        cpu_cores,
    }
}

/// Where the files of a controller may lie: below the process's own path, or, in a container that sees
/// only its own part of the hierarchy, at the mount itself.
fn folders(root: &Path, mount: &str, membership: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mount = root.join(mount);
    let own = membership.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let controllers = parts.next()?;
        wanted(controllers).then(|| parts.next().map(|path| mount.join(path.trim_start_matches('/'))))?
    });
    own.into_iter().chain([mount]).collect()
}

fn has(controllers: &str, name: &str) -> bool {
    controllers.split(',').any(|controller| controller == name)
}

fn first<T>(folders: &[PathBuf], read: impl Fn(&Path) -> Option<T>) -> Option<T> {
    folders.iter().find_map(|folder| read(folder))
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn number(path: &Path) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

/// Cores of "quota period" in microseconds; "max" and -1 mean none.
fn quota(text: &str) -> Option<f64> {
    let mut parts = text.split_whitespace();
    let quota: u32 = parts.next()?.parse().ok()?;
    let period: u32 = parts.next()?.parse().ok()?;
    (period > 0).then(|| f64::from(quota) / f64::from(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        let usage = usage();
        assert!(usage.resident_bytes.unwrap() > 100_000);
        assert!(usage.cpu > Duration::ZERO);
    }

    #[test]
    fn resident_memory_is_read_from_the_status() {
        assert_eq!(
            resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\nVmData: 1 kB\n"),
            Some(2_097_152)
        );
        assert_eq!(resident_bytes("Name:\tx\n"), None);
        assert_eq!(resident_bytes("VmRSS: many kB\n"), None);
    }

    /// Files, membership and what must come out of them.
    type Case = (&'static [(&'static str, &'static str)], &'static str, Limits);

    const CASES: &[Case] = &[
        // Version 2 in a container with its own cgroup namespace.
        (
            &[("memory.max", "67108864\n"), ("cpu.max", "50000 100000\n")],
            "0::/\n",
            Limits {
                memory_bytes: Some(67_108_864),
                cpu_cores: Some(0.5),
            },
        ),
        // Version 2 seen from the host, without limits.
        (
            &[("pods/a/memory.max", "max\n"), ("pods/a/cpu.max", "max 100000\n")],
            "0::/pods/a\n",
            Limits {
                memory_bytes: None,
                cpu_cores: None,
            },
        ),
        // Version 1: the container is mounted at the root, the path of the host does not exist in it.
        (
            &[
                ("memory/memory.limit_in_bytes", "134217728\n"),
                ("cpu,cpuacct/cpu.cfs_quota_us", "200000\n"),
                ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ],
            "4:memory:/kubepods/x\n3:cpu,cpuacct:/kubepods/x\n0::/\n",
            Limits {
                memory_bytes: Some(134_217_728),
                cpu_cores: Some(2.0),
            },
        ),
        // Version 1 without limits.
        (
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
            ],
            "4:memory:/\n3:cpu:/\n",
            Limits {
                memory_bytes: None,
                cpu_cores: None,
            },
        ),
        // Nothing mounted.
        (
            &[],
            "",
            Limits {
                memory_bytes: None,
                cpu_cores: None,
            },
        ),
    ];

    #[test]
    fn limits_are_read_from_both_versions_of_cgroups() {
        for (files, membership, wanted) in CASES {
            let root = tempfile::tempdir().unwrap();
            for (path, content) in *files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            assert_eq!(limits_below(root.path(), membership), *wanted, "{files:?}");
        }
    }
}
