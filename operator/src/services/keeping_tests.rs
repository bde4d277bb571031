//! A ledger that fails while it is open is opened again, and nothing is lost, taken or begun by it.

use std::future::{Ready, ready};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use penin_ledger::{Anchor as _, Digest, Draft, Head, Keys, Kind, MemoryAnchor, Options, Reader, Subject};
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::runtime::clock::SystemClock;
use crate::runtime::lease::Claim;
use crate::runtime::metrics::Metrics;

const ORIGIN: &str = "test.penin.ai/ledger";
const TIME_MS: i64 = 1_790_000_000_000;

struct Place {
    folder: TempDir,
    anchor: MemoryAnchor,
    service: LedgerService,
    metrics: Metrics,
    lease: watch::Sender<Option<Claim>>,
    /// Every try to open it: when, with which epoch, and what was known.
    tries: Mutex<Vec<(Instant, u64, Before)>>,
}

impl Place {
    fn new() -> Self {
        let (folder, metrics) = (tempfile::tempdir().unwrap(), Metrics::new().unwrap());
        let claim = Claim {
            epoch: 3,
            valid_until: std::time::Instant::now() + Duration::from_hours(1),
        };
        Self {
            service: LedgerService::new(
                folder.path().to_owned(),
                ORIGIN.to_owned(),
                metrics.clone(),
                Arc::new(SystemClock),
            ),
            folder,
            anchor: MemoryAnchor::default(),
            metrics,
            lease: watch::channel(Some(claim)).0,
            tries: Mutex::default(),
        }
    }

    fn open(&self, epoch: u64, before: Before) -> Ready<Result<Opened, Problem>> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.push((Instant::now(), epoch, before));
        let mut options = Options::new(ORIGIN, TIME_MS);
        options.any_filesystem = true;
        options.anchor_attempts = 1;
        let anchor = Box::new(self.anchor.clone());
        let opened = Ledger::open(self.folder.path(), Keys::generate([7; 64]), anchor, epoch, options);
        let former_keys = false;
        let opened = opened.map(|ledger| Opened { ledger, former_keys });
        ready(opened.map_err(|failure| Problem::from(&failure)))
    }

    /// Keeps the ledger open until `body` is done.
    async fn kept(&self, body: impl Future<Output = ()>) {
        let claim = ClaimReader::new(self.lease.subscribe(), Arc::new(SystemClock));
        let keeping = self
            .service
            .keep(&claim, |epoch, before| self.open(epoch, before), |_, _| ready(()));
        tokio::select! {
            () = keeping => panic!("it is kept until it is told to stop"),
            () = body => {}
        }
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..2_000 {
            if holds(self) {
                return;
            }
            // The ledger's threads need time that passes.
            std::thread::sleep(Duration::from_micros(500));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} did not come: {:?}", self.service.problem());
    }

    async fn is_open(&self) {
        self.until("an open ledger", |place| place.service.view().problem.is_none())
            .await;
    }

    async fn append(&self, kind: Kind, n: u64) -> bool {
        let appended = self.service.append(draft(kind, n), Duration::from_hours(10_000));
        tokio::pin!(appended);
        loop {
            // As in `until`: a paused clock would otherwise run ahead of the ledger's threads.
            tokio::select! {
                biased;
                result = &mut appended => return result.is_ok(),
                () = tokio::time::sleep(Duration::from_millis(1)) => std::thread::sleep(Duration::from_micros(500)),
            }
        }
    }

    fn count(&self, kind: Kind) -> usize {
        let reader = Reader::open_read_only(self.folder.path()).unwrap();
        let size = reader.head().unwrap().0;
        reader
            .entries(0..size)
            .filter(|entry| entry.as_ref().unwrap().kind == kind)
            .count()
    }

    fn measured(&self) -> String {
        String::from_utf8(self.metrics.text().unwrap()).unwrap()
    }

    fn says(&self, word: &str) -> bool {
        self.service.problem().is_some_and(|problem| problem.contains(word))
    }

    fn tries(&self) -> Vec<(Instant, u64, Before)> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn draft(kind: Kind, n: u64) -> Draft {
    let subject = Subject {
        name: format!("model {n}"),
        sha256: Digest::of(&n.to_be_bytes()),
    };
    Draft::new(kind, subject, TIME_MS)
}

fn queue(folder: &Path) -> std::path::PathBuf {
    folder.join("rollbacks.queue")
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_failed_while_open_is_opened_again_with_all_withdrawals() {
    let place = Place::new();
    place
        .kept(async {
            place.is_open().await;
            assert!(place.append(Kind::GateEval, 1).await);
            let head = place.anchor.clone().load().unwrap();
            place.anchor.overwrite(None);
            assert!(!place.append(Kind::GateEval, 2).await);
            // One before it is noticed, which the disk does not take, and one afterwards.
            std::fs::create_dir(queue(place.folder.path())).unwrap();
            place.service.queue_withdrawal(draft(Kind::Rollback, 3));
            place.until("the next try", |place| place.tries().len() > 1).await;
            assert!(
                place.says("AnchorMissing") || place.says("rollbacks.queue"),
                "{:?}",
                place.service.problem()
            );
            place.service.queue_withdrawal(draft(Kind::Override, 4));
            let waiting = || place.measured().contains("penin_ledger_queued_withdrawals 2");
            place.until("the count of both", |_| waiting()).await;
            std::fs::remove_dir(queue(place.folder.path())).unwrap();
            place.anchor.overwrite(head);
            place.is_open().await;
            let recorded = |place: &Place| place.count(Kind::Rollback) + place.count(Kind::Override) == 2;
            place.until("both withdrawals", recorded).await;
            assert!(place.append(Kind::GateEval, 5).await);
        })
        .await;
    let tries = place.tries();
    assert_eq!(tries.first().map(|(_, _, before)| *before), Some(Before::Unknown));
    assert!(tries.iter().skip(1).all(|(_, _, before)| *before == Before::WasOpen));
    assert!(tries.iter().all(|(_, epoch, _)| *epoch == 3));
    assert_eq!((place.count(Kind::Rollback), place.count(Kind::Override)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_newer_writer_is_left_its_ledger_and_nobody_tries_without_the_lease() {
    let place = Place::new();
    place
        .kept(async {
            place.is_open().await;
            let head = place.anchor.clone().load().unwrap().unwrap();
            let theirs = Head { epoch: 9, ..head };
            place.anchor.overwrite(Some(theirs.clone()));
            assert!(!place.append(Kind::GateEval, 1).await);
            tokio::time::sleep(Duration::from_mins(20)).await;
            assert!(place.says("Fenced"));
            assert_eq!(place.anchor.clone().load().unwrap(), Some(theirs));
            assert!(place.tries().len() > 10, "{}", place.tries().len());
            place.lease.send_replace(None);
            tokio::time::sleep(Duration::from_mins(2)).await;
            let tries = place.tries().len();
            tokio::time::sleep(Duration::from_mins(20)).await;
            assert_eq!(place.tries().len(), tries);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_a_minute() {
    let place = Place::new();
    place.anchor.overwrite(Some(Head {
        origin: ORIGIN.to_owned(),
        size: 5,
        root: Digest::ZERO,
        epoch: 1,
    }));
    place.kept(tokio::time::sleep(Duration::from_mins(10))).await;
    let tries = place.tries();
    let pauses = tries.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs());
    assert_eq!(pauses.take(9).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(place.says("VolumeEmpty"));
}

#[test]
fn what_passes_by_itself_and_a_sealed_generation_are_not_opened_again() {
    let lost = |reason| {
        is_lost(&Failure {
            reason,
            detail: String::new(),
        })
    };
    for reason in [
        Reason::Sealed,
        Reason::AnchorUnavailable,
        Reason::StorageFull,
        Reason::ClockBehind,
    ] {
        assert!(!lost(reason), "{reason}");
    }
    for reason in [
        Reason::StorageFailed,
        Reason::Fenced,
        Reason::Stopped,
        Reason::VolumeReplaced,
    ] {
        assert!(lost(reason), "{reason}");
    }
}

#[tokio::test]
async fn a_published_copy_that_cannot_be_written_is_counted_and_stops_nothing() {
    let place = Place::new();
    let fails = |value: &str| {
        let line = format!("penin_ledger_publication_failing {value}");
        place.measured().lines().any(|found| found == line)
    };
    place
        .kept(async {
            place.is_open().await;
            let tiles = place.folder.path().join("tile");
            place.until("the first tile", |_| tiles.exists()).await;
            let aside = place.folder.path().join("aside");
            std::fs::rename(&tiles, &aside).unwrap();
            std::fs::write(&tiles, "no directory").unwrap();
            assert!(place.append(Kind::GateEval, 1).await);
            place.until("the metric", |_| fails("1")).await;
            let view = place.service.view();
            assert!(view.problem.is_none() && view.publication.is_some(), "{view:?}");
            assert!(place.append(Kind::GateEval, 2).await);
            std::fs::remove_file(&tiles).unwrap();
            place.until("the end of it", |_| fails("0")).await;
            assert_eq!(place.service.view().publication, None);
        })
        .await;
}
