/*
 * attach.pml - how weir attaches filters to volumes: package topology, as a model for spin.
 *
 * Every inline below the line "inputs" is one input of topology.Apply, and runs in one d_step, as Apply runs under the
 * manager's lock. What happens outside of Apply, in any order and at any time, is a process: those who mount, load,
 * stop and detach, and the runners of the work that Apply has offered. README.md says which name here is which there,
 * what a variant is, and what was found.
 *
 *   volumes   0 is there at the start, 1 is mounted, 2 is mounted by REMOUNT, LAYER or REENTER
 *   filters   0 runs at the start, attached to volume 0, in frame 0; 1 is loaded above a layer, so that its registration
 *             makes frame 1; with SECOND, 2 is loaded beside it
 *
 * Promises are written assert(P1 || ...). P1 is false; it is there so that spin's message names the promise.
 *   P1  every pair of a volume that is there and a filter that runs has a slot, and every frame a link to it, in every
 *       state; at rest the slot is attached and its volume is observed, or the slot says truly why not
 *   P2  one instance for one pair, and one runner at a time
 *   P3  at rest nothing is left of a volume that has left, or of a filter that was stopped
 *   P4  what was detached by hand is not set up again until it is attached by hand
 *   P5  no deadlock
 *   P6  no volume is observed for a filter that has not said that the volume concerns it
 *   P7  after a shutdown nothing is owed, and at rest nothing is left
 */

/* Actors, each of which a variant switches on: LEAVE, REMOUNT (and LEAVE), STOP, DETACH, REATTACH (and DETACH), CHANGE,
 * LAYER, SECOND, SHUTDOWN, REENTER; FAILS=n lets n pieces of work fail, or not return in time.
 * Mutants: LIST_MOUNT, LIST_START, LIST_FRAME, CLAIM_LATER, COMMIT_BLIND, LEAVE_TO_OWNER, FORGET_DETACH, FORGET_FAILURE,
 * FORGET_CHANGE, OBSERVE_FIRST, PUBLISH_LATE, UNDER_LOCK. */

#if defined(REMOUNT) || defined(LAYER) || defined(REENTER)
#define V 3
#else
#define V 2
#endif
#ifdef SECOND
#define G 3
#else
#define G 2
#endif
#define F 2
#ifndef FAILS
#define FAILS 0
#endif

/* states of slots and links */
mtype = { none, pending, settingup, attached, declined, failed, detached, excluded, draining, idle, attaching };
/* phases of volumes and filters */
mtype = { absent, present, left, gone, registered, started, stopped };

#define ASK      1
#define SETUP    2
#define TEARDOWN 4
#define ATTACH   8
#define DETACHF 16

typedef Slot {
	mtype state;
	bool by;		/* detached by hand */
	bool asked;		/* the filter has said that the volume concerns it */
	bool claimed;		/* a runner asks, or is inside Setup or Teardown */
	bool instance;		/* Setup has succeeded and Teardown has not ended */
	bool stale;		/* the volume changed meanwhile */
	bool retry;		/* a timer runs */
	byte offers;		/* the kinds of work that are offered and not claimed */
	byte runs		/* the kind of work that runs */
};
typedef Link {
	mtype state;
	bool claimed;
	bool held;		/* the plane observes */
	bool retry;
	byte offers;
	byte runs
};

mtype vol[V];
mtype flt[G];
Slot slot[G*V];
Link link[F*V];
byte home[G];			/* the frame of a filter */
byte frames = 1;
bool stopping;

/* What the world knows, and topology does not. */
byte count[G*V];		/* Setups that have succeeded, less Teardowns */
bool sticky[G*V];		/* detached by hand */
byte fails = FAILS;
#ifdef CHANGE
bool concerns = false;		/* volume 0 concerns filter 1 */
byte seen;			/* what filter 1 has seen when it was asked: 0 not yet, 1 no, 2 yes */
#endif
#ifdef REENTER
bool want, got;			/* a callback waits for a mount */
#endif
#ifdef UNDER_LOCK
bool lock;			/* held while a callback runs */
#define UNLOCKED !lock
#else
#define UNLOCKED true
#endif
#ifdef CLAIM_LATER
byte looked[G*V];		/* runners that have found the slot pending, and not yet said so */
#endif

bool P1, P2, P3, P4, P5, P6, P7;
hidden byte a, b, c, d, e;	/* of loops within one step */
hidden byte some;

#define IX(g,v) ((g)*V+(v))
#define S(g,v)  slot[IX(g,v)]
#define L(f,v)  link[(f)*V+(v)]

#define LIVE(v)     (vol[v] == present && !stopping)
#define WANTED(g,v) (LIVE(v) && flt[g] == started)
#define READY(g,v)  (L(home[g],v).state == attached)
#define DUE(g,v)    (!S(g,v).asked || READY(g,v))
#ifdef LAYER
#define LAYERED     (vol[2] == present)
#define BELOW(g,v)  ((v) == 2 && (g) == 0)	/* volume 2 is the layer, and filter 0 is below it */
#else
#define LAYERED     true
#define BELOW(g,v)  false
#endif
#ifdef CHANGE
#define CONCERNS(g,v) (!((g) == 1 && (v) == 0) || concerns)
#else
#define CONCERNS(g,v) true
#endif

/* ---- slots: topology/slot.go ---- */

inline offer(g,v)
{
	if
	:: S(g,v).state == pending && WANTED(g,v) && DUE(g,v) ->
		S(g,v).offers = S(g,v).offers | (S(g,v).asked -> SETUP : ASK)
	:: else
	fi
}

inline owe(g,v)
{
	S(g,v).state = (BELOW(g,v) -> excluded : pending);
	offer(g,v)
}

inline settle(g,v)		/* neither runner nor instance */
{
	S(g,v).asked = (S(g,v).asked && S(g,v).state == failed);
	S(g,v).stale = false;
	if
	:: !WANTED(g,v) ->
		S(g,v).state = none; S(g,v).asked = false; S(g,v).by = false; S(g,v).retry = false
#ifndef FORGET_DETACH
	:: WANTED(g,v) && S(g,v).by ->
		S(g,v).state = detached; S(g,v).asked = false
	:: WANTED(g,v) && !S(g,v).by ->
#else
	:: WANTED(g,v) ->
#endif
		S(g,v).state = pending; offer(g,v)
	fi
}

inline withdraw(g,v)
{
	if
	:: S(g,v).state == none || S(g,v).state == draining
	:: S(g,v).state != none && S(g,v).state != draining && S(g,v).instance ->
		S(g,v).state = draining;
		S(g,v).offers = S(g,v).offers | TEARDOWN
	:: S(g,v).state != none && S(g,v).state != draining && !S(g,v).instance && S(g,v).claimed ->
		S(g,v).state = draining
	:: S(g,v).state != none && S(g,v).state != draining && !S(g,v).instance && !S(g,v).claimed ->
#ifdef LEAVE_TO_OWNER
		S(g,v).state = draining	/* whoever will claim it shall drop it */
#else
		settle(g,v)
#endif
	fi
}

inline commit(g,v)
{
	if
#ifndef COMMIT_BLIND
	:: S(g,v).state == draining -> S(g,v).offers = S(g,v).offers | TEARDOWN
#endif
	:: else -> S(g,v).state = attached; S(g,v).stale = false
	fi
}

/* ---- links: topology/link.go ---- */

#define NEEDS(g,v) ( \
	S(g,v).state == pending || S(g,v).state == settingup || S(g,v).state == attached || \
	S(g,v).state == draining || S(g,v).state == failed)
#ifdef OBSERVE_FIRST
#define ASKED(g,v) true
#else
#define ASKED(g,v) S(g,v).asked
#endif

inline needed(f,v)		/* sets some */
{
	some = false;
	for (d : 0 .. G-1) { if :: home[d] == f && ASKED(d,v) && NEEDS(d,v) -> some = true :: else fi }
}

inline offer_all(f,v)
{
	for (d : 0 .. G-1) {
		if :: home[d] == f && flt[d] == started -> offer(d,v) :: else fi
	}
}

inline review_link(f,v)
{
	needed(f,v);
	if
	:: L(f,v).claimed ->		/* decided when the runner returns */
		if :: !some && L(f,v).state == attaching -> L(f,v).state = draining :: else fi
	:: !L(f,v).claimed && L(f,v).held ->
		if
		:: !some && L(f,v).state == attached -> L(f,v).state = draining; L(f,v).offers = L(f,v).offers | DETACHF
		:: some && L(f,v).state == draining -> L(f,v).state = attached; offer_all(f,v)
		:: else
		fi
	:: !L(f,v).claimed && !L(f,v).held ->
		if
		:: !LIVE(v) && !some -> L(f,v).state = (vol[v] == left -> none : idle); L(f,v).retry = false
		:: LIVE(v) && !some -> L(f,v).state = idle; L(f,v).retry = false
		:: some && LIVE(v) && L(f,v).state == idle -> L(f,v).state = pending; L(f,v).offers = L(f,v).offers | ATTACH
		:: else
		fi
	fi
}

inline review(v)
{
	for (e : 0 .. F-1) {
		if :: L(e,v).state != none -> review_link(e,v) :: else fi
	}
	if
	:: vol[v] == left ->		/* forgotten when nothing refers to it */
		some = false;
		for (e : 0 .. F-1) { if :: L(e,v).state != none -> some = true :: else fi }
		for (e : 0 .. G-1) { if :: S(e,v).state != none -> some = true :: else fi }
		if :: !some -> vol[v] = gone :: else fi
	:: else
	fi
}

inline forget(g)
{
	if
	:: flt[g] == stopped ->
		some = false;
		for (e : 0 .. V-1) { if :: S(g,e).state != none -> some = true :: else fi }
		if :: !some -> flt[g] = gone :: else fi
	:: else
	fi
}

/* ---- what holds in every state ---- */

inline tell()			/* every state, for those who follow a simulation */
{
	printf("=");
	for (a : 0 .. V-1) {
		for (b : 0 .. G-1) { printf(" %e", S(b,a).state) }
		for (b : 0 .. F-1) { printf(" %e", L(b,a).state) }
	}
	printf("\n")		/* nor does a d_step end in a loop or a choice */
}

inline check()
{
	for (a : 0 .. G-1) { for (b : 0 .. V-1) {
		assert(P1 || !WANTED(a,b) || S(a,b).state != none);
		assert(P2 || count[IX(a,b)] == S(a,b).instance);
		assert(P3 || S(a,b).state != attached || (vol[b] == present && flt[a] == started));
		assert(P4 || S(a,b).state != attached || !sticky[IX(a,b)]);
		assert(P7 || !stopping || S(a,b).state == none || S(a,b).state == draining)
	} };
	for (b : 0 .. V-1) { for (c : 0 .. frames-1) {
		assert(P1 || !LIVE(b) || L(c,b).state != none)
	} };
	tell()
}

/* ---- inputs: topology/apply.go ---- */

inline VolumeArrived(v)
{
	printf("volume %d arrives\n", v);
	if
	:: vol[v] == absent && !stopping ->
		vol[v] = present;
		for (c : 0 .. frames-1) { L(c,v).state = idle }
		for (c : 0 .. G-1) { if :: flt[c] == started -> owe(c,v) :: else fi }
		review(v)
#ifdef PUBLISH_LATE
	:: vol[v] == absent && stopping ->
		vol[v] = present;
		for (c : 0 .. frames-1) { L(c,v).state = idle }
		for (c : 0 .. G-1) { if :: flt[c] == started -> owe(c,v) :: else fi }
#endif
	:: else
	fi;
	check()
}

inline VolumeChanged(v)
{
	printf("topology is told that volume %d has changed\n", v);
	if
	:: LIVE(v) ->
		for (c : 0 .. F-1) { if :: L(c,v).state == failed && !L(c,v).claimed -> L(c,v).state = idle :: else fi }
		for (c : 0 .. G-1) {
			if
			:: S(c,v).state == declined -> settle(c,v)
#ifndef FORGET_CHANGE
			:: S(c,v).state == settingup || S(c,v).state == failed -> S(c,v).stale = S(c,v).claimed
#endif
			:: else
			fi
		}
		review(v)
	:: else
	fi;
	check()
}

inline VolumeLeft(v)
{
	printf("volume %d leaves\n", v);
	if
	:: vol[v] == present ->
		vol[v] = left;
		for (c : 0 .. G-1) { withdraw(c,v) }
		review(v)
	:: else
	fi;
	check()
}

inline FilterRegistered(g)
{
	printf("filter %d is registered\n", g);
	if
	:: flt[g] == absent && !stopping ->
		flt[g] = registered;
		if
		:: LAYERED && frames == 1 ->	/* the layer ends frame 0: another begins, linked to every volume */
			frames = 2;
			for (c : 0 .. V-1) { if :: vol[c] == present || vol[c] == left -> L(1,c).state = idle :: else fi }
		:: else
		fi;
		home[g] = frames-1
	:: else
	fi;
	check()
}

inline FilterStarted(g)
{
	printf("filter %d starts\n", g);
	if
	:: flt[g] == registered && !stopping ->
		flt[g] = started;
		for (c : 0 .. V-1) { if :: LIVE(c) -> owe(g,c); review(c) :: else fi }
	:: else
	fi;
	check()
}

inline FilterStopping(g)
{
	printf("filter %d stops\n", g);
	if
	:: flt[g] == registered || flt[g] == started ->
		flt[g] = stopped;
		for (c : 0 .. V-1) { withdraw(g,c); review(c) }
		forget(g)
	:: else
	fi;
	check()
}

inline Detach(g,v)
{
	printf("filter %d is detached from volume %d\n", g, v);
	if
	:: S(g,v).state != none && WANTED(g,v) && !BELOW(g,v) ->
		S(g,v).by = true; sticky[IX(g,v)] = true;
		withdraw(g,v); review(v)
	:: else
	fi;
	check()
}

inline Attach(g,v)
{
	printf("filter %d is attached to volume %d by hand\n", g, v);
	if
	:: S(g,v).state != none && WANTED(g,v) && !BELOW(g,v) ->
		S(g,v).by = false; sticky[IX(g,v)] = false;
		if
		:: !S(g,v).claimed && !S(g,v).instance && S(g,v).state != pending -> settle(g,v)
		:: else
		fi;
		review(v)
	:: else
	fi;
	check()
}

inline Shutdown()
{
	printf("shutdown\n");
	stopping = true;
	for (c : 0 .. V-1) {
		for (b : 0 .. G-1) { withdraw(b,c) }
		review(c)
	}
	check()
}

inline start(g,v,kind)		/* the effect Start: from here on a runner is outside of the lock */
{
	assert(P2 || S(g,v).runs == 0);
	assert(P4 || kind == TEARDOWN || !sticky[IX(g,v)]);
	S(g,v).runs = kind;
	if
	:: kind == ASK -> printf("filter %d is asked about volume %d\n", g, v)
	:: kind == SETUP -> printf("Setup of filter %d on volume %d begins\n", g, v)
	:: kind == TEARDOWN -> printf("Teardown of filter %d on volume %d begins\n", g, v)
	fi;
#ifdef UNDER_LOCK
	lock = true;
#endif
#ifdef CHANGE
	if :: (g) == 1 && (v) == 0 -> seen = 0 :: else fi;
#endif
}

inline claim_slot(g,v,kind)
{
	S(g,v).offers = S(g,v).offers & ~(kind);
	if
	:: S(g,v).state == pending && !S(g,v).claimed && WANTED(g,v) && DUE(g,v) && kind == (S(g,v).asked -> SETUP : ASK) ->
		S(g,v).state = settingup; S(g,v).claimed = true; S(g,v).stale = false;
		start(g,v,kind)
	:: kind == TEARDOWN && S(g,v).state == draining && !S(g,v).claimed && S(g,v).instance ->
		S(g,v).claimed = true;
		start(g,v,kind)
	:: else
	fi;
	tell()
}

inline returned(g,v)
{
	S(g,v).runs = 0; S(g,v).claimed = false;
#ifdef UNDER_LOCK
	lock = false;
#endif
#ifdef CHANGE
	if :: (g) == 1 && (v) == 0 -> seen = 0 :: else fi;
#endif
}

inline finish_ok(g,v)		/* Finished of an Ask or a SetUp */
{
	if
	:: S(g,v).runs == SETUP ->
		count[IX(g,v)]++;
		printf("Setup of filter %d on volume %d succeeds\n", g, v);
		returned(g,v);
		S(g,v).instance = true; commit(g,v)
	:: S(g,v).runs == ASK ->
		printf("filter %d says that volume %d concerns it\n", g, v);
		returned(g,v);
		if
		:: S(g,v).state == draining -> settle(g,v)
		:: else -> S(g,v).state = pending; S(g,v).asked = true; S(g,v).stale = false; offer(g,v)
		fi
	fi;
	review(v); forget(g);
	check()
}

inline finish_declined(g,v)
{
	printf("filter %d declines volume %d\n", g, v);
	returned(g,v);
	if
	:: S(g,v).state == draining || S(g,v).stale -> settle(g,v)
	:: else -> S(g,v).state = declined
	fi;
	review(v); forget(g);
	check()
}

inline finish_failed(g,v)
{
	printf("filter %d fails on volume %d\n", g, v);
	returned(g,v);
	if
	:: S(g,v).state == draining -> settle(g,v)
	:: else ->
		S(g,v).state = failed;
#ifndef FORGET_FAILURE
		S(g,v).retry = true
#endif
	fi;
	review(v); forget(g);
	check()
}

inline finish_teardown(g,v)
{
	count[IX(g,v)]--;
	printf("Teardown of filter %d on volume %d ends\n", g, v);
	returned(g,v);
	S(g,v).instance = false;
	settle(g,v);
	review(v); forget(g);
	check()
}

inline TimedOut(g,v)
{
	printf("filter %d does not return from volume %d in time\n", g, v);
	S(g,v).state = failed;
	check()
}

inline RetryDue(g,v)
{
	printf("filter %d is tried again on volume %d\n", g, v);
	S(g,v).retry = false;
	if :: S(g,v).state == failed && !S(g,v).claimed -> settle(g,v); review(v) :: else fi;
	check()
}

inline claim_link(f,v,kind)
{
	L(f,v).offers = L(f,v).offers & ~(kind);
	if
	:: kind == ATTACH && L(f,v).state == pending && !L(f,v).claimed ->
		printf("the plane attaches to volume %d for frame %d\n", v, f);
		L(f,v).state = attaching; L(f,v).claimed = true; L(f,v).runs = kind;
		some = false;
		for (c : 0 .. G-1) { if :: home[c] == f && S(c,v).asked -> some = true :: else fi };
		assert(P6 || some)
	:: kind == DETACHF && L(f,v).state == draining && !L(f,v).claimed && L(f,v).held ->
		printf("the plane detaches from volume %d for frame %d\n", v, f);
		L(f,v).claimed = true; L(f,v).runs = kind
	:: else
	fi;
	tell()
}

inline finish_attach(f,v,good)
{
	if
	:: good -> printf("volume %d is observed for frame %d\n", v, f)
	:: else -> printf("the plane fails on volume %d for frame %d\n", v, f)
	fi;
	L(f,v).runs = 0; L(f,v).claimed = false;
	if
	:: good -> L(f,v).held = true; L(f,v).state = attached; offer_all(f,v)
	:: !good && L(f,v).state == draining -> L(f,v).state = idle
	:: else -> L(f,v).state = failed; L(f,v).retry = true
	fi;
	review(v);
	check()
}

inline finish_detach(f,v)
{
	printf("volume %d is not observed any more for frame %d\n", v, f);
	L(f,v).runs = 0; L(f,v).claimed = false;
	L(f,v).held = false; L(f,v).state = idle;
	review(v);
	check()
}

inline retry_link(f,v)
{
	printf("the plane is tried again on volume %d for frame %d\n", v, f);
	L(f,v).retry = false;
	if :: L(f,v).state == failed && !L(f,v).claimed -> L(f,v).state = idle; review(v) :: else fi;
	check()
}

/* ---- runners: manager/work.go ---- */

#define BUILDS(g,v) (S(g,v).runs == ASK || S(g,v).runs == SETUP)
#ifdef CHANGE
#define LOOKED(g,v) (!((g) == 1 && (v) == 0) || seen)
#define SAYS(g,v)   (!((g) == 1 && (v) == 0) || seen == 2)
#else
#define LOOKED(g,v) true
#define SAYS(g,v)   true
#endif
#ifdef REENTER
#define MAY_RETURN(g,v) (!((g) == 1 && S(g,v).runs == SETUP) || got)
#else
#define MAY_RETURN(g,v) true
#endif

proctype Slots(byte g, v)	/* everybody who works on one slot, and its timers */
{
end:	do
#ifdef CLAIM_LATER
	:: d_step { S(g,v).offers && S(g,v).state == pending && WANTED(g,v) && DUE(g,v) && looked[IX(g,v)] < 2 ->
		looked[IX(g,v)]++ }
	:: d_step { looked[IX(g,v)] ->
		looked[IX(g,v)]--;
		S(g,v).offers = S(g,v).offers & TEARDOWN;
		S(g,v).state = settingup; S(g,v).claimed = true;
		start(g,v,(S(g,v).asked -> SETUP : ASK)) }
#else
	:: d_step { UNLOCKED && (S(g,v).offers & ASK) -> claim_slot(g,v,ASK) }
	:: d_step { UNLOCKED && (S(g,v).offers & SETUP) -> claim_slot(g,v,SETUP) }
#endif
	:: d_step { UNLOCKED && (S(g,v).offers & TEARDOWN) -> claim_slot(g,v,TEARDOWN) }
#ifdef CHANGE
	:: d_step { BUILDS(g,v) && !LOOKED(g,v) ->
		printf("filter 1 looks at volume 0\n"); seen = (concerns -> 2 : 1) }
#endif
#ifdef REENTER
	:: d_step { !MAY_RETURN(g,v) && !want -> printf("Setup asks for a mount, and waits for it\n"); want = true }
#endif
	:: d_step { BUILDS(g,v) && MAY_RETURN(g,v) && LOOKED(g,v) && SAYS(g,v) -> finish_ok(g,v) }
#ifdef CHANGE
	:: d_step { BUILDS(g,v) && LOOKED(g,v) && !SAYS(g,v) -> finish_declined(g,v) }
#endif
#if FAILS
	:: d_step { BUILDS(g,v) && fails -> fails--; finish_failed(g,v) }
	:: d_step { BUILDS(g,v) && fails && S(g,v).state == settingup -> fails--; TimedOut(g,v) }
	:: d_step { S(g,v).retry -> RetryDue(g,v) }
#endif
	:: d_step { S(g,v).runs == TEARDOWN -> finish_teardown(g,v) }
	od
}

proctype Links(byte f, v)	/* everybody who works on one link, and its timer */
{
end:	do
	:: d_step { UNLOCKED && (L(f,v).offers & ATTACH) -> claim_link(f,v,ATTACH) }
	:: d_step { UNLOCKED && (L(f,v).offers & DETACHF) -> claim_link(f,v,DETACHF) }
	:: d_step { L(f,v).runs == ATTACH -> finish_attach(f,v,true) }
#if FAILS
	:: d_step { L(f,v).runs == ATTACH && fails -> fails--; finish_attach(f,v,false) }
	:: d_step { L(f,v).retry -> retry_link(f,v) }
#endif
	:: d_step { L(f,v).runs == DETACHF -> finish_detach(f,v) }
	od
}

/* ---- actors ---- */

#ifdef LIST_MOUNT
proctype Mounter()		/* lists filters and frames, then publishes the volume */
{
	byte filters, had;
	d_step {
		printf("mount: lists filters and frames\n");
		filters = 0; had = frames;
		for (a : 0 .. G-1) { if :: flt[a] == started -> filters = filters | (1<<a) :: else fi }
	}
	d_step {
		printf("mount: publishes volume 1\n");
		vol[1] = present;
		for (c : 0 .. had-1) { L(c,1).state = idle }
		for (c : 0 .. G-1) { if :: filters & (1<<c) -> owe(c,1) :: else fi }
		review(1); check(); filters = 0; had = 0
	}
}
#else
proctype Mounter() { d_step { UNLOCKED -> VolumeArrived(1) } }
#endif

proctype Loader()
{
#ifdef LIST_FRAME
	byte listed;
	d_step {			/* lists volumes, then publishes the frame */
		printf("load: lists volumes\n");
		listed = 0;
		for (a : 0 .. V-1) { if :: vol[a] == present -> listed = listed | (1<<a) :: else fi }
	}
	d_step {
		printf("load: publishes frame 1\n");
		flt[1] = registered; frames = 2; home[1] = 1;
		for (c : 0 .. V-1) { if :: listed & (1<<c) -> L(1,c).state = idle :: else fi }
		check(); listed = 0
	}
#else
	d_step { UNLOCKED -> FilterRegistered(1) }
#endif
#ifdef LIST_START
	byte volumes;
	d_step {			/* lists volumes, then publishes the filter */
		printf("start: lists volumes\n");
		volumes = 0;
		for (a : 0 .. V-1) { if :: vol[a] == present -> volumes = volumes | (1<<a) :: else fi }
	}
	d_step {
		printf("start: publishes filter 1\n");
		flt[1] = started;
		for (c : 0 .. V-1) { if :: volumes & (1<<c) -> owe(1,c); review(c) :: else fi }
		check(); volumes = 0
	}
#else
	d_step { UNLOCKED -> FilterStarted(1) }
#endif
}

#ifdef SECOND
proctype Second()
{
	d_step { UNLOCKED && (flt[1] != absent || stopping) -> FilterRegistered(2) }
	d_step { UNLOCKED -> FilterStarted(2) }
}
#endif
#ifdef LEAVE
proctype Remover()
{
	d_step { UNLOCKED && (vol[LEAVE] == present || stopping) -> VolumeLeft(LEAVE) }
#ifdef REMOUNT
	d_step { UNLOCKED -> VolumeArrived(2) }
#endif
}
#endif
#ifdef LAYER
proctype Layer() { d_step { UNLOCKED -> VolumeArrived(2) } }
#endif
#ifdef STOP
proctype Stopper() { d_step { UNLOCKED -> FilterStopping(STOP) } }
#endif
#ifdef CHANGE
proctype Changer()		/* the mounts change first, and then topology is told */
{
	do
	:: break
	:: d_step { printf("the mounts of volume 0 change\n"); concerns = !concerns };
		d_step { UNLOCKED -> VolumeChanged(0) }
	od
}
#endif
#ifdef DETACH
proctype Operator()
{
	byte g, v;
	atomic { select(g : 0..1); select(v : 0..1) }
	d_step { UNLOCKED -> Detach(g,v) }
#ifdef REATTACH
	d_step { UNLOCKED -> Attach(g,v) }
#endif
}
#endif
#ifdef SHUTDOWN
proctype Ender() { d_step { UNLOCKED -> Shutdown() } }
#endif
#ifdef REENTER
proctype Nested() { d_step { UNLOCKED && want -> VolumeArrived(2); got = true } }
#endif

#define AT_REST(g,v) ( \
	S(g,v).state == attached && L(home[g],v).state == attached && L(home[g],v).held || \
	S(g,v).state == detached && sticky[IX(g,v)] || \
	S(g,v).state == declined && !CONCERNS(g,v) || \
	S(g,v).state == excluded && BELOW(g,v))

init {
	byte g, v;
	atomic {
		d_step {
			for (a : 0 .. V-1) { vol[a] = absent; for (b : 0 .. G-1) { S(b,a).state = none } for (b : 0 .. F-1) { L(b,a).state = none } }
			for (b : 0 .. G-1) { flt[b] = absent }
			vol[0] = present; flt[0] = started;
			L(0,0).state = attached; L(0,0).held = true;
			S(0,0).state = attached; S(0,0).asked = true; S(0,0).instance = true; count[0] = 1
		}
		for (v : 0 .. V-1) {
			for (g : 0 .. G-1) { run Slots(g,v) }
			for (g : 0 .. F-1) { run Links(g,v) }
		}
		g = 0; v = 0;
		run Mounter(); run Loader();
#ifdef SECOND
		run Second();
#endif
#ifdef LEAVE
		run Remover();
#endif
#ifdef LAYER
		run Layer();
#endif
#ifdef STOP
		run Stopper();
#endif
#ifdef CHANGE
		run Changer();
#endif
#ifdef DETACH
		run Operator();
#endif
#ifdef SHUTDOWN
		run Ender();
#endif
#ifdef REENTER
		run Nested();
#endif
	}
	timeout;			/* nobody can do anything any more */
	d_step {
		assert(P5 || _nr_pr == 1 + G*V + F*V);	/* every actor has ended */
		for (g : 0 .. G-1) { for (v : 0 .. V-1) {
			assert(P1 || !WANTED(g,v) || AT_REST(g,v));
			assert(P3 || (vol[v] != left && flt[g] != stopped));
			assert(P3 || WANTED(g,v) || (S(g,v).state == none && count[IX(g,v)] == 0));
			assert(P4 || !sticky[IX(g,v)] || !WANTED(g,v) || S(g,v).state == detached)
		} }
		for (g : 0 .. F-1) { for (v : 0 .. V-1) {
			assert(P3 || vol[v] == present || !L(g,v).held);
			assert(P7 || !stopping || !L(g,v).held)
		} }
	}
}
