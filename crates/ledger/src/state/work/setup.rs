//! How set-ups and replacements end.

use super::super::State;
use super::resolve::{Held, PlaceEnd, Word, resolve};
use super::{Holder, Staffing};
use crate::Id;
use crate::item::hosting::{Amendment, AmendmentStatus, HosterAnswer};
use crate::item::user::Role;
use crate::outcome::Refusal;
use crate::statement;
use crate::transaction::hosting::{Answer, Made, Place};
use crate::transaction::{SetupAnswer, SetupReport};

impl State {
    /// A hoster says itself whether it took its copy. The first word counts.
    pub(super) fn answer_setup(&mut self, user: Id, answer: &SetupAnswer) -> Result<Vec<Id>, Refusal> {
        let amendment = self.item::<Amendment>(answer.amendment)?;
        let place = amendment
            .positions
            .iter()
            .copied()
            .find(|place| amendment.providers.hosters.get(*place as usize) == Some(&user));
        let Some(place) = place else {
            return Err(Refusal::not_allowed("only a hoster whose place is filled answers"));
        };
        if amendment.status != AmendmentStatus::InProgress || amendment.answers.contains_key(&place) {
            return Err(Refusal::not_now("the amendment is over, or answered"));
        }
        let said = match &answer.answer {
            Answer::Took(made) => {
                if !self.encoder_signed(answer.amendment, place, made)? {
                    return Err(Refusal::invalid("encoder", "the encoder did not sign this copy"));
                }
                HosterAnswer::Took(made.copy)
            }
            Answer::Refused {} => HosterAnswer::Refused,
            Answer::NothingCame {} => HosterAnswer::NothingCame,
        };
        self.change::<Amendment>(answer.amendment, |amendment| {
            amendment.answers.insert(place, said);
        })?;
        Ok(Vec::new())
    }

    /// The attester's report of a set-up or replacement.
    pub(super) fn report_setup(&mut self, user: Id, report: &SetupReport) -> Result<Vec<Id>, Refusal> {
        let amendment = self.item::<Amendment>(report.amendment)?.clone();
        if amendment.providers.attesters.first() != Some(&user) {
            return Err(Refusal::not_allowed("only the amendment's attester reports it"));
        }
        let open = self.staffing.get(&amendment.contract).and_then(|staffing| staffing.open);
        if amendment.status != AmendmentStatus::InProgress || open != Some(report.amendment) {
            return Err(Refusal::not_now("the amendment is over"));
        }
        if report.places.len() != amendment.positions.len() {
            let why = format!("{} for {} positions", report.places.len(), amendment.positions.len());
            return Err(Refusal::invalid("places", why));
        }
        let mut ends = Vec::new();
        let mut words = Vec::new();
        for (place, said) in amendment.positions.iter().zip(&report.places) {
            let held = self.signatures_of(report.amendment, *place, said)?;
            let (end, word) = resolve(Some(said), held, amendment.answers.get(place));
            ends.push((*place, end));
            words.push(word);
        }
        self.end_amendment(report.amendment, ends, &words, false)?;
        Ok(Vec::new())
    }

    /// Nobody reported in time: that is the attester's failure alone. What hosters said themselves counts.
    pub(super) fn amendment_timeout(&mut self, id: Id) -> Result<(), Refusal> {
        let amendment = self.item::<Amendment>(id)?.clone();
        if amendment.status != AmendmentStatus::InProgress {
            return Ok(());
        }
        let nothing = Held { encoder: false, hoster: false };
        let ends =
            amendment.positions.iter().map(|place| (*place, resolve(None, nothing, amendment.answers.get(place)).0));
        self.end_amendment(id, ends.collect(), &[Word::False], true)
    }

    fn end_amendment(
        &mut self,
        id: Id,
        mut ends: Vec<(u32, PlaceEnd)>,
        words: &[Word],
        late: bool,
    ) -> Result<(), Refusal> {
        let amendment = self.item::<Amendment>(id)?.clone();
        let mut staffing = self.staffing.get(&amendment.contract).cloned().unwrap_or_default();
        staffing.open = None;
        self.compare_copies(&amendment, &mut staffing, &mut ends)?;
        for (place, end) in &ends {
            self.end_place(id, &amendment, &mut staffing, *place, *end)?;
        }
        self.end_attester(id, &amendment, &mut staffing, worth(words, &ends))?;
        self.give_back(id)?;
        let whole = amendment.positions.iter().all(|place| staffing.holders.contains_key(place));
        let status = match (whole, late) {
            (true, _) => AmendmentStatus::Done,
            (false, false) => AmendmentStatus::Failed,
            (false, true) => AmendmentStatus::TimedOut,
        };
        self.change::<Amendment>(id, |amendment| amendment.status = status)?;
        if whole {
            (staffing.failures, staffing.attesters_changed) = (0, 0);
            (staffing.kept, staffing.avoid) = (super::Kept::default(), Vec::new());
        } else {
            self.escalate(&mut staffing);
        }
        self.staffing.put(amendment.contract, staffing);
        self.after_amendment(amendment.contract, id, whole)
    }

    fn end_place(
        &mut self,
        id: Id,
        amendment: &Amendment,
        staffing: &mut Staffing,
        place: u32,
        end: PlaceEnd,
    ) -> Result<(), Refusal> {
        let at = place as usize;
        let of = &amendment.providers;
        let (Some(&encoder), Some(&hoster), Some(&attester)) =
            (of.encoders.get(at), of.hosters.get(at), of.attesters.first())
        else {
            return Ok(());
        };
        self.unbook(encoder, Role::Encoder, id)?;
        if !matches!(end, PlaceEnd::Hosted(_)) {
            self.unbook(hoster, Role::Hoster, id)?;
        }
        let (mut encoder_stays, mut hoster_stays) = (true, true);
        match end {
            PlaceEnd::Hosted(copy) => {
                self.doubts.take(&encoder);
                self.doubts.take(&hoster);
                self.pay_held(id, &[(encoder, self.policy().pay.encoder)])?;
                self.rate(encoder, 1)?;
                self.take_place(amendment.contract, id, place, hoster, copy)?;
                let asked = self.promised_to(hoster, amendment.contract)?;
                staffing.holders.insert(place, Holder { hoster, amendment: id, lost: false, asked });
                return Ok(());
            }
            PlaceEnd::EncoderFailed => {
                self.emit("encoderFailed", &[id, encoder]);
                self.fails(encoder, 1)?;
                encoder_stays = false;
            }
            PlaceEnd::EncoderAccused => {
                self.accuse_provider(id, encoder, attester, "encoderFailed")?;
                encoder_stays = false;
            }
            PlaceEnd::HosterAccused(made) => {
                if made.is_some() {
                    self.pay_held(id, &[(encoder, self.policy().pay.encoder)])?;
                }
                self.accuse_provider(id, hoster, attester, "hosterFailed")?;
                hoster_stays = false;
            }
            PlaceEnd::EncoderDoubted => encoder_stays = false,
            PlaceEnd::HosterDoubted => hoster_stays = false,
            PlaceEnd::Unknown => {}
        }
        if encoder_stays {
            staffing.kept.encoders.insert(place, encoder);
        } else {
            staffing.shun(encoder);
        }
        if hoster_stays {
            staffing.kept.hosters.insert(place, hoster);
        } else {
            staffing.shun(hoster);
        }
        Ok(())
    }

    fn end_attester(
        &mut self,
        id: Id,
        amendment: &Amendment,
        staffing: &mut Staffing,
        word: Word,
    ) -> Result<(), Refusal> {
        let Some(&attester) = amendment.providers.attesters.first() else { return Ok(()) };
        if word == Word::False {
            self.attester_fails(attester, id)?;
            staffing.shun(attester);
            return Ok(());
        }
        self.unbook(attester, Role::Attester, id)?;
        if word == Word::Holds {
            self.pay_held(id, &[(attester, self.policy().pay.setup)])?;
            self.rate(attester, 1)?;
        }
        staffing.kept.attester = Some(attester);
        Ok(())
    }

    /// S40: hosters are changed when they fail; after some failures the attester is changed, and after some attesters the encoders.
    fn escalate(&self, staffing: &mut Staffing) {
        let bound = self.policy().setup_failures.max(1);
        staffing.failures = staffing.failures.saturating_add(1);
        if staffing.failures < bound {
            return;
        }
        staffing.failures = 0;
        staffing.attesters_changed = staffing.attesters_changed.saturating_add(1);
        if let Some(attester) = staffing.kept.attester.take() {
            staffing.shun(attester);
        }
        if staffing.attesters_changed >= bound {
            staffing.attesters_changed = 0;
            for encoder in std::mem::take(&mut staffing.kept.encoders).into_values() {
                staffing.shun(encoder);
            }
        }
    }

    fn signatures_of(&self, amendment: Id, place: u32, said: &Place) -> Result<Held, Refusal> {
        match said {
            Place::Hosted { made, hoster } => {
                let by = self.item::<Amendment>(amendment)?.providers.hosters.get(place as usize).copied();
                let by = by.unwrap_or(Id::MAX);
                let accepted = statement::accept(&self.network(), amendment, place, &made.copy);
                Ok(Held {
                    encoder: self.encoder_signed(amendment, place, made)?,
                    hoster: self.signed_by(by, &accepted, hoster)?,
                })
            }
            Place::HosterFailed { made: Some(made) } => {
                Ok(Held { encoder: self.encoder_signed(amendment, place, made)?, hoster: false })
            }
            _ => Ok(Held { encoder: false, hoster: false }),
        }
    }

    fn encoder_signed(&self, amendment: Id, place: u32, made: &Made) -> Result<bool, Refusal> {
        let by = self.item::<Amendment>(amendment)?.providers.encoders.get(place as usize).copied();
        let said = statement::manifest(&self.network(), amendment, place, &made.copy);
        self.signed_by(by.unwrap_or(Id::MAX), &said, &made.encoder)
    }

    /// The network whose name statements carry.
    pub(super) fn network(&self) -> String {
        self.genesis.network()
    }
}

/// What an attester's whole report is worth. It is caught by one place; words that somebody contradicts, or failures alone that nobody
/// else knows of, earn nothing.
fn worth(words: &[Word], ends: &[(u32, PlaceEnd)]) -> Word {
    let accused = |end: &PlaceEnd| matches!(end, PlaceEnd::EncoderAccused | PlaceEnd::HosterAccused(_));
    let hosted = ends.iter().any(|(_, end)| matches!(end, PlaceEnd::Hosted(_)));
    if words.contains(&Word::False) {
        Word::False
    } else if words.contains(&Word::Doubted) || (!hosted && ends.iter().any(|(_, end)| accused(end))) {
        Word::Doubted
    } else {
        Word::Holds
    }
}
