//! Everything that can happen in a small world, one state after the other.

pub mod fences;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A small world: where it starts, what can happen in each state, and what must hold in all.
pub trait Model {
    /// Everything there is at a moment. Two with the same hash have the same future.
    type State: Hash;
    /// Something that can happen.
    type Action: Debug + Clone;

    /// How it begins.
    fn initial(&self) -> Self::State;

    /// All that can happen next.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// The world after it has happened.
    fn next(&self, state: &Self::State, action: &Self::Action) -> Self::State;

    /// What is wrong with this state, if anything.
    fn broken(&self, state: &Self::State) -> Option<String>;
}

/// What was explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// Steps from one to another.
    pub transitions: usize,
    /// The longest way gone.
    pub depth: usize,
}

/// A way to something that must not be.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// What is wrong.
    pub what: String,
    /// How it came to that.
    pub way: Vec<String>,
    /// How many states were seen before.
    pub states: usize,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for step in &self.way {
            writeln!(f, "  {step}")?;
        }
        write!(f, "{} (after {} states)", self.what, self.states)
    }
}

struct Frame<M: Model> {
    state: M::State,
    untried: Vec<M::Action>,
    /// What led here.
    by: Option<M::Action>,
}

/// Goes through every state that can be reached, depth first.
///
/// States are told apart by 64 bits of a hash: among a million of them, two are mistaken for each
/// other once in forty million explorations.
///
/// # Errors
/// The first way found to a broken state.
pub fn explore<M: Model>(model: &M) -> Result<Report, Counterexample> {
    let mut report = Report {
        states: 1,
        transitions: 0,
        depth: 0,
    };
    let initial = model.initial();
    let mut seen = HashSet::from([fingerprint(&initial)]);
    let mut way = vec![Frame::<M> {
        untried: model.actions(&initial),
        state: initial,
        by: None,
    }];
    while let Some(frame) = way.last_mut() {
        let Some(action) = frame.untried.pop() else {
            way.pop();
            continue;
        };
        let state = model.next(&frame.state, &action);
        report.transitions += 1;
        if !seen.insert(fingerprint(&state)) {
            continue;
        }
        report.states += 1;
        if let Some(what) = model.broken(&state) {
            let steps = way.iter().filter_map(|frame| frame.by.as_ref());
            return Err(Counterexample {
                what,
                way: steps
                    .chain([&action])
                    .map(|step| format!("{step:?}"))
                    .collect(),
                states: report.states,
            });
        }
        way.push(Frame {
            untried: model.actions(&state),
            state,
            by: Some(action),
        });
        report.depth = report.depth.max(way.len());
    }
    Ok(report)
}

fn fingerprint<S: Hash>(state: &S) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}
