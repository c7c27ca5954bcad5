------------------------------ MODULE Breaker ------------------------------
(* A circuit breaker: opens on a share of failures among enough calls,     *)
(* stays open for its whole cooldown, lets a bounded number of trials      *)
(* through, and closes on their evidence alone. Results of calls of an     *)
(* earlier state change nothing (their generation is over).                *)
(* Row 283.                                                                *)
EXTENDS Naturals

CONSTANTS MinCalls,  \* calls before the share of failures counts; it is one half
          Trials,    \* calls let through when half open
          Successes, \* of them that must succeed
          Cooldown, MaxCooldown,
          MaxGen,    \* the model's bound
          Fault      \* "none", or "hasty", "late", "shy"

VARIABLES state, gen, calls, failures, flying, admitted, good, own, waited, cooldown

vars == <<state, gen, calls, failures, flying, admitted, good, own, waited, cooldown>>

Gens == 0..MaxGen

TypeOK ==
    /\ state \in {"closed", "open", "half"}
    /\ gen \in Gens
    /\ calls \in 0..MinCalls
    /\ failures \in 0..MinCalls
    /\ flying \in [Gens -> 0..Trials]
    /\ admitted \in 0..Trials
    /\ waited \in 0..MaxCooldown
    /\ cooldown \in Cooldown..MaxCooldown

\* No trial before the cooldown is over.
Patient == state = "half" => waited >= cooldown

FewTrials == state = "half" => admitted <= Trials /\ flying[gen] <= admitted

\* `own` counts successes of this generation's trials only.
ClosedOnEvidence == state = "closed" /\ gen > 0 => own >= Successes

Init ==
    /\ state = "closed"
    /\ gen = 0
    /\ calls = 0
    /\ failures = 0
    /\ flying = [g \in Gens |-> 0]
    /\ admitted = 0
    /\ good = 0
    /\ own = 0
    /\ waited = 0
    /\ cooldown = Cooldown

Min(a, b) == IF a < b THEN a ELSE b

Call ==
    /\ state = "closed" /\ flying[gen] < Trials
    /\ flying' = [flying EXCEPT ![gen] = flying[gen] + 1]
    /\ UNCHANGED <<state, gen, calls, failures, admitted, good, own, waited, cooldown>>

Trial ==
    /\ state = "half" /\ admitted < Trials
    /\ admitted' = admitted + 1
    /\ flying' = [flying EXCEPT ![gen] = flying[gen] + 1]
    /\ UNCHANGED <<state, gen, calls, failures, good, own, waited, cooldown>>

\* The model's bound leaves room to open, to half open and to close again.
Room == gen + 3 <= MaxGen

Open(longer) ==
    /\ state' = "open"
    /\ gen' = gen + 1
    /\ calls' = 0
    /\ failures' = 0
    /\ waited' = 0
    /\ cooldown' = IF longer THEN Min(2 * cooldown, MaxCooldown) ELSE cooldown
    /\ UNCHANGED <<admitted, good, own>>

CountCall(ok) ==
    LET c == calls + 1
        f == IF ok THEN failures ELSE failures + 1
    IN  IF c >= MinCalls
        THEN IF 2 * f >= c
             THEN Room /\ Open(FALSE)
             ELSE /\ calls' = 0
                  /\ failures' = 0
                  /\ UNCHANGED <<state, gen, admitted, good, own, waited, cooldown>>
        ELSE /\ calls' = c
             /\ failures' = f
             /\ UNCHANGED <<state, gen, admitted, good, own, waited, cooldown>>

CountTrial(ok, fresh) ==
    IF ~ok
    THEN Room /\ Open(TRUE)
    ELSE /\ good' = good + 1
         /\ own' = IF fresh THEN own + 1 ELSE own
         /\ IF good + 1 >= Successes
            THEN /\ state' = "closed"
                 /\ gen' = gen + 1
                 /\ cooldown' = Cooldown
            ELSE UNCHANGED <<state, gen, cooldown>>
         /\ UNCHANGED <<calls, failures, admitted, waited>>

Result(g, ok) ==
    /\ flying[g] > 0
    /\ flying' = [flying EXCEPT ![g] = flying[g] - 1]
    /\ LET counts == g = gen \/ (Fault = "late" /\ ok)
       IN  IF counts /\ state = "closed" THEN CountCall(ok)
           ELSE IF counts /\ state = "half" THEN CountTrial(ok, g = gen)
           ELSE UNCHANGED <<state, gen, calls, failures, admitted, good, own, waited, cooldown>>

Tick ==
    /\ state = "open" /\ waited < cooldown
    /\ waited' = waited + 1
    /\ UNCHANGED <<state, gen, calls, failures, flying, admitted, good, own, cooldown>>

HalfOpen ==
    /\ state = "open"
    /\ waited >= cooldown \/ Fault = "hasty"
    /\ Fault = "shy" => \A g \in Gens : flying[g] = 0
    /\ state' = "half"
    /\ gen' = gen + 1
    /\ admitted' = 0
    /\ good' = 0
    /\ own' = 0
    /\ UNCHANGED <<calls, failures, flying, waited, cooldown>>

\* Nobody calls, or the outside does not answer.
Rest == UNCHANGED vars

Next ==
    \/ Call \/ Trial \/ Tick \/ HalfOpen
    \/ \E g \in Gens : Result(g, TRUE) \/ Result(g, FALSE)
    \/ Rest

Spec == Init /\ [][Next]_vars /\ WF_vars(Tick) /\ WF_vars(HalfOpen)

\* It never waits for answers that may not come.
OpenEnds == (state = "open") ~> (state # "open")
============================================================================
