//! Why a race did what it did, kept for its report.

use connie_core::memory::{ExplainedAddress, Explanation, ExplanationOutline};

/// What an explanation was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Why {
    outline: Option<ExplanationOutline>,
    addresses: Vec<ExplainedAddress>,
}

impl Why {
    /// Takes what was found out with one more answer. `begun` is whether an attempt had started: then it only
    /// adds addresses.
    pub(super) fn add(&mut self, explanation: Explanation<'_>, begun: bool) {
        let (outline, addresses) = explanation.parts();
        if !begun {
            (self.outline, self.addresses) = (Some(outline), addresses.to_vec());
            return;
        }
        for one in addresses {
            if !self.addresses.iter().any(|known| known.address() == one.address()) {
                self.addresses.push(*one);
            }
        }
    }

    /// `None` where no plan was made.
    pub(crate) fn explanation(&self) -> Option<Explanation<'_>> {
        Some(Explanation::from_parts(self.outline?, &self.addresses))
    }
}
