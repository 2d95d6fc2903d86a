/* The protocol of leases over several machines: two machines, one keeper, one user's lease.

   In whole ticks, and in every order: a renewal, a request and a release are messages that may be
   as late as they like, and be lost; the keeper may restart and know nothing (-DFORGETS); a clock
   may be slow by one tick in a time to live. Time passes for all at once, but never while a machine
   is overdue with what it has to do, unless it is stopped (-DSTOPS).

   What must hold: never two machines with a transport, open or being closed.

   TTL, CLOSE, DRIFT and SLACK are ticks; KEEP is for how long after a renewal was sent a machine may
   hold what it holds. The test computes KEEP by the library's own arithmetic. Each -DWITHOUT_...
   takes away one thing that the protocol depends on. */

/* what a machine does */
#define IDLE 0
#define ASKING 1
#define OPEN 2
#define CLOSING 3

/* a message that awaits an answer: nothing, on its way there, on its way back, in vain */
#define NONE 0
#define SENT 1
#define ANSWERED 2
#define VAIN 3

#define NOBODY 2

/* The machines. */
byte does[2];       /* idle, asking, open, closing */
byte left[2];       /* ticks for which it may hold what it holds, by its own clock */
byte since[2];      /* ticks since its renewal was sent, by its own clock */
byte closing[2];    /* ticks that it may still take to close */
byte behind[2];     /* by how much its clock is slow */
bool stopped[2];
byte renewal[2];
byte request[2];
bool release[2];    /* a release is on its way */

/* The keeper. */
byte holder = NOBODY;
byte session[2];    /* ticks for which the session of a machine lives on */
bool unheard[2];    /* a session was begun, and the machine does not know it yet */
byte grace;         /* ticks for which nothing new is granted */

#ifdef WITHOUT_WAITING_FOR_THE_BEGINNING
#define BEGINS(i) (session[i] == 0)
#else
#define BEGINS(i) (session[i] == 0 || unheard[i])
#endif
#define HELD (holder != NOBODY && session[holder] > 0)
#define HAS_TRANSPORT(i) (does[i] == OPEN || does[i] == CLOSING)
#define STILL_HOLDS(i) (left[i] > 0 && (holder == NOBODY || holder == i))
#define OVERDUE(i) (!stopped[i] && \
    ((does[i] == OPEN && left[i] == 0) || (does[i] == CLOSING && closing[i] == 0)))

inline begin_to_close(i) {
  does[i] = CLOSING;
  closing[i] = CLOSE
}

inline pass_a_tick(i) {
  if :: left[i] > 0 -> left[i]-- :: else fi;
  if :: closing[i] > 0 && !stopped[i] -> closing[i]-- :: else fi;
  if :: renewal[i] != NONE && since[i] < TTL -> since[i]++ :: else fi
}

inline be_closed(i) {
  closing[i] = 0;
  does[i] = IDLE;
#ifndef WITHOUT_CLOSING_FIRST
  release[i] = true
#endif
}

/* A session goes on, or begins; what its machine holds is said once more, and may be another's. */
inline hear_renewal(i) {
#ifndef WITHOUT_LOOKING_AT_THE_SESSION
  if :: BEGINS(i) && request[i] == ANSWERED -> request[i] = VAIN :: else fi;
#endif
  if
  :: BEGINS(i) && does[i] == OPEN && STILL_HOLDS(i) -> holder = i; renewal[i] = ANSWERED
  :: BEGINS(i) && does[i] == OPEN && !STILL_HOLDS(i) -> renewal[i] = VAIN
  :: else -> renewal[i] = ANSWERED
  fi;
  unheard[i] = BEGINS(i);
  session[i] = TTL
}

inline hear_release(i) {
  release[i] = false;
#ifdef WITHOUT_NAMING_THE_HOLDER
  holder = NOBODY
#else
  if :: holder == i -> holder = NOBODY :: else fi
#endif
}

inline be_renewed(i) {
#ifdef WITHOUT_COUNTING_FROM_THE_SENDING
  left[i] = KEEP;
#else
  if :: KEEP > since[i] && KEEP - since[i] > left[i] -> left[i] = KEEP - since[i] :: else fi;
#endif
  renewal[i] = NONE; since[i] = 0; unheard[i] = false
}

inline be_granted(i) {
  request[i] = NONE;
#ifdef WITHOUT_LOOKING_AT_THE_CLOCK
  does[i] = OPEN
#else
  if :: left[i] > 0 -> does[i] = OPEN :: else fi
#endif
}

active proctype world() {
  byte i;
  do
  :: atomic { HAS_TRANSPORT(0) && HAS_TRANSPORT(1) -> assert(false) }

  :: atomic {
     if :: i = 0 :: i = 1 fi;
     if
     /* The keeper hears something: also what a machine said that is stopped by now. */
     :: renewal[i] == SENT -> hear_renewal(i)
     :: request[i] == SENT && !BEGINS(i) && grace == 0 && (holder == i || !HELD) ->
        holder = i; request[i] = ANSWERED
     :: request[i] == SENT && !BEGINS(i) && grace == 0 && holder != i && HELD -> request[i] = NONE
     :: request[i] == SENT && (BEGINS(i) || grace > 0) -> request[i] = NONE
     :: release[i] -> hear_release(i)

     /* A machine does something. */
     :: stopped[i] -> stopped[i] = false
#ifdef STOPS
     :: !stopped[i] && does[i] == OPEN -> stopped[i] = true
#endif
     :: !stopped[i] && renewal[i] == NONE -> renewal[i] = SENT; since[i] = 0
     :: !stopped[i] && renewal[i] == ANSWERED -> be_renewed(i)
     :: !stopped[i] && renewal[i] == VAIN ->
        renewal[i] = NONE; since[i] = 0; unheard[i] = false;
        if :: does[i] == OPEN -> begin_to_close(i) :: else fi
     :: !stopped[i] && renewal[i] != NONE -> renewal[i] = NONE; since[i] = 0 /* given up, or lost */
     :: !stopped[i] && does[i] == IDLE && request[i] == NONE && !release[i] ->
        does[i] = ASKING; request[i] = SENT
     :: !stopped[i] && does[i] == ASKING && request[i] == NONE ->
        if :: request[i] = SENT :: does[i] = IDLE fi
     :: !stopped[i] && does[i] == ASKING && request[i] == ANSWERED -> be_granted(i)
     :: !stopped[i] && request[i] == VAIN -> request[i] = NONE
     :: !stopped[i] && does[i] == OPEN -> /* for whatever reason: also because it was asked to */
        begin_to_close(i);
#ifdef WITHOUT_CLOSING_FIRST
        release[i] = true
#endif
     :: !stopped[i] && does[i] == CLOSING -> be_closed(i)
     fi }

#ifdef FORGETS
  :: atomic {
     holder = NOBODY; session[0] = 0; session[1] = 0;
#ifndef WITHOUT_GRACE
     grace = TTL
#endif
     }
#endif

  :: atomic { !OVERDUE(0) && !OVERDUE(1) ->
     if
     :: pass_a_tick(0); pass_a_tick(1)
     :: behind[0] < DRIFT -> behind[0]++; pass_a_tick(1)
     :: behind[1] < DRIFT -> behind[1]++; pass_a_tick(0)
     fi;
     if :: session[0] > 0 -> session[0]-- :: else fi;
     if :: session[1] > 0 -> session[1]-- :: else fi;
     if :: grace > 0 -> grace-- :: else fi }
  od
}
