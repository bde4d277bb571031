//! What happens to the world's objects: writes of ours and of others, pods, gateway and garbage collection.

use super::*;

impl World {
    /// Somebody, we or another, replaces the route's specification.
    pub fn put_route(&mut self, desired: &HttpRoute) {
        let generation = self
            .route
            .as_ref()
            .map_or(0, |route| route.metadata.generation.unwrap());
        let mut route = desired.clone();
        route.metadata.generation = Some(generation + 1);
        route.status = self.route.as_ref().and_then(|route| route.status.clone());
        self.route = Some(route);
    }

    pub(super) fn write(&mut self, write: &Write) {
        match write {
            Write::CreateDeployment(deployment) => {
                let deployment = created(deployment, &mut self.numbers, self.now);
                self.deployments.insert(deployment.name_any(), deployment);
            }
            Write::CreateService(service) => {
                let service = created(service, &mut self.numbers, self.now);
                self.services.insert(service.name_any(), service);
            }
            Write::ScaleDeployment { name, replicas } => {
                let deployment = self.deployments.get_mut(name).unwrap();
                deployment.spec.as_mut().unwrap().replicas = Some(*replicas);
            }
            Write::DeleteDeployment { name, .. } => drop(self.deployments.remove(name)),
            Write::DeleteService { name, .. } => drop(self.services.remove(name)),
            Write::Route { desired, .. } => self.put_route(desired),
            Write::Release { name, owner_uid, kind } => {
                use crate::controllers::cycle::plan::ReleasedKind as Kind;
                let metadata = match kind {
                    Kind::Route => self.route.as_mut().unwrap().meta_mut(),
                    Kind::Service => self.services.get_mut(name).unwrap().meta_mut(),
                    Kind::Deployment => self.deployments.get_mut(name).unwrap().meta_mut(),
                };
                metadata
                    .owner_references
                    .as_mut()
                    .unwrap()
                    .retain(|owner| owner.uid != *owner_uid);
            }
            Write::Claim { name, uid, kind } => {
                use crate::controllers::cycle::plan::ReleasedKind as Kind;
                let metadata = match kind {
                    Kind::Route => self.route.as_mut().unwrap().meta_mut(),
                    Kind::Service => self.services.get_mut(name).unwrap().meta_mut(),
                    Kind::Deployment => self.deployments.get_mut(name).unwrap().meta_mut(),
                };
                assert_eq!(metadata.uid.clone().unwrap_or_default(), *uid);
                let owner = self.cycle.as_ref().unwrap().controller_owner_ref(&()).unwrap();
                metadata.owner_references = Some(vec![owner]);
            }
            Write::AddCycleFinalizer => self
                .cycle
                .as_mut()
                .unwrap()
                .finalizers_mut()
                .push(FINALIZER_CYCLE.to_owned()),
            Write::RemoveCycleFinalizer => {
                let finalizers = self.cycle.as_mut().unwrap().finalizers_mut();
                finalizers.retain(|name| name != FINALIZER_CYCLE);
            }
            Write::AddChallengerFinalizer { name } => {
                let finalizers = self.challengers.get_mut(name).unwrap().finalizers_mut();
                finalizers.push(FINALIZER_CHALLENGER.to_owned());
            }
            Write::RemoveChallengerFinalizer { name } => {
                self.challengers.get_mut(name).unwrap().finalizers_mut().clear();
            }
        }
    }

    /// What happens without us: pods start and stop, the gateway reads routes, the ledger takes what waited.
    pub(super) fn live(&mut self) {
        let wanted: BTreeMap<String, (String, i32)> = self
            .deployments
            .iter()
            .map(|(name, deployment)| (name.clone(), (model_of(deployment), replicas(deployment))))
            .collect();
        self.sized.retain(|name, _| wanted.contains_key(name));
        for (name, (model, replicas)) in wanted {
            let sized = self.sized.entry(name.clone()).or_insert((0, self.now, 0));
            if sized.0 != replicas {
                (sized.0, sized.1) = (replicas, self.now);
            }
            let state = self.pods.get(&model).unwrap_or(&Pods::Healthy).clone();
            let settled = self.now.duration_since(sized.1) >= SignedDuration::from_secs(3);
            let target = u32::try_from(replicas).unwrap();
            sized.2 = match state {
                Pods::Broken(_) => 0,
                Pods::Healthy if settled => target,
                Pods::Healthy => sized.2.min(target),
            };
            if let (Pods::Broken(why), Some(deployment)) = (state, self.deployments.get_mut(&name)) {
                deployment.status = Some(
                    serde_json::from_value(json!({"conditions": [
                        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": why},
                    ]}))
                    .unwrap(),
                );
            }
        }
        if let Some(route) = &mut self.route {
            match self.gateway {
                Gateway::Accepts => {
                    objects::confirm(route, true);
                    self.plane.serve(route, self.now);
                }
                Gateway::Refuses => objects::confirm(route, false),
                Gateway::Silent => {}
            }
        }
        while self.late.first().is_some_and(|(durable, _)| *durable <= self.now) {
            let (_, draft) = self.late.remove(0);
            self.take_if_current(draft);
        }
        if self.ledger == LedgerMode::Up {
            for draft in std::mem::take(&mut self.queue) {
                self.take(draft);
            }
        }
    }

    /// Objects under deletion go when nobody holds them, and with the cycle all that it owns.
    pub(super) fn collect(&mut self) {
        let gone = |metadata: &ObjectMeta| {
            metadata.deletion_timestamp.is_some() && metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        };
        self.challengers.retain(|_, challenger| !gone(&challenger.metadata));
        if let Some(cycle) = self.cycle.take_if(|cycle| gone(&cycle.metadata)) {
            let owned = |metadata: &ObjectMeta| {
                let mut owners = metadata.owner_references.iter().flatten();
                owners.any(|owner| Some(&owner.uid) == cycle.metadata.uid.as_ref())
            };
            self.deployments.retain(|_, object| !owned(&object.metadata));
            self.services.retain(|_, object| !owned(&object.metadata));
            if self.route.as_ref().is_some_and(|route| owned(&route.metadata)) {
                self.route = None;
            }
        }
    }
}

fn created<K: kube::Resource + Clone>(object: &K, numbers: &mut usize, now: Timestamp) -> K {
    *numbers += 1;
    let mut object = object.clone();
    let metadata = object.meta_mut();
    metadata.uid = Some(format!("uid-{numbers}"));
    metadata.creation_timestamp = Some(Time(Timestamp::from_second(now.as_second()).unwrap()));
    object
}
