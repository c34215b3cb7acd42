// Package policy holds what users decide: which paths are left out (Rules), how many deletions pass without
// consent (Brake), and what it means when another volume stands where one was replicated (Replaced).
//
// It is pure: no system call, clock, goroutine or logger. Time is passed in, decisions come out with their
// reason in words. Rules and Limit are immutable values and safe for concurrent use; a Brake belongs to one
// goroutine.
package policy
