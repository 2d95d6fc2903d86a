/* A session that begins anew says what its machine holds in parts: one machine in detail, all others
   as the keeper sees them, and one lease, which is said in the first part or in the second.

   Beside what lease.pml has, whose ticks and names these are: a message that was given up may still
   be heard, at any later time, under the session that it was sent under. The keeper may restart and
   know nothing at any moment, also between two parts.

   What must hold: never two machines with a transport, open or being closed.

   Each -DWITHOUT_... takes away one thing. With -DREACHED it is said never to happen that a machine
   keeps its transport while the keeper restarts, and until that grants again: what must be refuted. */

/* the transport */
#define NO 0
#define OPEN 1
#define CLOSING 2

/* what the machine says to the keeper: on its way there, and on its way back */
#define QUIET 0
#define FIRST 1
#define FIRST_HEARD 2
#define MORE_DUE 3
#define MORE 4
#define MORE_HEARD 5
#define REFUSED 6
#define RENEWAL 7
#define RENEWED 8
#define UNKNOWN 9

/* who holds the lease, by the keeper */
#define NOBODY 0
#define MINE 1
#define OTHERS 2

/* under which session of the machine's: its newest, the one before, one before that */
#define NEWEST 0
#define BEFORE 1
#define EARLIER 2

/* The machine. */
byte has;
byte says;          /* what is under way */
byte part;          /* in which the lease is said: 1, 2, or 0 if it is not held */
byte left;          /* ticks for which it may hold what it holds, by its own clock */
byte since;         /* ticks since what is under way was sent, by its own clock */
byte closing;
byte behind;
bool begun;
bool release;       /* on its way */
byte late_first;    /* given up, and yet to be heard: the part in which the lease is, and 3 if none */
byte late_more;
bool late_request;

/* All other machines. */
bool theirs;        /* one has a transport */
bool unsaid;        /* ... and has not said so since the keeper restarted */

/* The keeper. */
byte holder;
byte under;
byte newest;        /* ticks for which these sessions live on */
byte before;
byte earlier;
byte grace;

bool restarted;     /* while the machine had a transport, which it has had since */

#define ALIVE ((under == NEWEST && newest > 0) || (under == BEFORE && before > 0) || \
    (under == EARLIER && earlier > 0))
#define HELD (holder == OTHERS || (holder == MINE && ALIVE))
#define OVERDUE ((has == OPEN && left == 0) || (has == CLOSING && closing == 0))
#define BEGINNING (says >= FIRST && says <= REFUSED)

/* What was sent under an earlier session may come late, and changes nothing of a later one's. */
#define IS_NEWER (under == NEWEST && newest > 0)

inline prolong() {
  if :: KEEP > since && KEEP - since > left -> left = KEEP - since :: else fi
}

inline begin_to_close() {
  has = CLOSING; closing = CLOSE
}

inline another_session() {
  if
  :: under == BEFORE -> under = EARLIER; earlier = before
  :: under == NEWEST -> under = BEFORE
  :: else
  fi;
  before = newest; newest = 0; late_first = 0; late_more = 0; late_request = false;
  if :: has == NO && !release -> late_request = true :: skip fi
}

inline say_again(session) {
  if
  :: holder == OTHERS
#ifndef WITHOUT_THE_ORDER_OF_WHAT_IS_SAID
  :: holder == MINE && session == BEFORE && IS_NEWER
#endif
  :: else -> holder = MINE; under = session
  fi
}

inline hear_more() {
#ifdef WITHOUT_LOOKING_FOR_THE_SESSION
  newest = TTL;
#endif
  if
  :: newest > 0 ->
     newest = TTL;
     if :: part == 2 -> say_again(NEWEST) :: else fi;
     says = MORE_HEARD
  :: else -> says = REFUSED
  fi
}

inline hear_late_request() {
  late_request = false;
  if
#ifdef WITHOUT_THE_ORDER_OF_REQUESTS
  :: before > 0 && grace == 0 && holder == MINE -> under = BEFORE
#else
  :: before > 0 && grace == 0 && holder == MINE && !IS_NEWER -> under = BEFORE
#endif
  :: before > 0 && grace == 0 && !HELD -> holder = MINE; under = BEFORE
  :: else
  fi
}

active proctype world() {
  do
  :: atomic { has != NO && theirs -> assert(false) }

  /* The keeper hears something. */
  :: atomic { says == FIRST ->
     newest = TTL;
     if :: part == 1 -> say_again(NEWEST) :: else fi;
     says = FIRST_HEARD }
  :: atomic { says == MORE -> hear_more() }
  :: atomic { says == RENEWAL && newest > 0 -> newest = TTL; says = RENEWED }
  :: atomic { says == RENEWAL && newest == 0 -> says = UNKNOWN }
  :: atomic { release -> release = false; if :: holder == MINE -> holder = NOBODY :: else fi }
  :: atomic { late_first != 0 ->
     before = TTL;
     if :: late_first == 1 -> say_again(BEFORE) :: else fi;
     late_first = 0 }
  :: atomic { late_more != 0 ->
     if
     :: before > 0 -> before = TTL; if :: late_more == 2 -> say_again(BEFORE) :: else fi
     :: else
     fi;
     late_more = 0 }
  :: atomic { late_request -> hear_late_request() }

  /* The machine begins a session, in two parts, and renews it. */
  :: atomic { says == QUIET && !begun ->
     if :: has == OPEN -> if :: part = 1 :: part = 2 fi :: else -> part = 0 fi;
     says = FIRST; since = 0 }
  :: atomic { says == FIRST_HEARD ->
#ifdef WITHOUT_WAITING_FOR_ALL_PARTS
     prolong();
#endif
     says = MORE_DUE }
  :: atomic { says == MORE_DUE -> says = MORE }
  :: atomic { says == MORE_HEARD -> begun = true; prolong(); says = QUIET; since = 0;
     if :: part != 0 && has == OPEN && holder == OTHERS -> begin_to_close() :: else fi }
  :: atomic { says == REFUSED -> another_session(); says = QUIET; since = 0 }
  :: atomic { says == QUIET && begun -> says = RENEWAL; since = 0 }
  :: atomic { says == RENEWED -> prolong(); says = QUIET; since = 0 }
  :: atomic { says == UNKNOWN -> another_session(); begun = false; says = QUIET; since = 0 }
  :: atomic { says != QUIET && !BEGINNING -> says = QUIET; since = 0 /* given up, or lost */ }
  :: atomic { BEGINNING -> /* given up; what is on its way may be heard, or be lost */
     another_session();
     if
     :: says == FIRST -> late_first = (part == 1 -> 1 : 3)
     :: says == MORE -> late_more = (part == 2 -> 2 : 3)
     :: skip
     fi;
     says = QUIET; since = 0 }

  /* It has the lease, or was granted it and does not know. */
  :: atomic { has == NO && !release && begun && left > 0 && newest > 0 && grace == 0 &&
     (holder == MINE || !HELD) -> holder = MINE; under = NEWEST; if :: has = OPEN :: skip fi }
  :: atomic { has == OPEN -> begin_to_close() }
  :: atomic { has == CLOSING ->
     has = NO; closing = 0; release = true; part = 0; late_request = false; restarted = false;
     if :: late_first == 1 -> late_first = 3 :: else fi;
     if :: late_more == 2 -> late_more = 3 :: else fi }

  /* Others. */
  :: atomic { !HELD && grace == 0 -> holder = OTHERS; theirs = true }
  :: atomic { theirs ->
     theirs = false; unsaid = false; if :: holder == OTHERS -> holder = NOBODY :: else fi }
  :: atomic { unsaid && holder == NOBODY -> holder = OTHERS; unsaid = false }

  :: atomic {
     holder = NOBODY; under = EARLIER; newest = 0; before = 0; earlier = 0; grace = TTL;
     unsaid = theirs; restarted = (has == OPEN) }

#ifdef REACHED
  :: atomic { restarted && has == OPEN && grace == 0 && left > 0 -> assert(false) }
#endif

  :: atomic { !OVERDUE && !(grace == 1 && unsaid) -> /* whoever has not said so has closed */
     if
     :: if :: left > 0 -> left-- :: else fi;
        if :: closing > 0 -> closing-- :: else fi;
        if :: says != QUIET && since < TTL -> since++ :: else fi
     :: behind < DRIFT -> behind++
     fi;
     if :: newest > 0 -> newest-- :: else fi;
     if :: before > 0 -> before-- :: else fi;
     if :: earlier > 0 -> earlier-- :: else fi;
     if :: grace > 0 -> grace-- :: else fi }
  od
}
