//! Laws of the disk model, each on many drawn disks.

use super::{DiskError, FileId, SECTOR, SimDisk};
use flux_io_core::{ChoiceKind, Choices, Draws};

/// Draws faults in `rate` of a thousand calls.
struct Dice {
    draws: Draws,
    rate: u32,
}

impl Choices for Dice {
    fn choose(&mut self, kind: ChoiceKind, n: u32) -> u32 {
        if kind == ChoiceKind::Fault && self.draws.below(1000) >= self.rate {
            return 0;
        }
        self.draws.below(n)
    }
}

/// Says what it is told, then 0.
struct Script(std::vec::IntoIter<u32>);

impl Choices for Script {
    fn choose(&mut self, _: ChoiceKind, n: u32) -> u32 {
        self.0.next().unwrap_or(0).min(n.saturating_sub(1))
    }
}

fn dice(seed: u64, rate: u32) -> SimDisk {
    SimDisk::new(Dice { draws: Draws(seed), rate })
}

fn script<const N: usize>(choices: [u32; N]) -> SimDisk {
    SimDisk::new(Script(Vec::from(choices).into_iter()))
}

fn contents(d: &mut SimDisk, f: FileId) -> Vec<u8> {
    let mut out = Vec::new();
    let mut buf = [0; 97];
    loop {
        match d.read_at(f, out.len() as u64, &mut buf) {
            Ok(0) => return out,
            Ok(n) => out.extend_from_slice(&buf[..n]),
            Err(DiskError::Interrupted | DiskError::Failed { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

/// Writes everything, whatever is short or interrupted.
fn write_all(d: &mut SimDisk, f: FileId, mut at: u64, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match d.write_at(f, at, bytes) {
            Ok(n) => {
                assert!(n > 0 && n <= bytes.len());
                at += n as u64;
                bytes = &bytes[n..];
            }
            Err(DiskError::Interrupted | DiskError::Failed { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
}

fn must<T>(mut f: impl FnMut() -> Result<T, DiskError>) -> T {
    for _ in 0..10_000 {
        match f() {
            Ok(x) => return x,
            Err(DiskError::Interrupted | DiskError::Failed { .. }) => {}
            Err(e) => panic!("{e}"),
        }
    }
    panic!("fails for ever")
}

#[test]
fn reads_give_what_was_written_whatever_is_short_or_fails() {
    for seed in 0..300 {
        let mut d = dice(seed, 300);
        let mut draws = Draws(seed ^ 99);
        let f = must(|| d.create("a"));
        let mut model: Vec<u8> = Vec::new();
        for _ in 0..20 {
            let at = draws.below(3000) as usize;
            let bytes: Vec<u8> = (0..draws.below(1500)).map(|_| draws.next_u32() as u8).collect();
            write_all(&mut d, f, at as u64, &bytes);
            if !bytes.is_empty() {
                super::file::put(&mut model, at, &bytes);
            }
            assert_eq!(contents(&mut d, f), model, "seed {seed}");
        }
    }
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    let mut torn = 0;
    for seed in 0..2_000 {
        let mut d = dice(seed, 0);
        let f = d.create("a").unwrap();
        d.write_at(f, 0, &[1; 2000]).unwrap();
        d.sync(f).unwrap();
        d.sync_dir().unwrap();
        d.write_at(f, 2000, &[2; 2000]).unwrap();
        d.power_cut();
        assert_eq!(d.len(f), Err(DiskError::Stale));
        let f = d.open("a").unwrap();
        let now = contents(&mut d, f);
        assert_eq!(now[..2000], [1; 2000], "seed {seed}");
        // What was not synced is there by whole sectors.
        let rest: Vec<u8> = now[2000..].to_vec();
        assert!(rest.iter().all(|b| *b == 2 || *b == 0));
        for sector in now.chunks(SECTOR).skip(4) {
            assert!(sector.iter().all(|b| *b == sector[0]), "seed {seed}: torn inside a sector");
        }
        torn += u32::from(rest.contains(&0) || (!rest.is_empty() && rest.len() < 2000));
    }
    assert!(torn > 200, "only {torn} torn writes");
}

#[test]
fn a_file_whose_directory_was_not_synced_may_be_gone_or_there() {
    let seen: std::collections::BTreeSet<bool> = (0..64)
        .map(|seed| {
            let mut d = dice(seed, 0);
            let f = d.create("a").unwrap();
            d.write_at(f, 0, b"x").unwrap();
            d.sync(f).unwrap();
            d.power_cut();
            d.open("a").is_ok()
        })
        .collect();
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_rename_is_atomic_across_power_cuts() {
    for seed in 0..500 {
        let mut d = dice(seed, 0);
        let old = d.create("m").unwrap();
        d.write_at(old, 0, b"old").unwrap();
        d.sync(old).unwrap();
        d.sync_dir().unwrap();
        let new = d.create("m.tmp").unwrap();
        d.write_at(new, 0, b"new").unwrap();
        d.sync(new).unwrap();
        d.rename("m.tmp", "m").unwrap();
        d.power_cut();
        let f = d.open("m").unwrap();
        let bytes = contents(&mut d, f);
        assert!(bytes == b"old" || bytes == b"new", "seed {seed}: {bytes:?}");
    }
}

#[test]
fn a_rename_without_sync_of_the_bytes_may_show_an_empty_file() {
    let empty = (0..500).any(|seed| {
        let mut d = dice(seed, 0);
        let new = d.create("m.tmp").unwrap();
        d.write_at(new, 0, b"new").unwrap();
        d.rename("m.tmp", "m").unwrap();
        d.sync_dir().unwrap();
        d.power_cut();
        let f = d.open("m").unwrap();
        contents(&mut d, f).is_empty()
    });
    assert!(empty);
}

#[test]
fn a_failed_sync_loses_the_bytes_and_the_next_one_says_nothing() {
    // create, write: no fault; sync fails; the second succeeds.
    let mut d = script([0, 0, 1]);
    let f = d.create("a").unwrap();
    d.write_at(f, 0, b"lost").unwrap();
    assert_eq!(d.sync(f), Err(DiskError::Failed { what: "sync" }));
    assert_eq!(d.sync(f), Ok(()));
    assert_eq!(contents(&mut d, f), b"lost", "reads still give it");
    d.sync_dir().unwrap();
    d.power_cut();
    let f = d.open("a").unwrap();
    assert_eq!(contents(&mut d, f), b"");
}

#[test]
fn a_later_write_may_survive_an_earlier_one() {
    let reordered = (0..200).any(|seed| {
        let mut d = dice(seed, 0);
        let f = d.create("a").unwrap();
        d.sync_dir().unwrap();
        d.write_at(f, 0, &[1; SECTOR]).unwrap();
        d.write_at(f, SECTOR as u64, &[2; SECTOR]).unwrap();
        d.power_cut();
        let f = d.open("a").unwrap();
        let now = contents(&mut d, f);
        now.len() == 2 * SECTOR && now[0] == 0 && now[SECTOR] == 2
    });
    assert!(reordered);
}

#[test]
fn a_full_disk_takes_what_fits_and_then_refuses() {
    let mut d = script([]).limited(10);
    let f = d.create("a").unwrap();
    assert_eq!(d.write_at(f, 0, &[1; 8]), Ok(8));
    assert_eq!(d.write_at(f, 8, &[1; 8]), Ok(2));
    assert_eq!(d.write_at(f, 10, &[1]), Err(DiskError::NoSpace { wanted: 1, free: 0 }));
    assert_eq!(d.write_at(f, 0, &[2; 10]), Ok(10), "writing over needs no space");
    assert_eq!(d.set_len(f, 11), Err(DiskError::NoSpace { wanted: 1, free: 0 }));
    d.set_len(f, 4).unwrap();
    assert_eq!(d.write_at(f, 9, &[3]), Ok(1));
    assert_eq!(contents(&mut d, f), [2, 2, 2, 2, 0, 0, 0, 0, 0, 3]);
    d.remove("a").unwrap();
    d.sync_dir().unwrap();
    assert_eq!(d.used(), 0);
}

#[test]
fn a_lying_disk_flips_one_bit_and_keeps_it() {
    // create, write; the read flips bit 9.
    let mut d = script([0, 0, 4, 9]).lying();
    let f = d.create("a").unwrap();
    d.write_at(f, 0, &[0; 4]).unwrap();
    let mut buf = [0; 4];
    assert_eq!(d.read_at(f, 0, &mut buf), Ok(4));
    assert_eq!(buf, [0, 2, 0, 0]);
    assert_eq!(contents(&mut d, f), [0, 2, 0, 0]);
}

#[test]
fn a_lying_disk_puts_bytes_a_sector_off() {
    let mut d = script([0, 4]).lying();
    let f = d.create("a").unwrap();
    assert_eq!(d.write_at(f, 0, &[7]), Ok(1));
    assert_eq!(d.len(f), Ok(SECTOR as u64 + 1));
}

#[test]
fn an_honest_disk_never_lies() {
    for seed in 0..200 {
        let mut d = dice(seed, 700);
        let f = must(|| d.create("a"));
        write_all(&mut d, f, 0, &[5; 700]);
        must(|| d.sync(f));
        assert_eq!(contents(&mut d, f).iter().filter(|b| **b != 5 && **b != 0).count(), 0);
    }
}

#[test]
fn names_are_told_when_missing_or_taken() {
    let mut d = script([]);
    assert_eq!(d.open("a"), Err(DiskError::NotFound { name: "a".into() }));
    d.create("a").unwrap();
    assert_eq!(d.create("a"), Err(DiskError::Exists { name: "a".into() }));
    assert_eq!(d.remove("b"), Err(DiskError::NotFound { name: "b".into() }));
    assert_eq!(d.open("zzz").unwrap_err().to_string(), "there is no file `zzz`; create it first");
}
