// Package vmtest runs weir on the oldest kernel that it supports, that of Debian 12, in a virtual machine.
//
// The machine is qemu without KVM, with a kernel whose package is unpacked and not installed, and a file
// system in memory that holds what the tests need: this package's test binary, which is also the first
// process of the machine; weir; mkfs and its libraries; the kernel's modules. There is no disk, no network,
// and nothing to wait for but the serial console, on which the tests print what they always print.
//
// TestMirror is what is run there, and is an ordinary test: on the machine that builds weir it runs too, with
// mount events and without. So a difference between the two is the kernel's.
//
// The tests of other packages can be run in the machine as well, which is how to look for what a call does on
// an old kernel:
//
//	WEIR_VM_PACKAGES="volume internal/sys/mount" WEIR_VM_RUN=Mount go test -v -run OldKernel ./internal/vmtest
//
// make deps gets qemu and the kernel; without them the test is skipped aloud. The package has no code outside
// its tests, and imports nothing of weir but the packages for tests: it looks at weir from outside.
package vmtest
