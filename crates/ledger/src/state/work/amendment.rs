//! Finding providers for the empty places of a contract.

use std::collections::BTreeSet;

use super::super::State;
use super::super::agenda::Action;
use super::{Kept, MOST_AVOIDED, PLACES, Staffing};
use crate::Id;
use crate::item::hosting::{Amendment, AmendmentKind, AmendmentStatus, ContractStatus, Providers};
use crate::item::plan::PlanStatus;
use crate::item::user::{Job, Role};
use crate::item::{Contract, Plan};
use crate::outcome::Refusal;
use crate::select::{Search, Terms};

impl Staffing {
    /// Places that nobody holds.
    pub(super) fn empty(&self) -> Vec<u32> {
        (0..PLACES).filter(|place| !self.holders.contains_key(place)).collect()
    }

    /// Remembers somebody that failed here.
    pub(super) fn shun(&mut self, user: Id) {
        self.avoid.retain(|other| *other != user);
        self.avoid.push(user);
        let excess = self.avoid.len().saturating_sub(MOST_AVOIDED);
        self.avoid.drain(..excess);
    }
}

impl State {
    /// Staffs the empty places of a contract. `false` where it must wait: for providers, for its plan, or for a hoster that has the
    /// data and is there (a replacement without a source would replace nothing).
    pub(super) fn staff_contract(&mut self, contract: Id) -> Result<bool, Refusal> {
        let Some(mut staffing) = self.staffing.get(&contract).cloned() else { return Ok(true) };
        let empty = staffing.empty();
        if !self.is_live(contract)? || staffing.open.is_some() || empty.is_empty() {
            staffing.queued = false;
            self.staffing.put(contract, staffing);
            return Ok(true);
        }
        let plan = self.item::<Contract>(contract)?.plan;
        let source = staffing.holders.values().any(|holder| !self.is_paused(holder.hoster));
        if self.item::<Plan>(plan)?.status != PlanStatus::Active || (staffing.started && !source) {
            return Ok(false);
        }
        // Outside its windows nobody has to help with what is hosted already.
        if staffing.started && !self.is_in_window(contract)? {
            return Ok(false);
        }
        let mut terms = self.terms_of(contract)?;
        terms.bytes = self.copy_bound(contract)?;
        self.keep_whom_one_can(&mut staffing, &empty, &terms);
        let Some(providers) = self.providers(contract, &staffing, &empty, terms)? else { return Ok(false) };
        self.open_amendment(contract, staffing, empty, providers)?;
        Ok(true)
    }

    /// Of those that stay from the last attempt, the ones that still qualify.
    fn keep_whom_one_can(&self, staffing: &mut Staffing, empty: &[u32], terms: &Terms) {
        let stays = |user: Id, role: Role| {
            let against = self.does_not_qualify(user, role, terms);
            !staffing.avoid.contains(&user) && against.is_ok_and(|against| against.is_empty())
        };
        let mut kept = Kept::default();
        if let Some(attester) = staffing.kept.attester
            && stays(attester, Role::Attester)
        {
            kept.attester = Some(attester);
        }
        for (place, encoder) in &staffing.kept.encoders {
            if empty.contains(place) && stays(*encoder, Role::Encoder) {
                kept.encoders.insert(*place, *encoder);
            }
        }
        for (place, hoster) in &staffing.kept.hosters {
            if empty.contains(place) && stays(*hoster, Role::Hoster) {
                kept.hosters.insert(*place, *hoster);
            }
        }
        staffing.kept = kept;
    }

    /// All seven, of different people and operators: holders of places with the encoders of their copies, those that stay, and new ones.
    fn providers(
        &self,
        contract: Id,
        staffing: &Staffing,
        empty: &[u32],
        terms: Terms,
    ) -> Result<Option<Providers>, Refusal> {
        let mut encoders = staffing.kept.encoders.clone();
        let mut hosters = staffing.kept.hosters.clone();
        for (place, holder) in &staffing.holders {
            hosters.insert(*place, holder.hoster);
            let before = &self.item::<Amendment>(holder.amendment)?.providers;
            encoders.extend(before.encoders.get(*place as usize).map(|encoder| (*place, *encoder)));
        }
        let mut kept: Vec<(Role, Id)> = hosters.values().map(|hoster| (Role::Hoster, *hoster)).collect();
        kept.extend(encoders.values().map(|encoder| (Role::Encoder, *encoder)));
        kept.extend(staffing.kept.attester.map(|attester| (Role::Attester, attester)));
        let missing = |of: &std::collections::BTreeMap<u32, Id>| -> Vec<u32> {
            empty.iter().filter(|place| !of.contains_key(place)).copied().collect()
        };
        let (no_encoder, no_hoster) = (missing(&encoders), missing(&hosters));
        let wanted = [
            (Role::Attester, u32::from(staffing.kept.attester.is_none())),
            (Role::Encoder, no_encoder.len() as u32),
            (Role::Hoster, no_hoster.len() as u32),
        ];
        let search = Search {
            about: contract,
            wanted: wanted.into_iter().filter(|(_, count)| *count > 0).collect(),
            terms,
            kept,
            avoid: staffing.avoid.iter().copied().collect::<BTreeSet<_>>(),
        };
        let Ok(mut team) = self.select(&search) else { return Ok(None) };
        encoders.extend(no_encoder.into_iter().zip(team.remove(&Role::Encoder).unwrap_or_default()));
        hosters.extend(no_hoster.into_iter().zip(team.remove(&Role::Hoster).unwrap_or_default()));
        let attesters = match staffing.kept.attester {
            Some(attester) => vec![attester],
            None => team.remove(&Role::Attester).unwrap_or_default(),
        };
        let whole = encoders.len() as u32 == PLACES && hosters.len() as u32 == PLACES && attesters.len() == 1;
        let (encoders, hosters) = (encoders.into_values().collect(), hosters.into_values().collect());
        Ok(whole.then_some(Providers { encoders, hosters, attesters }))
    }

    fn open_amendment(
        &mut self,
        contract: Id,
        mut staffing: Staffing,
        positions: Vec<u32>,
        providers: Providers,
    ) -> Result<(), Refusal> {
        let plan = self.item::<Contract>(contract)?.plan;
        let pay = self.policy().pay;
        let pay = pay.encoder.saturating_mul(positions.len() as u64).saturating_add(pay.setup);
        if !self.hold_for(&[plan].into(), self.storage.len(), pay)? {
            // Nobody is asked to work for a plan that cannot pay: it ends, or goes on where it gets more before.
            staffing.queued = false;
            self.staffing.put(contract, staffing);
            return Ok(());
        }
        let before = self.item::<Contract>(contract)?.amendments.last().copied();
        let (kind, event, job) = match (staffing.started, before) {
            (true, _) => (AmendmentKind::HosterReplacement, "hosterReplacement", Job::HosterReplacement),
            (false, Some(_)) => (AmendmentKind::RetryHostingSetup, "retry_hostingSetup", Job::HostingSetup),
            (false, None) => (AmendmentKind::HostingSetup, "hostingSetup", Job::HostingSetup),
        };
        let amendment = self.create(Amendment {
            contract,
            kind,
            providers: providers.clone(),
            positions: positions.clone(),
            reference: before,
            status: AmendmentStatus::InProgress,
            deadline: self.task_deadline(),
            copies: Default::default(),
            answers: Default::default(),
        });
        let bytes = self.copy_bound(contract)?;
        for attester in &providers.attesters {
            self.book(*attester, Role::Attester, amendment, job, 0)?;
        }
        for place in &positions {
            let at = *place as usize;
            if let (Some(encoder), Some(hoster)) = (providers.encoders.get(at), providers.hosters.get(at)) {
                self.book(*encoder, Role::Encoder, amendment, job, 0)?;
                self.book(*hoster, Role::Hoster, amendment, job, bytes)?;
            }
        }
        self.schedule(self.policy().task_blocks.saturating_add(1), Action::AmendmentTimeout { amendment });
        let started = staffing.started;
        self.change::<Contract>(contract, |contract| {
            contract.amendments.push(amendment);
            if !started {
                contract.status = ContractStatus::Setup;
            }
        })?;
        (staffing.open, staffing.queued, staffing.kept) = (Some(amendment), false, Kept::default());
        self.staffing.put(contract, staffing);
        self.emit(event, &[amendment]);
        Ok(())
    }

    /// Most bytes that a copy of a contract may take.
    pub(super) fn copy_bound(&self, contract: Id) -> Result<u64, Refusal> {
        self.item::<Contract>(contract)?;
        Ok(self.policy().contract_bytes)
    }

    /// Whether a contract is neither ended nor cancelled.
    pub(super) fn is_live(&self, contract: Id) -> Result<bool, Refusal> {
        let status = self.item::<Contract>(contract)?.status;
        Ok(!matches!(status, ContractStatus::Ended | ContractStatus::Cancelled))
    }
}
