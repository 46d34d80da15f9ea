//! When a build can be compared with the one that is read.

use read_models::Generation;

/// A build has caught up that is so many records of the log behind the one that is read, for each partition.
const NEAR: i64 = 500;

/// Whether a build that has come as far as `reached` has caught up with what is read, by partition.
pub(super) fn is_near(read: &[i64], reached: &[i64]) -> bool {
    let behind: i64 = read.iter().zip(reached).map(|(read, reached)| (read - reached).max(0)).sum();
    behind <= NEAR * read.len() as i64
}

/// How far what is read had come when a build had caught up with it.
#[derive(Debug, Default)]
pub(super) struct Basis(Option<([Generation; 2], Vec<i64>)>);

impl Basis {
    /// Whether the first of the builds has all that the second had when the first had caught up with it: of a row that it lacks itself,
    /// a comparison cannot tell that the other has lost it.
    pub(super) fn is_reached(&mut self, builds: [Generation; 2], read: &[i64], reached: &[i64]) -> bool {
        if !is_near(read, reached) {
            return false;
        }
        let basis = match self.0.take() {
            Some((of, basis)) if of == builds => basis,
            _ => read.to_vec(),
        };
        let is_reached = basis.iter().zip(reached).all(|(basis, reached)| reached >= basis);
        if !is_reached {
            self.0 = Some((builds, basis));
        }
        is_reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_compared_when_it_has_what_was_read_when_it_had_caught_up() {
        let [one, two, three] = [1, 2, 3].map(|it| Generation::try_from(it).unwrap());
        let mut basis = Basis::default();
        assert!(!basis.is_reached([two, one], &[5_000, 5_000], &[0, 0]), "it has not caught up");
        // Near, and without all those rows: what is read goes on meanwhile, and is not run after.
        assert!(!basis.is_reached([two, one], &[5_000, 5_010], &[4_999, 5_010]));
        assert!(!basis.is_reached([two, one], &[5_100, 5_100], &[4_999, 5_100]));
        assert!(basis.is_reached([two, one], &[5_200, 5_200], &[5_000, 5_100]));
        // Each comparison has its own, and so has each pair of builds.
        assert!(!basis.is_reached([two, one], &[5_200, 5_200], &[5_199, 5_200]));
        assert!(!basis.is_reached([three, one], &[5_300, 5_300], &[5_250, 5_250]));
        assert!(basis.is_reached([three, one], &[5_400, 5_400], &[5_300, 5_300]));
    }
}
