/*
 * discovery.pml - how weir learns which volumes exist: package volume, which tells topology.
 *
 *   P0  at rest weir knows the volumes that are mounted, and no other
 *
 * Volumes are mounted and unmounted once, each at any time. With events (look.go) the kernel queues what happens, up to
 * QUEUE of it, and then one record that says that more was lost. With POLL (eyes.go), as on kernels without events,
 * it only says that its table has changed since it was asked through the same open file; reading the table takes time.
 *
 * Mutants: LIST_FIRST, IGNORE_OVERFLOW, ONLY_ADD, DISCARD; with POLL: READ_FIRST, ONE_FILE.
 */

#define N 3			/* volumes */
#define QUEUE 2
#define B(v) (1<<(v))

mtype = { attached, detached, overflow };

byte kernel;			/* what is mounted */
byte known;			/* what topology has been told */
bool P0;

#ifndef POLL

chan queue = [QUEUE+1] of { mtype, byte };
bool subscribed, lost;		/* lost: the record of an overflow is in the queue */

inline put(kind,v)
{
	if
	:: !subscribed
	:: subscribed && len(queue) < QUEUE && !lost -> queue!kind,v
	:: subscribed && (len(queue) >= QUEUE || lost) ->
		if :: !lost -> lost = true; queue!overflow,0 :: else fi
	fi
}

proctype Volume(byte v)
{
	atomic { kernel = kernel | B(v); put(attached,v) }
	if
	:: atomic { kernel = kernel & ~B(v); put(detached,v) }
	:: skip
	fi
}

inline list()			/* one call lists the ids, one for each says what it is, if it is still there */
{
	ids = kernel;
	for (v : 0 .. N-1) { ids = ids & (kernel | ~B(v)) }
	v = 0;
#ifdef ONLY_ADD
	known = known | ids;
#else
	known = ids;
#endif
	ids = 0
}

proctype Watcher()
{
	byte v, ids; bool here;
#ifdef LIST_FIRST
	list();
	subscribed = true;
#else
	subscribed = true;
	list();
#endif
end:	do
	:: queue?attached,v ->
		here = (kernel & B(v)) != 0;	/* a volume that has left meanwhile is told by its own event */
		d_step { if :: here -> known = known | B(v) :: else fi; here = false; v = 0 }
	:: queue?detached,v -> d_step { known = known & ~B(v); v = 0 }
	:: atomic { queue?overflow,v -> lost = false };
#ifndef IGNORE_OVERFLOW
		list();
#endif
#ifdef DISCARD
		/* what has come meanwhile is thrown away */
		do :: nempty(queue) -> atomic { queue?_,v; lost = false; v = 0 } :: empty(queue) -> break od
#endif
		skip
	od
}

#else /* POLL */

bool woken, changed;		/* what two open files of the table have to tell */
#ifdef ONE_FILE
#define woken changed
#endif

proctype Volume(byte v)
{
	d_step { kernel = kernel | B(v); woken = true; changed = true }
	if
	:: d_step { kernel = kernel & ~B(v); woken = true; changed = true }
	:: skip
	fi
}

inline read()			/* a line after the other, while mounts go on; what is torn is read again */
{
	tries = 1;
	do
	:: true ->
#ifndef READ_FIRST
		changed = false;
#endif
		table = 0;
		for (v : 0 .. N-1) { table = table | (kernel & B(v)) }
		v = 0;
		if
		:: tries == 0 -> break	/* a change that has spoiled it is still to be told */
		:: else ->
			d_step { again = changed; changed = false; tries-- };
			if :: again -> skip :: else -> break fi
		fi
	od;
#ifdef READ_FIRST
	changed = false;
#else
	skip;
#endif
	d_step { known = table; table = 0; again = false; tries = 0; v = 0 }
}

proctype Watcher()
{
	byte v, table, tries; bool again;
	read();
end:	do
	:: d_step { woken -> woken = false };
		d_step { again = changed; changed = false };
		if :: again -> read() :: else fi
	od
}

#endif

init {
	byte v;
	atomic {
		for (v : 0 .. N-1) { run Volume(v) }
		run Watcher()
	}
	timeout;
	assert(P0 || known == kernel)
}
