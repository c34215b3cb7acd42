// Package verify watches whether filters keep the rules of package weir, and says who breaks which, where, and what to do
// about it.
//
// It stands between the manager and a filter: [Verifier.Filter] returns a filter that behaves as the given one does, with
// each of its callbacks, and each call that it makes, looked at on the way. So whoever does not verify pays nothing: the
// filter itself is registered then. What an instance may implement besides weir.Instance is passed on by the type instance
// here; a new interface of that kind has to be added there.
//
// A filter that breaks a rule is reported, and goes on: the manager bounds what it can do to others by itself. [Actions] may
// say otherwise: that nothing is said of it, or that the manager takes the instance away. Only what
// would reach a call or a reference that is somebody else's by now is kept from it.
//
// # Goroutines and locks
//
// Callbacks run on the goroutine that the manager calls them on. Time limits run on timers, which a callback that returns
// in time stops. call.mu is taken before instance.mu, Verifier.mu together with neither, and none is held over a callback,
// the log, or the hook.
package verify
