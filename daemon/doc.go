// Package daemon wires the rooms into a running mirror, and owns its lifecycle: what is checked before
// anything is touched, the state directory and its lock, the order of starting and of stopping.
//
// # Two processes
//
//	supervisor  Supervise starts the engine, the same program with the same arguments, claims the targets and keeps the
//	            lock of the state directory for it, passes a request to stop on, and returns the engine's exit status
//	engine      AsEngine, then Open, Run and Close do the work; Exit tells the supervisor how it ended
//
// A thread that writes to a frozen file system, or to a disk that does not answer, sleeps in the kernel until that goes
// on, through SIGKILL, and keeps its process and all that this has open. So what must not be kept, above all the lock
// and the ends of pipes, belongs to the supervisor, which asks no volume for anything: also the lock is made and taken
// by the engine, and passed on at once, and which bytes stand for the targets the engine says. The engine is killed
// with the supervisor. The next engine waits a moment for one that is dying, and goes on beside one that hangs: a
// thread that has been killed never returns to the program, so nothing but the one system call that it is in is still
// done.
//
// Who reads what is told may be slow, and is waited for until a stop was asked for and its time is over: nothing that the
// supervisor does or says after that waits for him.
//
// # Order
//
// Open starts nothing; Run blocks. The order of stopping is that of promise: what has been seen passes the barrier,
// the status is kept, replicas end, volumes are let go of, the index is closed. Every wait has a limit, and their
// sum is below StopTimeout. What has not ended then is left behind with what it uses. The control socket is served from
// the begin of Run until replicas end; a mirror that cannot serve it works as well.
//
// # File systems that do not answer
//
// What is asked of the source, a target or the state directory before Run is asked by a goroutine that may be left behind
// with its thread. A path that cannot be resolved in time is taken as it is written from there on; which trees overlap is
// known from the table of mounts. What the state knows is then waited for, and what is new is refused.
//
// # Goroutines and locks
//
// A Mirror belongs to one goroutine, except for Status and Changed. Run starts one goroutine for each room that
// runs, as a task that need not end. A supervisor has one for each pipe that it passes on. An Output locks itself.
//
// Two kinds of locks are for other processes, and end with this one: that of the state directory, and those of the
// targets, each a byte of one file for the whole machine, so that no two mirrors write to one target.
package daemon
