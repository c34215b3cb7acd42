// Package at holds the system calls on one name below a directory descriptor, and on one descriptor.
//
// It owns nothing: descriptors go in and out as numbers, and package tree gives them an owner. Every call
// that a signal may interrupt is repeated. No function follows a symbolic link in a name that it is given.
// All functions are safe for concurrent use; none keeps state.
package at
