//! Rounds, medians and spreads.

/// What several rounds gave.
#[derive(Debug, Clone, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// One more round's.
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The one in the middle; the mean of two where there are two.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[half],
            _ => f64::midpoint(sorted[half - 1], sorted[half]),
        }
    }

    /// The least and the greatest.
    pub fn spread(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let of = |figure: Option<&f64>| figure.copied().unwrap_or(f64::NAN);
        (of(sorted.first()), of(sorted.last()))
    }

    /// Round by round, how many times the other's.
    pub fn over(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, other)| one / other).collect())
    }

    /// Round by round, how much more than the other.
    pub fn less(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(one, other)| one - other).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_spreads_and_ratios() {
        let odd: Figures = [3.0, 1.0, 2.0].into_iter().collect();
        let even: Figures = [4.0, 1.0, 3.0, 2.0].into_iter().collect();
        let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
        assert!(close(odd.median(), 2.0) && close(even.median(), 2.5));
        assert!(close(odd.spread().0, 1.0) && close(odd.spread().1, 3.0));
        let ratio = odd.over(&[1.0, 2.0, 1.0].into_iter().collect());
        assert!(close(ratio.median(), 2.0));
        assert!(Figures::default().median().is_nan());
    }
}
