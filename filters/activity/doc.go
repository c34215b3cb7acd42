// Package activity is the filter that shows people what happens on volumes: the activity monitor behind `weir watch`.
//
// A program that connects to its port says what it wants to be told (Request), and is told it in messages (Message) until
// it closes the connection. As long as nobody watches a volume, the filter asks for no operations there, which costs nothing.
//
// # What is told
//
// Each instance tells what it was told. There is one on a volume, unless a manifest says otherwise.
//
// Operations as the plane delivers them: completed, and merged while they waited. A name is the one that the directory has
// when it is looked up, which is right after the operation in most cases, and never before it. What cannot be named any
// more is told as far as it is known, so that every operation is either told once or counted: as dropped, or as undecided if
// who watches has asked for a process by its name, and that of who did it is not known. What happens between the mount of a
// volume and the moment from which on it is watched is neither; when that was is told in a note.
//
// # Goroutines and locks
//
// Each instance has a goroutine that finds names and hands events to those who watch; the goroutine of the plane only leaves
// operations for it. Each watcher has one that sends, and one that waits for the end of the connection. All of what waits is
// bounded: a name that takes long, or a program that reads slowly, leads to drops and to nothing else.
//
//	Monitor.mu      who watches, and which instances there are
//	instance.mu     the operations that wait
//	watcher.mu      the events that wait
//
// They are not held together, and nothing blocks under them.
package activity
