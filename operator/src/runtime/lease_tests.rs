use super::*;
use proptest::prelude::*;

fn settings(holder: &str) -> LeaseSettings {
    LeaseSettings {
        namespace: "penin-system".to_owned(),
        name: "penin-operator".to_owned(),
        holder: holder.to_owned(),
        duration: Duration::from_secs(10),
        renew_every: Duration::from_secs(3),
    }
}

fn held(by: Option<&str>, transitions: i32, since: Instant) -> Observed {
    let lease = Lease {
        metadata: ObjectMeta { resource_version: Some("7".to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: by.map(str::to_owned),
            lease_duration_seconds: Some(10),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }),
    };
    Observed { lease, since }
}

fn written(action: &Action) -> (&str, i32, Option<&str>) {
    let (Action::Create(lease) | Action::Replace(lease)) = action else { panic!("{action:?} writes nothing") };
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
    let taken = decide(&settings("a"), Some(&held(None, 4, now)), now, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(written(&taken), ("a", 5, Some("7")));
}

#[test]
fn our_own_lease_is_renewed_without_a_new_epoch() {
    let now = Instant::now();
    let renewed = decide(&settings("a"), Some(&held(Some("a"), 4, now)), now, jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(written(&renewed), ("a", 4, Some("7")));
}

#[test]
fn a_foreign_lease_is_taken_only_after_it_stood_still_for_its_duration() {
    let since = Instant::now();
    let foreign = held(Some("b"), 4, since);
    let at = |seconds| decide(&settings("a"), Some(&foreign), since + Duration::from_secs(seconds), jiff::Timestamp::UNIX_EPOCH);
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
    publish.send_replace(Some(Claim { epoch: 3, valid_until: clock.monotonic() + Duration::from_secs(10) }));
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(reader.epoch(), Some(3));
    clock.advance(Duration::from_millis(1));
    assert_eq!(reader.epoch(), None);
}

/// Two processes and one Lease with optimistic locking: random speeds, random outages, random delays between sending
/// a renewal and its arrival.
#[derive(Clone, Debug)]
enum Move {
    Pass(u16),
    Observe(bool),
    Send(bool),
    Arrive(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (1_u16..6_000).prop_map(Move::Pass),
        any::<bool>().prop_map(Move::Observe),
        any::<bool>().prop_map(Move::Send),
        any::<bool>().prop_map(Move::Arrive),
    ];
    prop::collection::vec(one, 1..200)
}

#[derive(Default)]
struct Process {
    observed: Option<Observed>,
    in_flight: Option<(Lease, Instant)>,
    claim: Option<Claim>,
}

proptest! {
    #[test]
    fn two_processes_never_lead_at_once(moves in moves()) {
        let start = Instant::now();
        let mut now = start;
        let mut stored: Option<(Lease, u64)> = None;
        let names = ["a", "b"];
        let mut processes = [Process::default(), Process::default()];
        for step in moves {
            match step {
                Move::Pass(ms) => now += Duration::from_millis(u64::from(ms)),
                Move::Observe(who) => {
                    let process = &mut processes[usize::from(who)];
                    process.observed = stored.as_ref().map(|(lease, _)| {
                        let same = process.observed.as_ref().filter(|before| {
                            before.lease.metadata.resource_version == lease.metadata.resource_version
                        });
                        Observed { lease: lease.clone(), since: same.map_or(now, |before| before.since) }
                    });
                }
                Move::Send(who) => {
                    let process = &mut processes[usize::from(who)];
                    let action = decide(&settings(names[usize::from(who)]), process.observed.as_ref(), now, jiff::Timestamp::UNIX_EPOCH);
                    if let Action::Create(lease) | Action::Replace(lease) = action {
                        process.in_flight = Some((lease, now));
                    }
                }
                Move::Arrive(who) => {
                    let process = &mut processes[usize::from(who)];
                    let Some((mut lease, sent)) = process.in_flight.take() else { continue };
                    let current = stored.as_ref().map(|(_, version)| version.to_string());
                    if lease.metadata.resource_version != current {
                        continue;
                    }
                    let version = stored.as_ref().map_or(1, |(_, version)| version + 1);
                    lease.metadata.resource_version = Some(version.to_string());
                    process.claim = Some(Claim { epoch: epoch(&lease), valid_until: sent + Duration::from_secs(10) });
                    process.observed = Some(Observed { lease: lease.clone(), since: now });
                    stored = Some((lease, version));
                }
            }
            let leading: Vec<_> = processes.iter().filter_map(|p| p.claim).filter(|c| now < c.valid_until).collect();
            prop_assert!(leading.len() < 2, "{leading:?}");
        }
    }
}
