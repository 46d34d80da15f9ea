//! Interleaved pairs: ceiling, system, ceiling, system. Noise of the machine that lasts longer than a pair hits both.

/// One pair's numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub ceiling: f64,
    pub system: f64,
}

/// What the pairs say together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// Medians.
    pub ceiling: f64,
    pub system: f64,
    /// The median of what each pair says, and the smallest and largest.
    pub middle: f64,
    pub spread: (f64, f64),
    /// How far the ceilings lie apart: the largest less the smallest, by the median.
    pub ceiling_varied: f64,
}

/// Measures pairs in turn.
pub(crate) fn measure(
    pairs: usize,
    mut ceiling: impl FnMut() -> anyhow::Result<f64>,
    mut system: impl FnMut(usize) -> anyhow::Result<f64>,
) -> anyhow::Result<Vec<Pair>> {
    let mut measured = Vec::with_capacity(pairs);
    for number in 0..pairs {
        let pair = Pair { ceiling: ceiling()?, system: system(number)? };
        eprintln!("  pair {}: ceiling {:.4}, system {:.4}", number + 1, pair.ceiling, pair.system);
        measured.push(pair);
    }
    Ok(measured)
}

/// Sums pairs up by `what` each says: a ratio, or a difference.
pub(crate) fn summary(pairs: &[Pair], what: impl Fn(&Pair) -> f64) -> Summary {
    let all = |value: &dyn Fn(&Pair) -> f64| pairs.iter().map(value).collect::<Vec<f64>>();
    let (mut ceilings, mut systems, mut said) =
        (all(&|pair| pair.ceiling), all(&|pair| pair.system), all(&|pair| what(pair)));
    let (ceiling, system, middle) = (median(&mut ceilings), median(&mut systems), median(&mut said));
    let spread = (said.first().copied().unwrap_or(middle), said.last().copied().unwrap_or(middle));
    let range = ceilings.last().copied().unwrap_or(0.0) - ceilings.first().copied().unwrap_or(0.0);
    Summary { ceiling, system, middle, spread, ceiling_varied: range / ceiling }
}

/// Sums up numbers that have no ceiling.
pub(crate) fn alone(values: &[f64]) -> Summary {
    let pairs: Vec<Pair> = values.iter().map(|&system| Pair { ceiling: 0.0, system }).collect();
    Summary { ceiling_varied: 0.0, ..summary(&pairs, |pair| pair.system) }
}

/// The median; sorts. NaN if there is nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The value at `part` (0 to 1) of the sorted values.
pub(crate) fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(((values.len().max(1) - 1) as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_ratios_is_not_the_ratio_of_medians() {
        let pairs =
            [(100.0, 50.0), (10.0, 9.0), (200.0, 120.0)].map(|(ceiling, system)| Pair { ceiling, system });
        let summary = summary(&pairs, |pair| pair.system / pair.ceiling);
        assert_eq!((summary.ceiling, summary.system, summary.middle), (100.0, 50.0, 0.6));
        assert_eq!(summary.spread, (0.5, 0.9));
        assert!((summary.ceiling_varied - 1.9).abs() < 1e-9);
        assert!((median(&mut [3.0, 1.0, 2.0, 4.0]) - 2.5).abs() < 1e-9);
        assert!((quantile(&mut [5.0, 1.0, 3.0], 0.99) - 5.0).abs() < 1e-9);
    }
}
