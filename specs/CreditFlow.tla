---------------------------- MODULE CreditFlow ----------------------------
(* One edge between two tasks: slots, credits, and who wakes whom. The     *)
(* receiver may turn to another input after any batch, and comes back only *)
(* when the sender can go no further: so a zip works its inputs.           *)
(* Row 283.                                                                *)
EXTENDS Naturals

CONSTANTS Capacity, Credits, Batches,
          Fault \* "none", or what is broken: "leak", "nudge", "late"

VARIABLES depth, credit, sent, taken, ended, sender, receiver

vars == <<depth, credit, sent, taken, ended, sender, receiver>>

TypeOK ==
    /\ depth \in 0..Capacity
    /\ credit \in 0..Credits
    /\ sent \in 0..Batches
    /\ taken \in 0..Batches
    /\ ended \in BOOLEAN
    /\ sender \in {"runs", "waits", "done"}
    /\ receiver \in {"runs", "looked", "waits", "away", "done"}

\* What was admitted and has not returned, and the balance, are constant.
Conserved == credit + depth = Credits

Counted == sent = taken + depth

Init ==
    /\ depth = 0
    /\ credit = Credits
    /\ sent = 0
    /\ taken = 0
    /\ ended = FALSE
    /\ sender = "runs"
    /\ receiver = "runs"

WakeReceiver == receiver' = IF receiver = "waits" THEN "runs" ELSE receiver

Push ==
    /\ sender = "runs" /\ sent < Batches
    /\ depth < Capacity /\ credit > 0
    /\ depth' = depth + 1
    /\ credit' = credit - 1
    /\ sent' = sent + 1
    /\ WakeReceiver
    /\ UNCHANGED <<taken, ended, sender>>

Block ==
    /\ sender = "runs" /\ sent < Batches
    /\ depth = Capacity \/ credit = 0
    /\ sender' = "waits"
    /\ UNCHANGED <<depth, credit, sent, taken, ended, receiver>>

\* A control asks for no slot and no credit (L-3).
End ==
    /\ sender = "runs" /\ sent = Batches
    /\ ended' = TRUE
    /\ sender' = "done"
    /\ WakeReceiver
    /\ UNCHANGED <<depth, credit, sent, taken>>

\* The sender is woken at half empty. A receiver that turns away wakes it as
\* soon as there is room: it will not take enough to reach that mark.
Pop(turn) ==
    /\ receiver = "runs" /\ depth > 0
    /\ depth' = depth - 1
    /\ credit' = IF Fault = "leak" THEN credit ELSE credit + 1
    /\ taken' = taken + 1
    /\ receiver' = IF turn THEN "away" ELSE "runs"
    /\ LET low == 2 * (depth - 1) <= Capacity
           nudged == turn /\ Fault # "nudge"
       IN  sender' = IF sender = "waits" /\ (low \/ nudged) THEN "runs" ELSE sender
    /\ UNCHANGED <<sent, ended>>

\* Finds nothing, wakes the sender and leaves its waker, under one lock.
PopNothing ==
    /\ receiver = "runs" /\ depth = 0 /\ ~ended
    /\ receiver' = IF Fault = "late" THEN "looked" ELSE "waits"
    /\ sender' = IF sender = "waits" THEN "runs" ELSE sender
    /\ UNCHANGED <<depth, credit, sent, taken, ended>>

\* Leaves its waker under a second lock: only where that is the fault.
LeaveWaker ==
    /\ receiver = "looked"
    /\ receiver' = "waits"
    /\ UNCHANGED <<depth, credit, sent, taken, ended, sender>>

TurnBack ==
    /\ receiver = "away"
    /\ depth = Capacity \/ credit = 0 \/ sender = "done"
    /\ receiver' = "runs"
    /\ UNCHANGED <<depth, credit, sent, taken, ended, sender>>

TakeEnd ==
    /\ receiver = "runs" /\ depth = 0 /\ ended
    /\ receiver' = "done"
    /\ UNCHANGED <<depth, credit, sent, taken, ended, sender>>

Over ==
    /\ sender = "done" /\ receiver = "done"
    /\ UNCHANGED vars

Next ==
    \/ Push \/ Block \/ End
    \/ Pop(TRUE) \/ Pop(FALSE) \/ PopNothing \/ LeaveWaker \/ TurnBack \/ TakeEnd
    \/ Over

Spec == Init /\ [][Next]_vars /\ WF_vars(Next)

Finishes == <>(receiver = "done")
============================================================================
