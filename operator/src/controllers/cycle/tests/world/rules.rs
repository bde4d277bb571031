//! The rules of traffic, as the world enforces them.

use super::*;

impl World {
    /// The rules of traffic, asked of every write of the route.
    pub(super) fn check_route(&self, snapshot: &Snapshot, desired: &HttpRoute) {
        let book = self.book();
        let book = book.as_ref();
        let next = Segment::of(desired, self.now);
        let life = book.and_then(|book| book.life.as_ref());
        let champion = book.map_or_else(
            || snapshot.target.as_ref().unwrap().revision.name.clone(),
            |book| book.champion.name.clone(),
        );
        for (service, weight) in next.weights.iter().filter(|(service, _)| **service != champion) {
            let granted = match life {
                Some(life) if life.revision.name == *service => match &life.grant {
                    Grant::Step { weight, .. } => i32::from(*weight),
                    _ => 0,
                },
                _ => 0,
            };
            let rescue = life.is_some_and(|life| life.had_live_traffic) && self.ready(&champion) == 0;
            let giving_back =
                life.is_some_and(|life| life.former_champion.as_ref().is_some_and(|f| f.name == *service));
            assert!(
                *weight <= granted || rescue || giving_back,
                "{service} gets {weight}, granted {granted}"
            );
            assert!(*weight == 0 || next.mirror.is_none(), "live while mirroring");
            assert!(self.services.contains_key(service), "{service} does not exist");
            let raised = self.plane.now().is_none_or(|served| *weight > served.weight(service));
            if *weight > 0 && raised && !rescue && !giving_back {
                assert_eq!(snapshot.selector_conflict, None, "{service} is raised in a conflict");
            }
            if *weight > 0 && raised {
                // When nobody can answer, a former champion takes back what it had.
                let nobody = giving_back && life.is_some_and(|life| self.ready(&life.revision.name) == 0);
                assert!(self.ready(service) > 0 || nobody, "{service} has no ready endpoint");
                let fresh = rescue || giving_back || self.is_fresh(snapshot, service, *weight);
                assert!(fresh, "{service} is raised on old evidence");
                let mirrors = self.plane.now().is_some_and(|served| served.mirror.is_some());
                assert!(!mirrors, "the mirror is still on when {service} gets live traffic");
            }
        }
        if let Some((service, _)) = &next.mirror {
            let may = life.is_some_and(|life| life.grant == Grant::Shadow && life.revision.name == *service);
            let goes_on = self.plane.now().is_some_and(|served| served.mirror == next.mirror);
            assert!(may || goes_on, "{service} is mirrored to without a grant");
            let alone = snapshot.selector_conflict.is_none();
            assert!(alone || goes_on, "{service} is mirrored to in a conflict");
        }
        let promoted = life.is_some_and(|life| life.grant == Grant::Promotion && life.revision.name == champion);
        let served = self.plane.now().map_or(0, |served| served.weight(&champion));
        if promoted && served < 100 && next.weight(&champion) == 100 {
            let former = life.and_then(|life| life.former_champion.as_ref()).unwrap();
            // Who answers in place of a former champion that cannot is no promotion.
            let nobody_else = self.ready(&former.name) == 0;
            let alone = snapshot.selector_conflict.is_none();
            assert!(alone || nobody_else, "promoted in a conflict");
            let fresh = nobody_else || self.is_fresh(snapshot, &champion, 100);
            assert!(fresh, "promoted on old evidence");
            assert!(
                self.ready(&champion) >= self.ready(&former.name),
                "promoted without capacity"
            );
        }
    }
    /// Whether a grant is young enough to be put into effect, or its weight was served already and is only set back.
    fn is_fresh(&self, snapshot: &Snapshot, service: &str, weight: i32) -> bool {
        let Some(life) = self.book().and_then(|book| book.life) else {
            return true;
        };
        let limit = snapshot.settings.as_ref().unwrap().route_deadline(&life.grant);
        let young = self.now < life.granted_at + SignedDuration::try_from(limit).unwrap();
        let mut since = self
            .plane
            .segments
            .iter()
            .filter(|segment| segment.from >= life.granted_at);
        young || life.effect_recorded || since.any(|segment| segment.weight(service) >= weight)
    }
}
