//! What is printed.

use std::time::Duration;

use crate::fault::Fault;
use crate::life::{Life, Violation};
use crate::scene::Scene;

/// How many sessions' histories are printed.
const STORIES: usize = 3;

/// What came of one fault.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    trials: usize,
    validations: usize,
    violations: usize,
    slowest: Duration,
    slowest_story: String,
    revokes: usize,
    loaded: Duration,
    /// What is wrong, in words.
    wrong: Vec<String>,
}

impl Report {
    /// Judges every session.
    pub fn of(fault: &Fault, scene: &Scene, loaded: Duration) -> Self {
        let lives = scene.users.lives();
        let trials = scene.trials();
        let guilty: Vec<(&Life, Vec<Violation>)> = lives
            .iter()
            .map(|life| (life.as_ref(), life.judge()))
            .filter(|(_, violations)| !violations.is_empty())
            .collect();
        let mut wrong = scene.complaints();
        if trials < scene.wanted {
            wrong.push(format!("only {trials} of {} trials", scene.wanted));
        }
        let stories = guilty.iter().take(STORIES);
        wrong.extend(stories.map(|(life, violations)| format!("{violations:?}: {}", life.story())));
        let slowest = lives.iter().max_by_key(|life| life.took());
        Self {
            name: fault.name,
            trials,
            validations: lives.iter().map(|life| life.validations()).sum(),
            violations: guilty.len(),
            slowest: slowest.and_then(|life| life.took()).unwrap_or_default(),
            slowest_story: slowest.map_or(String::new(), |life| life.story()),
            revokes: lives.iter().filter(|life| life.took().is_some()).count(),
            loaded,
            wrong,
        }
    }

    /// Whether a session's history is not as promised.
    pub const fn has_violations(&self) -> bool {
        self.violations > 0
    }

    /// Whether anything at all is wrong.
    pub const fn is_wrong(&self) -> bool {
        self.has_violations() || !self.wrong.is_empty()
    }

    /// What the columns are.
    pub fn header() -> String {
        format!(
            "{:<28} {:>8} {:>12} {:>10} {:>12} {:>10}",
            "fault", "trials", "validations", "violations", "slowest (s)", "revokes/s"
        )
    }

    /// What happened to the session whose end took longest.
    pub fn slowest_story(&self) -> &str {
        &self.slowest_story
    }

    /// One line, and what is wrong below it.
    pub fn text(&self) -> String {
        let rate = if self.loaded.is_zero() {
            0.0
        } else {
            f64::from(u32::try_from(self.revokes).unwrap_or(u32::MAX)) / self.loaded.as_secs_f64()
        };
        let mut text = format!(
            "{:<28} {:>8} {:>12} {:>10} {:>12.3} {:>10.0}",
            self.name,
            self.trials,
            self.validations,
            self.violations,
            self.slowest.as_secs_f64(),
            rate
        );
        for wrong in &self.wrong {
            text.push_str("\n    ");
            text.push_str(&wrong.replace('\n', "\n    "));
        }
        text
    }
}
