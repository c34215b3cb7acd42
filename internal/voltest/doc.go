// Package voltest gives real volumes to tests: loop-mounted ext4, xfs and btrfs images, tmpfs, and what
// is stacked on them. It needs root and skips aloud without it.
//
// A package that uses it runs its tests in a mount namespace of their own:
//
//	func TestMain(m *testing.M) { os.Exit(voltest.Unshared(m)) }
//
// Everything is made below the test's temporary directory, and is gone when the test has ended: also
// after a failure, through the test's cleanup; after a panic, a timeout or a kill, because the namespace
// dies with the test process, loop devices clear themselves with their last user, and the process that
// stayed outside the namespace frees the rest.
//
// The package imports nothing of weir, since it must not be wrong in the same way as what it tests.
// Its functions fail the test on any error, and are called from the test's goroutine only. An Output may be used by any.
package voltest
