//! One figure: what is counted, and how much it may grow.

/// One count.
pub struct Figure {
    /// What the budget calls it.
    pub key: &'static str,
    /// What the page calls it.
    pub what: &'static str,
    pub value: u64,
    pub unit: Unit,
    /// What it was meant to be at most.
    pub target: Option<u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Instructions,
    Bytes,
}

impl Unit {
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Instructions => "instructions",
            Unit::Bytes => "bytes",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Unit::Instructions, Unit::Bytes].into_iter().find(|unit| unit.name() == name)
    }

    /// How many percent of a figure it may grow before somebody has to say that it is worth it.
    pub const fn tolerance(self) -> u64 {
        match self {
            Unit::Instructions => 2,
            Unit::Bytes => 1,
        }
    }
}
