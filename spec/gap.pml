/*
 * gap.pml - what is written between mount(2) and the mark: mark first, scan second.
 *
 *   P8  at rest every file on the volume is on the replica, as it was written last
 *
 * A volume is there before it is observed, and whoever writes does not wait. An instance is set up once its volume is
 * observed; it keeps what is told from then on, and scans. The scan copies file by file while the writer goes on.
 *
 * Mutants: SCAN_FIRST (the mark comes after the scan), DROP (what was told during the scan is dropped at its end),
 * COPY_FIRST (a file is copied, and then taken off the list of what has changed).
 */

#define N 2			/* files */
#define VERSIONS 2

byte file[N];			/* the version on the volume; 0: it is not there */
byte replica[N];
bool dirty[N];			/* told, and not copied */
bool marked;
bool P8;

#define WRITE(n) d_step { file[n] < VERSIONS -> file[n]++; dirty[n] = (dirty[n] || marked) }
#define READ(n)  read = file[n]
#define COPY(n)  d_step { replica[n] = read; read = 0 }

proctype Writer()
{
	do
	:: WRITE(0)
	:: WRITE(1)
	:: break
	od
}

proctype Instance()
{
	byte read;
#ifndef SCAN_FIRST
	marked = true;
#endif
	READ(0); COPY(0);
	READ(1); COPY(1);
#ifdef SCAN_FIRST
	marked = true;
#endif
#ifdef DROP
	d_step { dirty[0] = false; dirty[1] = false };
#endif
end:	do
#ifdef COPY_FIRST
	:: dirty[0] -> READ(0); COPY(0); dirty[0] = false
	:: dirty[1] -> READ(1); COPY(1); dirty[1] = false
#else
	:: d_step { dirty[0] -> dirty[0] = false }; READ(0); COPY(0)
	:: d_step { dirty[1] -> dirty[1] = false }; READ(1); COPY(1)
#endif
	od
}

init {
	atomic { run Writer(); run Instance() }
	timeout;
	assert(P8 || (replica[0] == file[0] && replica[1] == file[1]))
}
