//! Part files: each row visible exactly once, whatever fails and whenever the power is cut.

use crate::disk::MemDisk;
use crate::host::{Hand, block_on, bytes, deferred, inline, read_all, scratch};
use flux_io_connect::lines;
use flux_io_connect::output::{PartsSink, RawLines};
use flux_io_core::{Batch, Epoch, ErrorClass, IoCx, Sink, StageError, TransactionalSink};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

type Parts = PartsSink<RawLines<Vec<String>>>;

fn on(disk: &MemDisk) -> Parts {
    fn transactional<S: TransactionalSink>(s: S) -> S {
        s
    }
    transactional(lines::parts("out", "rows.txt").on_disk(Arc::new(disk.clone())).write_bytes(8))
}

fn rows(epoch: u64) -> Vec<String> {
    (0..3).map(|i| format!("{epoch}/{i}")).collect()
}

fn text(epoch: u64) -> String {
    rows(epoch).iter().map(|r| format!("{r}\n")).collect()
}

/// All visible rows, in the order of their files' names.
fn visible(disk: &MemDisk) -> String {
    let mut names = disk.names();
    names.retain(|n| n.starts_with("out/rows-"));
    names.iter().map(|n| disk.read(n).unwrap()).collect()
}

fn write(sink: &mut Parts, epoch: u64, cx: &IoCx) -> Result<(), StageError> {
    rows(epoch).into_iter().try_for_each(|r| block_on(sink.write(&mut Batch::of(vec![r]), cx)))
}

/// Row 38. Nothing is visible before its commit; commits may come again and cover what was
/// prepared before.
#[test]
fn rows_become_visible_at_commit() {
    let disk = MemDisk::default();
    let mut sink = on(&disk);
    let cx = inline(1);
    assert!(sink.descriptor().transactional);
    write(&mut sink, 1, &cx).unwrap();
    block_on(sink.prepare(Epoch(1), &cx)).unwrap();
    write(&mut sink, 2, &cx).unwrap();
    assert_eq!(disk.names(), ["out/.rows.txt.tmp-0", "out/rows.txt.part-1"]);
    assert_eq!(visible(&disk), "");
    block_on(sink.commit(Epoch(1), &cx)).unwrap();
    block_on(sink.commit(Epoch(1), &cx)).unwrap();
    assert_eq!(visible(&disk), text(1));

    // Epoch 2's checkpoint is given up; its rows come with epoch 3. Epoch 4 has no rows.
    block_on(sink.prepare(Epoch(2), &cx)).unwrap();
    block_on(sink.prepare(Epoch(2), &cx)).unwrap();
    write(&mut sink, 3, &cx).unwrap();
    block_on(sink.prepare(Epoch(3), &cx)).unwrap();
    block_on(sink.commit(Epoch(3), &cx)).unwrap();
    assert_eq!(visible(&disk), text(1) + &text(2) + &text(3));
    block_on(sink.prepare(Epoch(4), &cx)).unwrap();
    block_on(sink.commit(Epoch(4), &cx)).unwrap();
    assert!(block_on(sink.prepare(Epoch(3), &cx)).unwrap_err().what.contains("up to epoch 4"));
    block_on(sink.close(&cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    assert!(write(&mut sink, 5, &cx).unwrap_err().what.contains("are closed"));
    let names: Vec<String> = (1..=4).map(|e| format!("out/rows-{e:012}.txt")).collect();
    assert_eq!(disk.names(), names);
    let e = block_on(sink.commit(Epoch(9), &cx)).unwrap_err();
    assert_eq!(e.class, ErrorClass::Catastrophic);
    assert!(e.what.contains("epoch 9 is to be committed and out has no file of it"), "{}", e.what);
}

/// Without checkpoints everything is committed at the end; without rows there is no file.
#[test]
fn closing_commits_the_rest() {
    let cx = inline(1);
    let disk = MemDisk::default();
    let mut sink = on(&disk);
    write(&mut sink, 1, &cx).unwrap();
    block_on(sink.flush(&cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    disk.crash();
    assert_eq!(visible(&disk), text(1));
    let disk = MemDisk::default();
    block_on(on(&disk).close(&cx)).unwrap();
    assert_eq!(disk.names(), [""; 0]);
}

/// What a run with three epochs does; `done` is the newest epoch whose checkpoint was made, which
/// happens between prepare and commit.
fn run(sink: &mut Parts, from: u64, done: &mut u64, cx: &IoCx) -> Result<(), StageError> {
    for epoch in from..=3 {
        write(sink, epoch, cx)?;
        block_on(sink.prepare(Epoch(epoch), cx))?;
        *done = epoch;
        block_on(sink.commit(Epoch(epoch), cx))?;
    }
    block_on(sink.close(cx))
}

fn checkpoint(done: u64) -> Option<Epoch> {
    (done > 0).then_some(Epoch(done))
}

/// Row 38. The power is cut at every call, and again at every call of the run that recovers: in the
/// end every row is visible once.
#[test]
fn power_cuts_at_every_call_leave_each_row_once() {
    let cx = inline(1);
    let all = text(1) + &text(2) + &text(3);
    let (mut cuts, mut second_cuts) = (0, 0);
    for n in 0.. {
        let first = MemDisk::default();
        first.fail_at(n, true);
        let mut done = 0;
        let ran = run(&mut on(&first), 1, &mut done, &cx);
        let cut = first.failed();
        assert_eq!(ran.is_err(), cut);
        if !cut {
            assert_eq!(visible(&first), all);
            break;
        }
        cuts += 1;
        for m in 0.. {
            let disk = MemDisk::default();
            disk.fail_at(n, true);
            let mut done = 0;
            let _ = run(&mut on(&disk), 1, &mut done, &cx);
            disk.crash();
            assert!(all.starts_with(&visible(&disk)), "cut at {n}: {:?}", visible(&disk));
            let mut again = |cut_at: Option<u64>| {
                if let Some(m) = cut_at {
                    disk.fail_at(m, true);
                }
                let mut sink = on(&disk);
                let from = done + 1;
                let ran = block_on(sink.recover(checkpoint(done), &cx));
                let ran = ran.and_then(|()| run(&mut sink, from, &mut done, &cx));
                drop(sink);
                let cut = disk.failed();
                disk.crash();
                (ran, cut)
            };
            let (ran, cut) = again(Some(m));
            if cut {
                assert!(ran.is_err());
                second_cuts += 1;
                again(None).0.unwrap();
            } else {
                ran.unwrap();
            }
            assert_eq!(visible(&disk), all, "cuts at {n} and {m}");
            let left: Vec<String> = disk.names();
            assert_eq!(left.len(), 3, "{left:?}");
            if !cut {
                break;
            }
        }
    }
    assert!(cuts > 20 && second_cuts > 200, "{cuts}, {second_cuts}");
}

/// One failing call: writes and prepares give the sink up, commits may be tried again.
#[test]
fn failing_calls_are_final_except_commits() {
    let cx = inline(1);
    let mut tried_again = 0;
    for n in 0.. {
        let disk = MemDisk::default();
        disk.fail_at(n, false);
        let mut sink = on(&disk);
        let prepared =
            write(&mut sink, 1, &cx).and_then(|()| block_on(sink.prepare(Epoch(1), &cx)));
        if prepared.is_err() {
            assert!(write(&mut sink, 2, &cx).unwrap_err().what.contains("failed before"));
            drop(sink);
            assert_eq!(disk.names(), [""; 0], "call {n}");
            continue;
        }
        if block_on(sink.commit(Epoch(1), &cx)).is_err() {
            tried_again += 1;
            block_on(sink.commit(Epoch(1), &cx)).unwrap();
        }
        write(&mut sink, 2, &cx).unwrap();
        disk.crash();
        assert_eq!(visible(&disk), text(1));
        if !disk.failed() && tried_again >= 3 {
            break;
        }
    }
}

/// Giving up keeps what was prepared, since its checkpoint may have been made, and shows nothing.
#[test]
fn giving_up_keeps_prepared_epochs() {
    let cx = inline(1);
    for abort in [true, false] {
        let disk = MemDisk::default();
        let mut sink = on(&disk);
        write(&mut sink, 1, &cx).unwrap();
        block_on(sink.prepare(Epoch(1), &cx)).unwrap();
        write(&mut sink, 2, &cx).unwrap();
        if abort {
            sink.abort();
            for e in [write(&mut sink, 2, &cx), block_on(sink.close(&cx))] {
                assert!(e.unwrap_err().what.contains("were given up"));
            }
        }
        drop(sink);
        assert_eq!(disk.names(), ["out/rows.txt.part-1"]);
        for (done, shown) in [(0, String::new()), (1, text(1))] {
            let disk = MemDisk::default();
            disk.put("out/rows.txt.part-1", &text(1));
            disk.put("out/.rows.txt.tmp-0", "half");
            block_on(on(&disk).recover(checkpoint(done), &cx)).unwrap();
            assert_eq!(visible(&disk), shown);
            assert_eq!(disk.names().len(), usize::from(done == 1));
        }
    }
}

/// Recovery never repairs in silence: output newer than the checkpoint, a lost epoch, a foreign
/// directory, a second start.
#[test]
fn recovery_refuses_what_it_cannot_make_whole() {
    let cx = inline(1);
    let recover = |disk: &MemDisk, done| block_on(on(disk).recover(checkpoint(done), &cx));
    let disk = MemDisk::default();
    disk.put("out/rows-000000000001.txt", "1\n");
    disk.put("out/rows-000000000002.txt", "2\n");
    let e = recover(&disk, 1).unwrap_err();
    assert_eq!(
        e.what,
        "out shows epoch 2 and the checkpoint stands at epoch 1; use a newer checkpoint or start \
         anew in an empty directory"
    );
    assert!(recover(&disk, 0).unwrap_err().what.contains("stands at the beginning"));
    recover(&disk, 2).unwrap();
    disk.take_away("out/rows-000000000002.txt");
    let e = recover(&disk, 2).unwrap_err();
    assert!(e.what.contains("has no file of it"), "{}", e.what);
    assert_eq!(e.class, ErrorClass::Catastrophic);

    let e = write(&mut on(&disk), 1, &cx).unwrap_err();
    assert!(e.what.contains("holds the output of an earlier run"), "{}", e.what);
    disk.put("out/rows.txt.part-3", "3\n");
    disk.put("out/rows-000000000003.txt", "foreign\n");
    assert!(recover(&disk, 3).is_err(), "both a prepared and a visible file of one epoch");
    assert_eq!(disk.read("out/rows-000000000003.txt").unwrap(), "foreign\n");

    let disk = MemDisk::default();
    for foreign in ["rows-1.txt", "rows-000000000001.csv", "rows.txt.part-x", "rows.txt.part-", "a"]
    {
        disk.put(&format!("out/{foreign}"), "");
    }
    let mut sink = on(&disk);
    write(&mut sink, 1, &cx).unwrap();
    let e = block_on(sink.recover(None, &cx)).unwrap_err();
    assert!(e.what.contains("recover before the first row"), "{}", e.what);
    block_on(sink.close(&cx)).unwrap();
    assert_eq!(disk.names().len(), 6);
}

/// Law I5: every call may be dropped at every poll.
#[test]
fn dropping_calls_at_every_poll_changes_nothing() {
    let disk = MemDisk::default();
    let (host, cx) = deferred(1);
    let mut dropped = 0;
    let mut until = |f: &mut dyn FnMut() -> Poll<Result<(), StageError>>| {
        while f().map(Result::unwrap).is_pending() {
            dropped += 1;
            assert!(dropped < 1000, "it never ends");
            if dropped % 2 == 0 {
                assert!(host.work());
            }
        }
    };
    let mut sink = on(&disk);
    let hand = Hand::new();
    until(&mut || pin!(sink.recover(None, &cx)).poll(&mut hand.cx()));
    for epoch in 1..=3 {
        for row in rows(epoch) {
            let mut batch = Batch::of(vec![row]);
            until(&mut || {
                let polled = pin!(sink.write(&mut batch, &cx)).poll(&mut hand.cx());
                if polled.is_pending() && batch.is_empty() { Poll::Ready(Ok(())) } else { polled }
            });
        }
        if epoch < 3 {
            until(&mut || pin!(sink.flush(&cx)).poll(&mut hand.cx()));
            until(&mut || pin!(sink.prepare(Epoch(epoch), &cx)).poll(&mut hand.cx()));
            until(&mut || pin!(sink.commit(Epoch(epoch), &cx)).poll(&mut hand.cx()));
        }
    }
    until(&mut || pin!(sink.close(&cx)).poll(&mut hand.cx()));
    assert!(dropped > 20);
    assert_eq!(visible(&disk), text(1) + &text(2) + &text(3));
    assert_eq!(disk.names().len(), 3);
}

/// Rows 33, 38. Real files, and reading them back in order of their names.
#[test]
fn part_files_are_read_back() {
    let dir = scratch("parts");
    let cx = inline(10);
    let mut sink = lines::parts(&dir, "rows.txt");
    for epoch in 1..=3 {
        block_on(sink.write(&mut Batch::of(rows(epoch)), &cx)).unwrap();
        block_on(sink.prepare(Epoch(epoch), &cx)).unwrap();
        if epoch < 3 {
            block_on(sink.commit(Epoch(epoch), &cx)).unwrap();
        }
    }
    drop(sink);
    let mut sink = lines::parts::<Vec<String>>(&dir, "rows.txt");
    block_on(sink.recover(Some(Epoch(3)), &cx)).unwrap();
    block_on(sink.close(&cx)).unwrap();
    let mut paths: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert_eq!(paths.len(), 3);
    let read = read_all(&mut lines::files(paths), &cx, bytes);
    let wanted: Vec<_> = (1..=3).flat_map(rows).map(String::into_bytes).collect();
    assert_eq!(read.rows, wanted);

    let mut absent = lines::parts::<Vec<String>>(dir.join("absent"), "rows.txt");
    let e = block_on(absent.write(&mut Batch::default(), &cx)).unwrap_err();
    assert!(e.what.contains("does the directory exist?"), "{}", e.what);
}
