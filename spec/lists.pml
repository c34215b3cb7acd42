/*
 * lists.pml - the other way to attach filters to volumes, which weir does not go: no slots, only lists.
 *
 * A volume, a frame or a filter that comes is put into a list, and walks the others' lists to attach itself to what it
 * finds. Whether that misses a pair depends on the order of the two. A filter manager of 2003 listed first and
 * published then, so that a volume that was mounted while a frame was made stayed without it. README.md has the
 * variants and what was found; the promises P1 to P5 are those of attach.pml.
 *
 *   volumes   0 is there at the start, 1 is mounted, 2 is mounted by REENTER or REMOUNT
 *   frames    0 is there at the start, 1 is made
 *   filters   0 runs in frame 0 and is attached to volume 0; 1 is loaded in frame 1, 2 in frame 0
 *
 * Actors that a variant switches on: LEAVE, REMOUNT (and LEAVE), DETACH, REENTER; FAILS=n lets n set-ups fail.
 * SEQUENCER has one lock held for the whole of every request, callbacks too.
 * Mutants: LIST_MOUNT, LIST_FRAME, LIST_START, CLAIM_LATER, IGNORE_LEFT, FORGET_DETACH, FORGET_FAILURE.
 */

#if defined(REMOUNT) || defined(REENTER)
#define V 3
#else
#define V 2
#endif
#define G 3
#define B(n)    (1<<(n))
#define IX(g,v) ((g)*V+(v))
#define HOME(g) ((g) == 1 -> 1 : 0)
#ifndef FAILS
#define FAILS 0
#endif

mtype = { none, settingup, attached };

byte volumes = B(0);		/* that are published */
byte frames = B(0);
byte filters = B(0);
byte joined[V];			/* the frames of a volume */
bool leaving[V];
mtype inst[G*V];
byte count[G*V];		/* Setups that have succeeded, less Teardowns */
bool by[G*V];			/* detached by hand: what the claim looks at */
bool sticky[G*V];		/* detached by hand: what was promised */
byte failed;			/* pairs whose set-up has failed, one bit for each */
byte fails = FAILS;
byte actors;			/* that have not ended */
bool P1, P2, P3, P4, P5;
#ifdef REENTER
bool want, got;			/* a callback waits for a mount */
#endif
#ifdef SEQUENCER
bool busy;
#define BEGIN	atomic { !busy -> busy = true }
#define END	busy = false
#define LIST_MOUNT		/* whoever is alone may list first */
#define LIST_FRAME
#define LIST_START
#else
#define BEGIN	skip
#define END	skip
#endif
#ifdef IGNORE_LEFT
#define GONE(v) false
#else
#define GONE(v) leaving[v]
#endif
#define FREE(g,v) (inst[IX(g,v)] == none && !GONE(v) && !by[IX(g,v)])

inline next(set,k)		/* takes the lowest member k out of a set */
{
	d_step { k = 0; do :: set & B(k) -> break :: else -> k++ od; set = set & ~B(k) }
}

inline callback(g)		/* no lock is held, but that of SEQUENCER */
{
#ifdef REENTER
	if
	:: g == 1 && !want -> d_step { printf("Setup asks for a mount, and waits for it\n"); want = true }; got
	:: else
	fi
#else
	skip
#endif
}

inline attach(g,v)
{
#ifdef CLAIM_LATER
	ok = FREE(g,v);
#else
	d_step { ok = FREE(g,v); if :: ok -> inst[IX(g,v)] = settingup :: else fi }
#endif
	if
	:: ok ->
		callback(g);
		if
		:: d_step {
			count[IX(g,v)]++;
			assert(P2 || count[IX(g,v)] <= 1);
			printf("filter %d is attached to volume %d\n", g, v);
			inst[IX(g,v)] = attached
		   }
#if FAILS
		:: d_step { fails ->
			fails--;
			inst[IX(g,v)] = none;
#ifndef FORGET_FAILURE
			failed = failed | B(IX(g,v));
#endif
			skip
		   }
#endif
		fi
	:: else
	fi
}

inline join(f,v)
{
	d_step {
		go = (!(joined[v] & B(f)) && !GONE(v));
#ifndef LIST_START
		if :: go -> joined[v] = joined[v] | B(f) :: else fi;
#endif
		skip
	}
	if
	:: go ->
		printf("frame %d on volume %d: filters are listed\n", f, v);
		gs = (f == 1 -> filters & B(1) : filters & ~B(1));
		do
		:: gs -> next(gs,i); attach(i,v)
		:: else -> break
		od;
#ifdef LIST_START
		joined[v] = joined[v] | B(f)
#endif
	:: else
	fi
}

inline mount(v)
{
	BEGIN;
#ifndef LIST_MOUNT
	atomic { printf("volume %d is published\n", v); volumes = volumes | B(v) };
#endif
	d_step { printf("volume %d: frames are listed\n", v); fs = frames };
	do
	:: fs -> next(fs,j); join(j,v)
	:: else -> break
	od;
#ifdef LIST_MOUNT
	atomic { printf("volume %d is published\n", v); volumes = volumes | B(v) };
#endif
	END
}

inline make_frame(f)
{
	BEGIN;
#ifndef LIST_FRAME
	atomic { printf("frame %d is published\n", f); frames = frames | B(f) };
#endif
	d_step { printf("frame %d: volumes are listed\n", f); vs = volumes };
	do
	:: vs -> next(vs,j); join(f,j)
	:: else -> break
	od;
#ifdef LIST_FRAME
	atomic { printf("frame %d is published\n", f); frames = frames | B(f) };
#endif
	END
}

inline start(g)
{
	BEGIN;
#ifndef LIST_START
	atomic { printf("filter %d is published\n", g); filters = filters | B(g) };
#endif
	d_step {			/* the volumes that carry the filter's frame */
		printf("filter %d: volumes are listed\n", g);
		vs = 0;
		for (j : 0 .. V-1) { if :: joined[j] & B(HOME(g)) -> vs = vs | B(j) :: else fi }
		j = 0
	}
	do
	:: vs -> next(vs,j); attach(g,j)
	:: else -> break
	od;
#ifdef LIST_START
	atomic { printf("filter %d is published\n", g); filters = filters | B(g) };
#endif
	END
}

inline teardown(g,v)		/* waits for a set-up that runs */
{
	atomic {
		inst[IX(g,v)] != settingup;
		if
		:: inst[IX(g,v)] == attached -> inst[IX(g,v)] = none; count[IX(g,v)]--
		:: else
		fi
	}
}

inline dismount(v)
{
	BEGIN;
	d_step { printf("volume %d leaves\n", v); leaving[v] = true; volumes = volumes & ~B(v) }
	gs = B(G)-1;
	do
	:: gs -> next(gs,i); teardown(i,v)
	:: else -> break
	od;
	END
}

inline detach(g,v)
{
	BEGIN;
#ifndef FORGET_DETACH
	by[IX(g,v)] = true;
#endif
	teardown(g,v);
	sticky[IX(g,v)] = true;
	END
}

#define LOCALS byte vs, fs, gs, i, j; bool ok, go

proctype Mounter()   { LOCALS; mount(1); actors-- }
proctype Loader()    { LOCALS; make_frame(1); start(1); actors-- }
proctype Registrar() { LOCALS; start(2); actors-- }
#ifdef LEAVE
proctype Remover()
{
	LOCALS;
	dismount(0);
#ifdef REMOUNT
	mount(2);
#endif
	actors--
}
#endif
#ifdef DETACH
proctype Operator()
{
	LOCALS; byte g, v;
	atomic { select(g : 0..2); select(v : 0..1) }
	detach(g,v); actors--
}
#endif
#ifdef REENTER
proctype Nested()
{
	LOCALS;
	if
	:: want -> mount(2); got = true
	:: actors == 1		/* no callback has asked */
	fi;
	actors--
}
#endif
#if FAILS
proctype Retrier()
{
	bool ok; byte k;
end:	do
	:: atomic { failed -> next(failed,k) }; attach(k/V,k%V); d_step { k = 0; ok = false }
	od
}
#endif

init {
	byte g, v;
	atomic {
		for (g : 0 .. G*V-1) { inst[g] = none }
		inst[0] = attached; count[0] = 1; joined[0] = B(0);
		actors = 3; run Mounter(); run Loader(); run Registrar();
#ifdef LEAVE
		actors++; run Remover();
#endif
#ifdef DETACH
		actors++; run Operator();
#endif
#ifdef REENTER
		actors++; run Nested();
#endif
#if FAILS
		run Retrier();
#endif
		g = 0
	}
	timeout;			/* nobody can do anything any more */
	d_step {
		assert(P5 || actors == 0);
		for (g : 0 .. G-1) { for (v : 0 .. V-1) {
			assert(P1 || !(volumes & B(v)) || !(frames & B(HOME(g))) || !(filters & B(g)) ||
				inst[IX(g,v)] == attached || sticky[IX(g,v)]);
			assert(P3 || !leaving[v] || inst[IX(g,v)] == none);
			assert(P4 || !sticky[IX(g,v)] || inst[IX(g,v)] == none)
		} }
	}
}
