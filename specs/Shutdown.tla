----------------------------- MODULE Shutdown -----------------------------
(* A source and a sink with an edge between them, and whoever stops them:  *)
(* a drain, an abort, or an abort behind a drain. A task looks at the      *)
(* handle's version, registers its waker, looks again, and waits.          *)
(* Row 283.                                                                *)
EXTENDS Naturals

CONSTANTS Capacity, Rows,
          Fault \* "none", or "wake-first", "one-look", "drop"

VARIABLES level, version, stop, rows, depth, given, written, ended,
          source, sink, seenBySource, seenBySink

vars == <<level, version, stop, rows, depth, given, written, ended,
          source, sink, seenBySource, seenBySink>>

handle == <<level, version, stop>>
edge == <<rows, depth, given, written, ended>>

Task == {"runs", "looked", "waits", "done", "aborted"}

TypeOK ==
    /\ level \in 0..2
    /\ version \in 0..2
    /\ stop \in {"idle", "raised", "between"}
    /\ depth \in 0..Capacity
    /\ source \in Task
    /\ sink \in Task

IsOver(task) == task \in {"done", "aborted"}

\* What was accepted before a drain flows through.
Drained == sink = "done" => written = given

Init ==
    /\ level = 0
    /\ version = 0
    /\ stop = "idle"
    /\ rows = Rows
    /\ depth = 0
    /\ given = 0
    /\ written = 0
    /\ ended = FALSE
    /\ source = "runs"
    /\ sink = "runs"
    /\ seenBySource = 0
    /\ seenBySink = 0

\* A registered waker makes its task run again; with the fault, a task that has
\* looked has not registered yet.
Woken(task) ==
    IF task = "waits" \/ (task = "looked" /\ Fault # "one-look") THEN "runs" ELSE task

(* Whoever stops: raises the level, counts the version, wakes. *)

Raise ==
    /\ stop = "idle" /\ level < 2
    /\ \E l \in (level + 1)..2 : level' = l
    /\ stop' = "raised"
    /\ UNCHANGED <<version, edge, source, sink, seenBySource, seenBySink>>

Count ==
    /\ stop = IF Fault = "wake-first" THEN "between" ELSE "raised"
    /\ version' = version + 1
    /\ stop' = IF Fault = "wake-first" THEN "idle" ELSE "between"
    /\ UNCHANGED <<level, edge, source, sink, seenBySource, seenBySink>>

Wake ==
    /\ stop = IF Fault = "wake-first" THEN "raised" ELSE "between"
    /\ stop' = IF Fault = "wake-first" THEN "between" ELSE "idle"
    /\ source' = Woken(source)
    /\ sink' = Woken(sink)
    /\ UNCHANGED <<level, version, edge, seenBySource, seenBySink>>

(* The source. *)

ServeSource ==
    /\ source = "runs" /\ seenBySource # version
    /\ seenBySource' = version
    /\ source' = IF level = 2 THEN "aborted" ELSE "runs"
    /\ UNCHANGED <<handle, edge, sink, seenBySink>>

Give ==
    /\ source = "runs" /\ level = 0 /\ rows > 0 /\ depth < Capacity
    /\ rows' = rows - 1
    /\ depth' = depth + 1
    /\ given' = given + 1
    /\ sink' = Woken(sink)
    /\ UNCHANGED <<handle, written, ended, source, seenBySource, seenBySink>>

EndSource ==
    /\ source = "runs" /\ (level > 0 \/ rows = 0)
    /\ ended' = TRUE
    /\ source' = "done"
    /\ depth' = IF Fault = "drop" /\ level > 0 THEN 0 ELSE depth
    /\ sink' = Woken(sink)
    /\ UNCHANGED <<handle, rows, given, written, seenBySource, seenBySink>>

\* Nothing comes from outside now, or there is no room.
SourceLooks ==
    /\ source = "runs" /\ level = 0 /\ rows > 0 /\ seenBySource = version
    /\ source' = "looked"
    /\ UNCHANGED <<handle, edge, sink, seenBySource, seenBySink>>

SourceWaits ==
    /\ source = "looked"
    /\ source' = IF Fault = "one-look" \/ seenBySource = version THEN "waits" ELSE "runs"
    /\ UNCHANGED <<handle, edge, sink, seenBySource, seenBySink>>

\* Something comes from outside; perhaps never.
Arrive ==
    /\ source = "waits" /\ rows > 0 /\ depth < Capacity
    /\ source' = "runs"
    /\ UNCHANGED <<handle, edge, sink, seenBySource, seenBySink>>

(* The sink. *)

ServeSink ==
    /\ sink = "runs" /\ seenBySink # version
    /\ seenBySink' = version
    /\ sink' = IF level = 2 THEN "aborted" ELSE "runs"
    /\ UNCHANGED <<handle, edge, source, seenBySource>>

Write ==
    /\ sink = "runs" /\ depth > 0
    /\ depth' = depth - 1
    /\ written' = written + 1
    /\ source' = Woken(source)
    /\ UNCHANGED <<handle, rows, given, ended, sink, seenBySource, seenBySink>>

EndSink ==
    /\ sink = "runs" /\ depth = 0 /\ ended
    /\ sink' = "done"
    /\ UNCHANGED <<handle, edge, source, seenBySource, seenBySink>>

SinkLooks ==
    /\ sink = "runs" /\ depth = 0 /\ ~ended /\ seenBySink = version
    /\ sink' = "looked"
    /\ UNCHANGED <<handle, edge, source, seenBySource, seenBySink>>

SinkWaits ==
    /\ sink = "looked"
    /\ sink' = IF Fault = "one-look" \/ seenBySink = version THEN "waits" ELSE "runs"
    /\ UNCHANGED <<handle, edge, source, seenBySource, seenBySink>>

Over ==
    /\ IsOver(source) /\ IsOver(sink)
    /\ UNCHANGED vars

Inner ==
    \/ Count \/ Wake
    \/ ServeSource \/ EndSource \/ SourceLooks \/ SourceWaits
    \/ ServeSink \/ Write \/ EndSink \/ SinkLooks \/ SinkWaits

Next == Inner \/ Raise \/ Give \/ Arrive \/ Over

Spec == Init /\ [][Next]_vars /\ WF_vars(Inner)

\* However long the outside is silent, a run that is stopped ends.
StopEnds == (level > 0) ~> (IsOver(source) /\ IsOver(sink))
============================================================================
