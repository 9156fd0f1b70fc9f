//! What was probably meant by a word nobody knows.

/// The candidate nearest to `word`, if one is near enough to be meant.
pub(super) fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour (optimal string
/// alignment). Words longer than 64 are far from everything.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let get = |row: &Vec<usize>, at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
    let (mut before, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<_>>());
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = a.get(i - 1) == b.get(j - 1);
            let change = get(&last, j - 1) + usize::from(!same);
            let mut least = change.min(get(&last, j) + 1).min(get(&row, j - 1) + 1);
            if i > 1 && j > 1 && a.get(i - 1) == b.get(j - 2) && a.get(i - 2) == b.get(j - 1) {
                least = least.min(get(&before, j - 2) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    get(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let fields = ["mode", "modules", "remove", "replaces"];
        assert_eq!(closest("mdoe", fields), Some("mode"));
        assert_eq!(closest("module", fields), Some("modules"));
        assert_eq!(closest("xyzzy", fields), None);
        assert_eq!(closest(&"m".repeat(100_000), fields), None);
    }
}
