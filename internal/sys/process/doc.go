// Package process knows processes: who one is, whether it still runs or only hangs in the kernel, and what the own
// one asks of the kernel for itself.
//
// A thread in uninterruptible sleep, for instance one that writes to a frozen file system, does not die of SIGKILL
// before it wakes, and keeps every descriptor of its process open until then. It never returns to the program,
// though: what it does when it wakes is to finish the one system call that it is in.
//
// The package decides nothing. Its functions may be called from any goroutine, and read /proc.
package process
