//! Trigger files that were damaged on the way.

use super::Victim;

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// The first blocks, where each byte has a meaning, are sampled as often as all the rest.
fn position(numbers: &mut Numbers, length: usize, turn: usize) -> usize {
    if turn.is_multiple_of(2) { numbers.below(length.min(2560)) } else { numbers.below(length) }
}

#[test]
fn a_flipped_bit_is_found_by_every_command() {
    let victim = Victim::new();
    let good = victim.good();
    let mut numbers = Numbers(2026);
    for turn in 0..FLIPS {
        let at = position(&mut numbers, good.len(), turn);
        let mut bad = good.clone();
        bad[at] ^= 1 << numbers.below(8);
        victim.refuses(&format!("byte {at} of {}", good.len()), &bad);
    }
}

#[test]
fn a_part_is_no_trigger_file() {
    let victim = Victim::new();
    let good = victim.good();
    let mut numbers = Numbers(1986);
    for turn in 0..CUTS {
        let length = position(&mut numbers, good.len(), turn);
        let said = victim.refuses(&format!("{length} of {} bytes", good.len()), &good[..length]);
        assert!(said.contains("it was cut off"), "{length}: {said}");
    }
    for more in [&[0; 1][..], &[0; 512], &[1; 1], &good] {
        let said = victim.refuses("more bytes", &[&good, more].concat());
        assert!(said.contains(&format!("{} bytes follow after the end", more.len())), "{said}");
    }
}

const FLIPS: usize = 300;
const CUTS: usize = 100;
