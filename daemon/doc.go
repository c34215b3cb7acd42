// Package daemon wires the rooms into a running mirror, and owns its lifecycle: what is checked before
// anything is touched, the state directory and its lock, the order of starting and of stopping.
//
// Open checks and locks and starts nothing; Run blocks; the order of stopping is that of promise: intake
// ends, what is shown passes the barrier, the index is closed.
package daemon
