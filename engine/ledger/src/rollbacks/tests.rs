//! Tests of the queue.

use std::fs;

use super::*;
use crate::entry::Subject;

fn draft(time_ms: i64) -> Draft {
    let subject = Subject {
        name: "model".into(),
        sha256: Digest::of(b"model"),
    };
    Draft::new(Kind::Rollback, subject, time_ms)
}

#[test]
fn drafts_survive_the_process_and_are_removed_when_done() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(dir.path());
    assert_eq!(queue.push(draft(1)), Ok(Queued::OnDisk));
    assert_eq!(queue.push(draft(2)), Ok(Queued::OnDisk));
    assert_eq!(queue.push(draft(2)), Ok(Queued::OnDisk));
    let mut again = RollbackQueue::open(dir.path());
    let times: Vec<_> = again.next_batch().iter().map(|(_, draft)| draft.time_ms).collect();
    assert_eq!(times, [1, 2]);
    let first = again.next_batch()[0].0;
    again.remove(|id| *id == first);
    assert_eq!(RollbackQueue::open(dir.path()).on_disk(), 1);
}

#[test]
fn a_torn_line_loses_nothing_else_and_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(dir.path());
    queue.push(draft(1)).unwrap();
    let path = dir.path().join(ROLLBACK_QUEUE);
    let whole = fs::read(&path).unwrap();
    for cut in 1..whole.len() {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(&whole[..cut]);
        fs::write(&path, &bytes).unwrap();
        let _ = fs::remove_file(dir.path().join(DAMAGED));
        let mut again = RollbackQueue::open(dir.path());
        assert_eq!((again.on_disk(), again.damaged()), (1, 1), "{cut}");
        assert_eq!(fs::read(dir.path().join(DAMAGED)).unwrap(), &whole[..cut]);
        again.push(draft(3)).unwrap();
        assert_eq!(RollbackQueue::open(dir.path()).on_disk(), 2, "{cut}");
    }
}

/// A line is taken only as it was written: nobody may put words into the mouth of a rollback.
#[test]
fn an_altered_line_is_kept_aside_and_never_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(dir.path());
    queue.push(draft(1)).unwrap();
    queue.push(draft(2)).unwrap();
    let path = dir.path().join(ROLLBACK_QUEUE);
    let text = fs::read_to_string(&path).unwrap();
    let altered = text.replacen("\"timeMs\":1", "\"timeMs\":7", 1);
    assert_ne!(text, altered);
    fs::write(&path, altered).unwrap();
    let again = RollbackQueue::open(dir.path());
    assert_eq!((again.on_disk(), again.damaged()), (1, 1));
    assert_eq!(again.next_batch()[0].1.time_ms, 2);
}

#[test]
fn without_a_disk_drafts_are_kept_in_memory_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(&dir.path().join("absent"));
    assert_eq!(queue.push(draft(1)), Ok(Queued::InMemory));
    assert_eq!((queue.on_disk(), queue.in_memory()), (0, 1));
}

#[test]
fn only_what_lowers_traffic_may_wait_and_the_queue_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(&dir.path().join("absent"));
    let mut promotion = draft(1);
    promotion.kind = Kind::PromoteAttest;
    assert_eq!(queue.push(promotion), Err(QueueError::Kind(Kind::PromoteAttest)));
    for time in 0..i64::try_from(MOST_ROLLBACKS).unwrap() {
        queue.push(draft(time)).unwrap();
    }
    assert_eq!(queue.push(draft(-1 + 5_000_000)), Err(QueueError::Full));
}

/// A blob of `size` bytes that is like no other one's.
fn large(n: u8, size: usize) -> Draft {
    let mut draft = draft(i64::from(n));
    draft.blobs.push(crate::entry::Blob {
        name: "evidence".into(),
        media_type: "application/octet-stream".into(),
        content: vec![n; size],
    });
    draft
}

#[test]
fn the_largest_evidence_may_wait_and_what_waits_is_bounded_in_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(dir.path());
    let evidence = 4 * 1024 * 1024;
    let mut taken = 0;
    while queue.push(large(taken, evidence)).is_ok() {
        taken += 1;
    }
    assert!((8..16).contains(&taken), "{taken}");
    assert_eq!(queue.push(large(200, evidence)), Err(QueueError::Full));
    let again = RollbackQueue::open(dir.path());
    assert_eq!((again.on_disk(), again.damaged()), (usize::from(taken), 0));
    // Not all of them in one transaction.
    assert_eq!(again.next_batch().len(), 1);
    assert_eq!(
        queue.push(large(201, 3 * evidence)),
        Err(QueueError::Full),
        "one line alone"
    );
}

#[test]
fn a_side_file_beyond_all_bounds_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = File::create(dir.path().join(ROLLBACK_QUEUE)).unwrap();
    file.set_len(2 * MOST_BYTES as u64 + 1).unwrap();
    let refused = RollbackQueue::read(dir.path()).unwrap_err();
    assert!(refused.to_string().contains("larger than"), "{refused}");
    file.set_len(2 * MOST_BYTES as u64).unwrap();
    assert_eq!(RollbackQueue::read(dir.path()).unwrap().on_disk(), 0);
}

#[test]
fn behind_a_line_that_could_not_be_cut_off_the_next_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(ROLLBACK_QUEUE);
    let mut queue = RollbackQueue::open(dir.path());
    queue.push(draft(1)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&bytes.clone()[..40]);
    fs::write(&path, &bytes).unwrap();
    queue.torn = true;
    for time in 2..4 {
        assert_eq!(queue.push(draft(time)), Ok(Queued::OnDisk));
    }
    let again = RollbackQueue::open(dir.path());
    assert_eq!((again.on_disk(), again.damaged()), (3, 1));
}

#[test]
fn a_draft_that_can_be_no_entry_is_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let mut queue = RollbackQueue::open(dir.path());
    queue.push(draft(1)).unwrap();
    queue.push(draft(2)).unwrap();
    let [(first, _), (second, _)] = &queue.next_batch()[..] else {
        panic!("two wait");
    };
    queue.refuse(first);
    assert_eq!((queue.on_disk(), queue.damaged()), (1, 1));
    let kept = fs::read_to_string(dir.path().join(DAMAGED)).unwrap();
    assert!(kept.starts_with(&first.to_string()), "{kept}");
    let again = RollbackQueue::open(dir.path());
    assert_eq!(again.next_batch()[0].0, *second);
    // A folder in its place: nothing can be kept, and so the side file stays as it is.
    fs::remove_file(dir.path().join(DAMAGED)).unwrap();
    fs::create_dir(dir.path().join(DAMAGED)).unwrap();
    let before = fs::read(dir.path().join(ROLLBACK_QUEUE)).unwrap();
    queue.refuse(second);
    queue.rewrite();
    assert_eq!(fs::read(dir.path().join(ROLLBACK_QUEUE)).unwrap(), before);
}
