package vmtest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive writes a file system in memory as the kernel unpacks it: cpio in its "new ASCII" format, which
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel describes.
type archive struct {
	t     *testing.T
	file  *os.File
	out   *bufio.Writer
	inode int
	known map[string]bool
}

func newArchive(t *testing.T, path string) *archive {
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{t: t, file: file, out: bufio.NewWriter(file), known: map[string]bool{"/": true}}
	a.node("/dev", 0o40755, 0, 0)
	// The kernel opens it for the first process before anything is mounted.
	a.node("/dev/console", 0o20600, 5, 1)
	return a
}

// node adds what has no content: a directory or a device.
func (a *archive) node(path string, mode, major, minor int) {
	a.entry(path, mode, major, minor, strings.NewReader(""), 0)
}

// data adds a file of the given content.
func (a *archive) data(path, content string) {
	a.entry(path, 0o100644, 0, 0, strings.NewReader(content), len(content))
}

// program adds a copy of the file at from, which may be run.
func (a *archive) program(path, from string) {
	a.t.Helper()
	file, err := os.Open(from)
	if err != nil {
		a.t.Fatal(err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		a.t.Fatal(err)
	}
	a.entry(path, 0o100755, 0, 0, file, int(stat.Size()))
}

// entry adds anything once, with the directories above it.
func (a *archive) entry(path string, mode, major, minor int, content io.Reader, size int) {
	a.t.Helper()
	if a.known[path] {
		return
	}
	a.known[path] = true
	if dir := filepath.Dir(path); !a.known[dir] {
		a.node(dir, 0o40755, 0, 0)
	}
	a.raw(strings.TrimPrefix(path, "/"), mode, major, minor, content, size)
}

func (a *archive) raw(name string, mode, major, minor int, content io.Reader, size int) {
	a.t.Helper()
	a.inode++
	header := []int{a.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name) + 1, 0}
	text := "070701"
	for _, n := range header {
		text += fmt.Sprintf("%08X", n)
	}
	a.padded(strings.NewReader(text+name+"\x00"), len(text)+len(name)+1)
	a.padded(content, size)
}

// padded writes size bytes, and zeros up to a multiple of four.
func (a *archive) padded(content io.Reader, size int) {
	a.t.Helper()
	n, err := io.Copy(a.out, io.LimitReader(content, int64(size)))
	if err == nil && int(n) != size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = a.out.Write(make([]byte, -size&3))
	}
	if err != nil {
		a.t.Fatal("write the archive:", err)
	}
}

func (a *archive) close() {
	a.t.Helper()
	a.raw("TRAILER!!!", 0, 0, 0, strings.NewReader(""), 0)
	if err := a.out.Flush(); err != nil {
		a.t.Fatal(err)
	}
	if err := a.file.Close(); err != nil {
		a.t.Fatal(err)
	}
}
