// Package dispatch brings operations to the instances of filters on one volume: those that have completed, and those
// that are intercepted on their way there and back. It keeps what an instance holds (calls, contexts, references), and
// ends it in order.
//
// It does not know why an instance is where it is, or who asks for its end; package manager does.
//
// # Operations that have completed
//
// They come on the planes' goroutines and are handed to an instance on that same goroutine, unless another one is inside
// the instance; then that one finds them in the inbox.
//
// # Operations that are intercepted
//
// An operation takes one immutable list of the instances when it begins, and one call object for each instance that it
// comes to. Both come from a pool: nothing is allocated. It stays on the goroutine that brought it, which waits while an
// instance keeps it pended. It reaches an instance only through the gate of its lane, so that an instance whose teardown
// has begun is passed by, and on its way back finds only those calls that have not been drained.
//
// # Locks
//
//	lane.mu       a share of the calls inside one instance; an operation uses the same lane in each of them
//	inbox.mu      one instance's waiting operations
//	contexts.mu   the contexts of one instance, or of one filter on one volume
//	holds.mu      who holds one instance
//	slows.mu      the slowest calls of one instance
//
// None is held together with another, or over a callback, a system call or a send.
package dispatch
