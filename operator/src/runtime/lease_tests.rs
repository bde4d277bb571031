use super::*;
use proptest::prelude::*;

fn settings(holder: &str) -> LeaseSettings {
    LeaseSettings {
        namespace: "penin-system".to_owned(),
        name: "penin-operator".to_owned(),
        holder: holder.to_owned(),
        duration: Duration::from_secs(10),
        renew_every: Duration::from_secs(3),
        past_epoch: 0,
    }
}

fn held(by: Option<&str>, transitions: i32, since: Instant) -> Observed {
    let lease = Lease {
        metadata: ObjectMeta {
            resource_version: Some("7".to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: by.map(str::to_owned),
            lease_duration_seconds: Some(10),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }),
    };
    Observed {
        lease,
        since,
        gone: false,
    }
}

fn written(action: &Action) -> (&str, i32, Option<&str>) {
    let (Action::Create(lease) | Action::Replace(lease)) = action else {
        panic!("{action:?} writes nothing")
    };
    let spec = lease.spec.as_ref().unwrap();
    (
        spec.holder_identity.as_deref().unwrap(),
        spec.lease_transitions.unwrap(),
        lease.metadata.resource_version.as_deref(),
    )
}

#[test]
fn a_missing_lease_is_created_and_a_released_one_is_taken_with_a_new_epoch() {
    let now = Instant::now();
    let created = decide(&settings("a"), None, now, jiff::Timestamp::UNIX_EPOCH);
    assert!(matches!(created, Action::Create(_)));
    assert_eq!(written(&created), ("a", 0, None));
    let taken = decide(
        &settings("a"),
        Some(&held(None, 4, now)),
        now,
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert_eq!(written(&taken), ("a", 5, Some("7")));
}

#[test]
fn our_own_lease_is_renewed_without_a_new_epoch() {
    let now = Instant::now();
    let renewed = decide(
        &settings("a"),
        Some(&held(Some("a"), 4, now)),
        now,
        jiff::Timestamp::UNIX_EPOCH,
    );
    assert_eq!(written(&renewed), ("a", 4, Some("7")));
}

#[test]
fn a_foreign_lease_is_taken_only_after_it_stood_still_for_its_duration() {
    let since = Instant::now();
    let foreign = held(Some("b"), 4, since);
    let at = |seconds| {
        decide(
            &settings("a"),
            Some(&foreign),
            since + Duration::from_secs(seconds),
            jiff::Timestamp::UNIX_EPOCH,
        )
    };
    assert_eq!(at(0), Action::Wait(Duration::from_secs(3)));
    assert_eq!(at(9), Action::Wait(Duration::from_secs(1)));
    assert_eq!(written(&at(10)), ("a", 5, Some("7")));
}

#[test]
fn a_claim_ends_by_time_even_if_nobody_says_so() {
    let clock = super::super::clock::TestClock::at(jiff::Timestamp::UNIX_EPOCH);
    let (publish, receive) = watch::channel(None);
    let reader = ClaimReader::new(receive, Arc::new(clock.clone()));
    assert_eq!(reader.epoch(), None);
    publish.send_replace(Some(Claim {
        epoch: 3,
        valid_until: clock.monotonic() + Duration::from_secs(10),
    }));
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(reader.epoch(), Some(3));
    clock.advance(Duration::from_millis(1));
    assert_eq!(reader.epoch(), None);
}

#[test]
fn a_lease_that_disappeared_counts_as_held_and_its_epochs_as_used() {
    let since = Instant::now();
    let gone = |holder| Observed {
        gone: true,
        ..held(holder, 4, since)
    };
    let at = |holder, seconds| {
        decide(
            &settings("a"),
            Some(&gone(holder)),
            since + Duration::from_secs(seconds),
            jiff::Timestamp::UNIX_EPOCH,
        )
    };
    for holder in [Some("a"), Some("b"), None] {
        assert_eq!(
            at(holder, 9),
            Action::Wait(Duration::from_secs(1)),
            "it may have been taken unseen after {holder:?}"
        );
        assert!(matches!(at(holder, 10), Action::Create(_)));
        assert_eq!(written(&at(holder, 10)), ("a", 5, None));
    }
}

#[test]
fn an_epoch_that_was_used_is_never_given_again() {
    let now = Instant::now();
    let settings = LeaseSettings {
        past_epoch: 7,
        ..settings("a")
    };
    let fresh = decide(&settings, None, now, jiff::Timestamp::UNIX_EPOCH);
    let (Action::Create(fresh), Action::Replace(taken)) = (
        fresh,
        decide(&settings, Some(&held(None, 2, now)), now, jiff::Timestamp::UNIX_EPOCH),
    ) else {
        panic!("both write");
    };
    assert_eq!((epoch(&fresh), epoch(&taken)), (8, 8));
    let later = decide(&settings, Some(&held(None, 20, now)), now, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(written(&later).1, 21);
}

/// Two processes and one Lease with optimistic locking: random speeds, random outages, random delays between sending
/// a renewal and its arrival, and somebody who deletes the Lease once.
#[derive(Clone, Debug)]
enum Move {
    Pass(u16),
    Observe(bool),
    Send(bool),
    Arrive(bool),
    Release(bool),
    Delete,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (1_u16..6_000).prop_map(Move::Pass),
        4 => any::<bool>().prop_map(Move::Observe),
        4 => any::<bool>().prop_map(Move::Send),
        4 => any::<bool>().prop_map(Move::Arrive),
        1 => any::<bool>().prop_map(Move::Release),
        1 => Just(Move::Delete),
    ];
    prop::collection::vec(one, 1..200)
}

#[derive(Default)]
struct Process {
    observed: Option<Observed>,
    in_flight: Option<(Lease, Instant)>,
    claim: Option<Claim>,
}

/// The API server: keeps one Lease and refuses writes that did not see its newest version.
#[derive(Default)]
struct Store {
    lease: Option<Lease>,
    versions: u64,
}

impl Store {
    fn write(&mut self, mut lease: Lease) -> Option<Lease> {
        let current = self
            .lease
            .as_ref()
            .and_then(|lease| lease.metadata.resource_version.as_ref());
        if lease.metadata.resource_version.as_ref() != current {
            return None;
        }
        self.versions += 1;
        lease.metadata.resource_version = Some(self.versions.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn two_processes_never_lead_at_once(moves in moves()) {
        let mut now = Instant::now();
        let mut store = Store::default();
        let mut processes = [Process::default(), Process::default()];
        let (mut newest, mut deleted) = (0, false);
        for step in moves {
            match step {
                Move::Pass(ms) => now += Duration::from_millis(u64::from(ms)),
                Move::Observe(who) => {
                    let process = &mut processes[usize::from(who)];
                    process.observed = Observed::next(process.observed.take(), store.lease.clone(), now);
                }
                Move::Send(who) => {
                    let process = &mut processes[usize::from(who)];
                    let settings = settings(["a", "b"][usize::from(who)]);
                    let action = decide(&settings, process.observed.as_ref(), now, jiff::Timestamp::UNIX_EPOCH);
                    if let Action::Create(lease) | Action::Replace(lease) = action {
                        process.in_flight = Some((lease, now));
                    }
                }
                Move::Arrive(who) => {
                    let process = &mut processes[usize::from(who)];
                    let Some((lease, sent)) = process.in_flight.take() else { continue };
                    let Some(lease) = store.write(lease) else { continue };
                    let claim = Claim { epoch: epoch(&lease), valid_until: sent + Duration::from_secs(10) };
                    let renewal = process.claim.is_some_and(|before| before.epoch == claim.epoch);
                    // Only the ledger's anchor remembers the epochs of a Lease that nobody saw before its deletion.
                    prop_assert!(claim.epoch > newest || renewal || deleted, "epoch {} after {newest}", claim.epoch);
                    newest = newest.max(claim.epoch);
                    process.claim = Some(claim);
                    process.observed = Some(Observed { lease, since: now, gone: false });
                }
                Move::Release(who) => {
                    let process = &mut processes[usize::from(who)];
                    let Some(mut lease) = process.observed.clone().map(|observed| observed.lease) else { continue };
                    process.claim = None;
                    let holder = &mut lease.spec.as_mut().unwrap().holder_identity;
                    if holder.take().as_deref() == Some(["a", "b"][usize::from(who)]) {
                        store.write(lease);
                    }
                }
                // A process that never saw the Lease, or saw none when it sent a creation that is still on its way,
                // cannot know that it existed: the gap that the module names.
                Move::Delete => {
                    let creates = |process: &Process| {
                        let sent = process.in_flight.as_ref();
                        sent.is_some_and(|(lease, _)| lease.metadata.resource_version.is_none())
                    };
                    if !deleted && processes.iter().all(|process| process.observed.is_some() && !creates(process)) {
                        (store.lease, deleted) = (None, true);
                    }
                }
            }
            let leading: Vec<_> = processes.iter().filter_map(|p| p.claim).filter(|c| now < c.valid_until).collect();
            prop_assert!(leading.len() < 2, "{leading:?}");
        }
    }
}
