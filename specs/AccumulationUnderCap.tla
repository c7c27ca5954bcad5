----------------------- MODULE AccumulationUnderCap -----------------------
(* Keyed accumulation under a cap of memory (rule L-1): at the cap, credit *)
(* may be withheld only while something enabled will free memory. Keys     *)
(* that are not complete free nothing by themselves; spilling frees memory *)
(* until the disk is full, and then it is as without. Row 283.             *)
EXTENDS Naturals

CONSTANTS Need,   \* fragments of each key
          Cap,    \* fragments that memory holds
          Disk,   \* fragments that the spill holds
          Policy, \* at the cap: "evict", "refuse", "spill", or against the rule "wait"
          Fault   \* "none", or what is not counted: "silent" evictions, "forgotten" spills

VARIABLES left, held, spilled, whole, partial

vars == <<left, held, spilled, whole, partial>>

Keys == 1..3

Used == held[1] + held[2] + held[3]

Written == spilled[1] + spilled[2] + spilled[3]

TypeOK ==
    /\ left \in [Keys -> 0..Need]
    /\ held \in [Keys -> 0..Need]
    /\ spilled \in [Keys -> 0..Need]
    /\ whole \in [Keys -> 0..Need]
    /\ partial \in [Keys -> 0..Need]

UnderCap == Used <= Cap /\ Written <= Disk

\* Every fragment is still to come, held, on disk, or has left under a cause.
Counted == \A k \in Keys : left[k] + held[k] + spilled[k] + whole[k] + partial[k] = Need

Full == Used = Cap

Complete(k) == held[k] + spilled[k] = Need

Init ==
    /\ left = [k \in Keys |-> Need]
    /\ held = [k \in Keys |-> 0]
    /\ spilled = [k \in Keys |-> 0]
    /\ whole = [k \in Keys |-> 0]
    /\ partial = [k \in Keys |-> 0]

Take(k) ==
    /\ left[k] > 0 /\ ~Full
    /\ left' = [left EXCEPT ![k] = left[k] - 1]
    /\ held' = [held EXCEPT ![k] = held[k] + 1]
    /\ UNCHANGED <<spilled, whole, partial>>

Emit(k) ==
    /\ Complete(k)
    /\ whole' = [whole EXCEPT ![k] = whole[k] + held[k] + (IF Fault = "forgotten" THEN 0 ELSE spilled[k])]
    /\ held' = [held EXCEPT ![k] = 0]
    /\ spilled' = [spilled EXCEPT ![k] = 0]
    /\ UNCHANGED <<left, partial>>

\* A fragment stands at the door of a full table in which nothing is complete.
Stuck(k) == left[k] > 0 /\ Full /\ \A j \in Keys : ~Complete(j)

Fits(victim) == Written + held[victim] <= Disk

Spill(k, victim) ==
    /\ Policy = "spill" /\ Stuck(k)
    /\ held[victim] > 0 /\ Fits(victim)
    /\ spilled' = [spilled EXCEPT ![victim] = spilled[victim] + held[victim]]
    /\ held' = [held EXCEPT ![victim] = 0]
    /\ UNCHANGED <<left, whole, partial>>

\* Also where nothing can be spilled any more. What was spilled goes along.
Evict(k, victim) ==
    /\ Policy = "evict" \/ (Policy = "spill" /\ \A j \in Keys : held[j] > 0 => ~Fits(j))
    /\ Stuck(k)
    /\ held[victim] > 0
    /\ partial' = IF Fault = "silent" THEN partial
                  ELSE [partial EXCEPT ![victim] = partial[victim] + held[victim] + spilled[victim]]
    /\ held' = [held EXCEPT ![victim] = 0]
    /\ spilled' = [spilled EXCEPT ![victim] = 0]
    /\ UNCHANGED <<left, whole>>

Refuse(k) ==
    /\ Policy = "refuse" /\ Stuck(k)
    /\ left' = [left EXCEPT ![k] = left[k] - 1]
    /\ partial' = [partial EXCEPT ![k] = partial[k] + 1]
    /\ UNCHANGED <<held, spilled, whole>>

InputOver == \A k \in Keys : left[k] = 0

\* At the end of the input what is not complete leaves as partial.
Flush(k) ==
    /\ InputOver /\ held[k] + spilled[k] > 0 /\ ~Complete(k)
    /\ partial' = [partial EXCEPT ![k] = partial[k] + held[k] + spilled[k]]
    /\ held' = [held EXCEPT ![k] = 0]
    /\ spilled' = [spilled EXCEPT ![k] = 0]
    /\ UNCHANGED <<left, whole>>

Over ==
    /\ InputOver /\ Used + Written = 0
    /\ UNCHANGED vars

Next ==
    \/ \E k \in Keys : Take(k) \/ Emit(k) \/ Refuse(k) \/ Flush(k)
    \/ \E k \in Keys : \E victim \in Keys : Evict(k, victim) \/ Spill(k, victim)
    \/ Over

Spec == Init /\ [][Next]_vars /\ WF_vars(Next)

Finishes == <>(InputOver /\ Used + Written = 0)
============================================================================
