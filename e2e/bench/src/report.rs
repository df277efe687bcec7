//! How it is told: tables, and what held.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::figures::Figures;
use crate::{Effort, machine, plot};

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    /// Who.
    pub name: String,
    /// What was measured of it, with its unit.
    pub figures: Vec<(&'static str, Figures)>,
}

/// What must hold of figures.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Figures that are compared, and what must hold of their median.
#[derive(Debug, Clone)]
pub struct Gate {
    what: &'static str,
    figures: Figures,
    bound: Option<Bound>,
}

impl Gate {
    /// Must be this at least.
    pub const fn at_least(what: &'static str, figures: Figures, least: f64) -> Self {
        Self {
            what,
            figures,
            bound: Some(Bound::AtLeast(least)),
        }
    }

    /// Must be this at most.
    pub const fn at_most(what: &'static str, figures: Figures, most: f64) -> Self {
        Self {
            what,
            figures,
            bound: Some(Bound::AtMost(most)),
        }
    }

    /// May be anything.
    pub const fn told(what: &'static str, figures: Figures) -> Self {
        Self {
            what,
            figures,
            bound: None,
        }
    }

    /// Whether it holds; nothing where anything would.
    fn holds(&self) -> Option<bool> {
        let median = self.figures.median();
        Some(match self.bound? {
            Bound::AtLeast(least) => median >= least,
            Bound::AtMost(most) => median <= most,
        })
    }

    fn row(&self) -> String {
        let wanted = match self.bound {
            Some(Bound::AtLeast(least)) => format!("≥ {}", short(least)),
            Some(Bound::AtMost(most)) => format!("≤ {}", short(most)),
            None => String::new(),
        };
        let verdict = match self.holds() {
            Some(true) => "holds",
            Some(false) => "**doesn't hold**",
            None => "",
        };
        format!(
            "| {} | {} | {wanted} | {verdict} |",
            self.what,
            cell(&self.figures)
        )
    }
}

/// One comparison.
#[derive(Debug, Clone)]
pub struct Section {
    /// What it is asked for by, and its plot called.
    pub name: &'static str,
    /// Its heading.
    pub title: String,
    /// What was done.
    pub text: String,
    /// What it gave.
    pub sides: Vec<Side>,
    /// Which of the figures is plotted.
    pub plotted: Option<&'static str>,
    /// What must hold.
    pub gates: Vec<Gate>,
}

impl Section {
    fn plot_file(&self) -> String {
        format!("benchmarks-{}.svg", self.name)
    }

    fn text(&self) -> String {
        let mut lines = vec![
            format!("## {}", self.title),
            self.text.clone(),
            String::new(),
        ];
        let units: Vec<_> = self.sides.iter().flat_map(|side| &side.figures).collect();
        let width = units.len() / self.sides.len().max(1);
        let units: Vec<_> = units.iter().take(width).map(|(unit, _)| *unit).collect();
        lines.push(format!("| | {} |", units.join(" | ")));
        lines.push(format!("|---|{}", "---|".repeat(width)));
        for side in &self.sides {
            let cells: Vec<_> = side
                .figures
                .iter()
                .map(|(_, figures)| cell(figures))
                .collect();
            lines.push(format!("| {} | {} |", side.name, cells.join(" | ")));
        }
        lines.push(String::new());
        lines.push("| compared, round by round | median (least–greatest) | must be | |".to_owned());
        lines.push("|---|---|---|---|".to_owned());
        lines.extend(self.gates.iter().map(Gate::row));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// All that was measured.
#[derive(Debug)]
pub struct Report {
    effort: Effort,
    load_before: f64,
    sections: Vec<Section>,
}

impl Report {
    /// Nothing yet.
    pub fn new(effort: Effort) -> Self {
        Self {
            effort,
            load_before: machine::load_average(),
            sections: Vec::new(),
        }
    }

    /// One more comparison.
    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// All of it, in Markdown.
    pub fn text(&self) -> String {
        let Effort { rounds, seconds } = self.effort;
        let mut text = format!(
            "# Benchmarks\n\nWritten by `make bench`, which anybody can run again. Each figure is \
             compared with what the same libraries do with nothing behind them, in the same run, in \
             turns: {rounds} rounds of {seconds} s a side (memory and starts: fewer). Medians, with \
             the least and the greatest; what must hold are ratios. Whoever asks runs on the same \
             processors as whoever answers, and its share is told: what the answering alone costs \
             differs by more than the rates do.\n\n"
        );
        for line in machine::describe() {
            let _ = writeln!(text, "- {line}");
        }
        let _ = writeln!(text, "- load average before: {:.1}\n", self.load_before);
        for section in &self.sections {
            text.push_str(&section.text());
            text.push('\n');
        }
        text
    }

    /// Writes `benchmarks.md` and its plots.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let mut text = self.text();
        for section in &self.sections {
            let Some(unit) = section.plotted else {
                continue;
            };
            let file = section.plot_file();
            plot::bars(&folder.join(&file), &section.title, unit, &section.sides)?;
            let heading = format!("## {}\n", section.title);
            let with_plot = format!("{heading}![{}]({file})\n\n", section.title);
            text = text.replace(&heading, &with_plot);
        }
        fs::write(
            folder.join("benchmarks.md"),
            text.trim_end().to_owned() + "\n",
        )?;
        Ok(())
    }
}

fn cell(figures: &Figures) -> String {
    let (least, greatest) = figures.spread();
    format!(
        "{} ({}–{})",
        short(figures.median()),
        short(least),
        short(greatest)
    )
}

/// Three digits that matter.
fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        medium if medium >= 10.0 => format!("{figure:.1}"),
        small if small >= 0.1 => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[f64]) -> Figures {
        all.iter().copied().collect()
    }

    #[test]
    fn a_gate_is_about_the_median_and_says_whether_it_holds() {
        let least = |all: &[f64]| Gate::at_least("x", figures(all), 0.9).holds();
        assert_eq!(least(&[0.1, 0.9, 0.95]), Some(true));
        assert_eq!(least(&[0.1, 0.89, 0.95]), Some(false));
        assert_eq!(least(&[]), Some(false), "nothing measured is nothing held");
        let most = Gate::at_most("x", figures(&[1.3]), 1.2);
        assert!(most.row().contains("doesn't hold"), "{}", most.row());
        assert_eq!(Gate::told("x", figures(&[1.0])).holds(), None);
    }
}
